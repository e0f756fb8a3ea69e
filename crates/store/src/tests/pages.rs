//! Pages of lists: filters, text, and where a list continues.

use super::read::filter;
use super::*;
use crate::jobs::listing::page::Bounds;

/// Returns bounds on the number of scanned jobs only.
fn scan_bounds(scan: u32) -> Bounds<'static> {
    Bounds { scan, bytes: usize::MAX, time: COMMIT_TIMEOUT, elapsed: &|| Duration::ZERO }
}

/// Reads all pages. Returns their jobs and the number of pages.
async fn all(store: &Store, mut filter: JobFilter, scan: u32) -> (Vec<JobId>, usize) {
    let (mut ids, mut pages) = (Vec::new(), 0);
    loop {
        let page = store.0.page(&filter, START, &scan_bounds(scan)).await.unwrap();
        pages += 1;
        assert!(page.jobs.len() <= usize::try_from(filter.limit.max(1)).unwrap());
        ids.extend(page.jobs.iter().map(|job| job.id));
        match page.next {
            Some(next) => filter.before = Some(next),
            None => return (ids, pages),
        }
    }
}

/// Adds thirty jobs, every third one cancelled. Returns them newest first.
async fn thirty(home: &Home, store: &Store) -> Vec<JobId> {
    let mut ids = Vec::new();
    for number in 0..30 {
        home.pass(Duration::from_secs(1));
        let mut request = home.request();
        request.handler = handler(if number % 2 == 0 { "even" } else { "odd" });
        request.request.account_id = AccountId(number % 5);
        request.request.data = json!({ "text": format!("Nr. {number:02}!") });
        ids.push(accept(store, request).await);
    }
    for id in ids.iter().step_by(3) {
        store.jobs().cancel(*id).await.unwrap();
    }
    ids.reverse();
    ids
}

fn every(ids: &[JobId], wanted: impl Fn(usize) -> bool) -> Vec<JobId> {
    // The list is newest first, but the numbers count from the oldest.
    (0..30).rev().filter(|number| wanted(*number)).map(|number| ids[29 - number]).collect()
}

#[tokio::test]
async fn pages_show_each_job_once_newest_first() {
    let home = Home::new();
    let store = home.serve().await;
    let ids = thirty(&home, &store).await;
    for (limit, scan) in [(100, 100), (30, 30), (29, 30), (7, 100), (1, 3), (7, 1), (100, 4), (0, 100)] {
        assert_eq!(all(&store, filter(limit), scan).await.0, ids, "{limit} {scan}");
    }
}

#[tokio::test]
async fn filters_find_their_jobs_among_any_number_of_others() {
    let home = Home::new();
    let store = home.serve().await;
    let ids = thirty(&home, &store).await;
    for (limit, scan) in [(100, 100), (2, 100), (2, 3), (100, 1)] {
        for (text, expected) in [
            ("state:cancelled", every(&ids, |n| n % 3 == 0)),
            ("handler:odd", every(&ids, |n| n % 2 == 1)),
            ("account:4", every(&ids, |n| n % 5 == 4)),
            ("state:cancelled handler:even", every(&ids, |n| n % 6 == 0)),
            ("-state:cancelled -handler:even", every(&ids, |n| n % 3 != 0 && n % 2 == 1)),
            ("state:dead", Vec::new()),
        ] {
            let filter = JobFilter { filter: wanted(text), ..filter(limit) };
            assert_eq!(all(&store, filter, scan).await.0, expected, "{text}");
        }
    }
    let pages = async |text| all(&store, JobFilter { filter: wanted(text), ..filter(100) }, 5).await.1;
    assert_eq!(pages("status:404").await, 6, "one window at a time");
    assert_eq!(pages("state:gone").await, 1, "the counts show that there are none");
    assert_eq!(pages("").await, 1, "no job has to be skipped");
    assert_eq!(pages("state:cancelled").await, 1, "they have an index");
}

#[tokio::test]
async fn text_is_searched_in_url_data_error_and_id() {
    let home = Home::new();
    let store = home.serve().await;
    let ids = thirty(&home, &store).await;
    let find = async |text: &str| {
        let filter = JobFilter { filter: Condition::Text(text.into()).into(), ..filter(100) };
        all(&store, filter, 100).await.0
    };
    assert_eq!(find("Nr. 17!").await, every(&ids, |n| n == 17));
    assert_eq!(find("/continue/34_").await, ids);
    assert_eq!(find("").await, ids);
    assert_eq!(find("%").await, []);
    assert_eq!(find("-").await, []);
    assert_eq!(find("' OR 1=1").await, []);
    assert_eq!(find(&ids[4].to_string()).await, [ids[4]]);
    assert_eq!(find(&ids[4].to_string().to_uppercase()).await, [ids[4]]);
    let with_error = async |account_id, why| {
        let mut request = home.request();
        request.request.account_id = AccountId(account_id);
        let id = accept(&store, request).await;
        store.jobs().cancel_accounts(&[AccountId(account_id)], why).await.unwrap();
        id
    };
    let failed = with_error(98, "Kommo said 502").await;
    assert_eq!(find("said 502").await, [failed]);
    assert_eq!(find("Said 502").await, [], "upper case is another text");
    let marked = with_error(99, "a*b [c] d? 50% x_y \\ Ü").await;
    for text in ["a*b", "*b [", "[c] d", "] d?", "[", "a*b [c] d?", "50%", "x_y", "y \\", "Ü"] {
        assert_eq!(find(text).await, [marked], "{text}");
    }
    for text in ["a?b", "a*d?", "[ac]", "[*]", "[[]c", "A*B", "a%b", "x%y", "x__", "ü", "\0"] {
        assert_eq!(find(text).await, [], "{text}: no character has a meaning of its own");
    }
}

#[tokio::test]
async fn a_lead_and_an_account_are_found_by_number_and_a_job_by_its_first_digits() {
    let home = Home::new();
    let store = home.serve().await;
    let mut ids = Vec::new();
    for number in 0..4 {
        home.pass(Duration::from_secs(100));
        let mut request = home.request();
        request.request.entity = Some(Entity { kind: EntityKind::Lead, id: 777_000 + number });
        request.request.account_id = AccountId(31_000_000 + number);
        ids.push(accept(&store, request).await);
    }
    for (text, expected) in [
        ("777002".to_owned(), vec![ids[2]]),
        ("31000003".to_owned(), vec![ids[3]]),
        ("77700".to_owned(), Vec::new()),
        ("31000009".to_owned(), Vec::new()),
        (ids[1].short(12), vec![ids[1]]),
        (ids[1].short(8).to_uppercase(), vec![ids[1]]),
        // The ids contain it, but do not begin with it.
        (ids[1].to_string()[9..16].to_owned(), Vec::new()),
    ] {
        let filter = JobFilter { filter: Condition::Text(text.clone()).into(), ..filter(100) };
        assert_eq!(all(&store, filter, 100).await.0, expected, "{text}");
    }
}

#[tokio::test]
async fn an_empty_store_has_one_empty_page() {
    let home = Home::new();
    let store = home.serve().await;
    assert_eq!(store.jobs().list(&filter(9)).await, Ok(Page { jobs: vec![], next: None, stopped: None }));
    let stats = store.jobs().stats().await.unwrap();
    assert!(stats.jobs.values().all(|jobs| *jobs == 0));
    assert_eq!((stats.jobs.len(), stats.oldest_queued), (8, None));
}
