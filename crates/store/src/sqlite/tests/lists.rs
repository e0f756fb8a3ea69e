//! The cost of a list: no bodies, a bounded page, bounded time, and few at a time.

use std::sync::atomic::AtomicU32;

use super::*;
use crate::jobs::listing::source::Source;
use crate::jobs::listing::walk::{Parts, Selected, Stretch};
use crate::sqlite::jobs::list::{self, Bounds};

/// Reads all pages of a list within `bounds`. Returns the jobs of each page.
async fn pages(store: &Store, mut filter: JobFilter, bounds: &Bounds<'_>) -> Vec<Vec<JobId>> {
    let mut pages = Vec::new();
    loop {
        let page = list::page(&store.sqlite().reading, &filter, START, bounds).await.unwrap();
        pages.push(page.jobs.iter().map(|job| job.id).collect());
        match page.next {
            Some(next) => filter.before = Some(next),
            None => return pages,
        }
    }
}

async fn jobs(home: &Home, store: &Store, number: u64) -> Vec<JobId> {
    let mut ids = Vec::new();
    for _ in 0..number {
        home.pass(Duration::from_secs(1));
        ids.push(home.queued(store).await);
    }
    ids.reverse();
    ids
}

#[tokio::test]
async fn bodies_are_the_last_columns_of_a_job() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM pragma_table_info('jobs')").fetch_all(&mut raw).await.unwrap();
    assert_eq!(names[names.len() - 4..], ["data", "earlier_data", "completion", "handler_completion"]);
    let stretch = Stretch { before: None, oldest: None, parts: Parts::All, jobs: 0, is_last: true };
    let listed = list::select(Selected {
        source: &Source::All,
        filter: &Filter::default(),
        now: START,
        limit: 9,
        stretch: &stretch,
    });
    let listed = listed.sql().as_str().replace("data IS NULL AS bodies_dropped", "");
    assert!(!listed.contains("data") && !listed.contains("completion"), "{listed}");
}

#[tokio::test]
async fn a_page_is_bounded_by_the_bytes_of_its_texts() {
    let home = Home::new();
    let store = home.serve().await;
    let ids = jobs(&home, &store, 5).await;
    home.run("UPDATE jobs SET last_error = replace(hex(zeroblob(20000)), '00', 'xx')").await;
    let elapsed = || Duration::ZERO;
    let bounds = Bounds { scan: 100, bytes: 100_000, time: COMMIT_TIMEOUT, elapsed: &elapsed };
    let filter = JobFilter { limit: 100, ..JobFilter::default() };
    let found = pages(&store, filter, &bounds).await;
    assert_eq!(
        found.iter().map(Vec::len).collect::<Vec<_>>(),
        [3, 2],
        "a page ends once it exceeds the bound"
    );
    assert_eq!(found.concat(), ids);
}

#[tokio::test]
async fn a_search_stops_in_time_and_continues_without_gaps_or_repeats() {
    let home = Home::new();
    let store = home.serve().await;
    let ids = jobs(&home, &store, 200).await;
    // Each reading of the clock advances it by 0.4 s.
    let readings = AtomicU32::new(0);
    let elapsed = || Duration::from_millis(400) * readings.fetch_add(1, Ordering::SeqCst);
    let bounds = Bounds { scan: 10_000, bytes: 1 << 20, time: Duration::from_secs(1), elapsed: &elapsed };
    for (text, expected) in
        [("Ann", ids.clone()), ("nowhere", Vec::new()), (&*ids[150].to_string(), vec![ids[150]])]
    {
        let filter =
            JobFilter { filter: Condition::Text(text.into()).into(), limit: 500, ..JobFilter::default() };
        let found = pages(&store, filter, &bounds).await;
        assert!(found.len() > 2, "{text}: the time never ran out");
        assert_eq!(found.concat(), expected, "{text}");
    }
    let quick = Bounds { elapsed: &|| Duration::ZERO, ..bounds };
    let filter = JobFilter { filter: wanted("Ann"), limit: 500, ..JobFilter::default() };
    assert_eq!(pages(&store, filter, &quick).await, [ids], "with enough time, there is one page");
}

/// Adds delivered jobs, all younger than `job`: too many for one scan of a list.
async fn many_more(home: &Home, store: &Store, job: JobId) {
    let mut raw = home.raw().await;
    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM pragma_table_info('jobs') WHERE name <> 'id'")
            .fetch_all(&mut raw)
            .await
            .unwrap();
    let (names, id) = (names.join(", "), job.as_uuid().simple());
    let copies = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 30000)
         INSERT INTO jobs (id, {names}) SELECT unhex('ffffffff' || printf('%024x', n)), {names}
         FROM n, jobs WHERE id = unhex('{id}')"
    );
    store.sqlite().sql(copies).await.unwrap();
    store.sqlite().sql("UPDATE job_counts SET jobs = jobs + 30000 WHERE state = 'delivered'").await.unwrap();
}

#[tokio::test]
async fn a_few_jobs_of_a_state_are_found_at_once_among_many_others() {
    let home = Home::new();
    let store = home.serve().await;
    let dead = home.dead(&store).await;
    let gone = home.delivering(&store).await;
    let gone_id = gone.id;
    store.jobs().sent(sent(gone, AfterDelivery::Gone)).await.unwrap();
    let delivered = home.delivering(&store).await;
    let delivered_id = delivered.id;
    store.jobs().sent(sent(delivered, AfterDelivery::Delivered)).await.unwrap();
    let on_its_way = home.delivering(&store).await.id;
    let waits = home.waiting(&store).await;
    let running = home.running(&store).await.id;
    let queued = home.queued(&store).await;
    many_more(&home, &store, delivered_id).await;

    // A list that scanned the other jobs would stop before it reached these.
    let elapsed = || Duration::ZERO;
    let bounds = Bounds { scan: 20_000, bytes: 1 << 20, time: COMMIT_TIMEOUT, elapsed: &elapsed };
    let page =
        async |filter: &JobFilter| list::page(&store.sqlite().reading, filter, START, &bounds).await.unwrap();
    for (state, expected) in [
        (StateName::Queued, vec![queued]),
        (StateName::Running, vec![running]),
        (StateName::Delivering, vec![waits, on_its_way]),
        (StateName::Dead, vec![dead]),
        (StateName::Gone, vec![gone_id]),
    ] {
        let plain = JobFilter { filter: Condition::State(state).into(), limit: 9, ..JobFilter::default() };
        let named =
            JobFilter { filter: plain.filter.clone().and_all(wanted("handler:greet")), ..plain.clone() };
        let searched = JobFilter { filter: plain.filter.clone().and_all(wanted("Ann")), ..plain.clone() };
        for filter in [&plain, &named, &searched] {
            let found = page(filter).await;
            let ids: Vec<JobId> = found.jobs.iter().map(|job| job.id).collect();
            assert_eq!((ids, found.next, found.stopped), (expected.clone(), None, None), "{filter:?}");
        }
        let one = page(&JobFilter { limit: 1, ..plain.clone() }).await;
        assert_eq!((one.jobs[0].id, one.next, one.stopped), (expected[0], Some(expected[0]), None));
        let other = JobFilter { filter: plain.filter.clone().and_all(wanted("handler:other")), ..plain };
        assert_eq!(page(&other).await, Page { jobs: Vec::new(), next: None, stopped: None });
    }

    // A filter without an index takes a second page, and the first one says so.
    let mut filter =
        JobFilter { filter: wanted("-error:x -outcome:handler"), limit: 9, ..JobFilter::default() };
    let first = page(&filter).await;
    assert!(first.jobs.is_empty() && first.next.is_some());
    assert_eq!(first.stopped, Some(Stopped::Jobs(20_000)));
    filter.before = first.next;
    let second = page(&filter).await;
    let found: Vec<JobId> = second.jobs.iter().map(|job| job.id).collect();
    assert_eq!((found, second.next, second.stopped), (vec![queued, running], None, None));
    filter = JobFilter { filter: wanted("state:cancelled"), ..filter };
    assert_eq!(page(&filter).await, Page { jobs: Vec::new(), next: None, stopped: None });
}

/// Adds copies of a job, each 4,096 ms after the one before, from 4,096 · (`after` + 1) ms after 1970 on.
async fn copy(home: &Home, store: &Store, job: JobId, after: u32, copies: u32) {
    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM pragma_table_info('jobs') WHERE name <> 'id'")
            .fetch_all(&mut home.raw().await)
            .await
            .unwrap();
    let (names, id) = (names.join(", "), job.as_uuid().simple());
    let insert = format!(
        "WITH RECURSIVE n (n) AS (SELECT {after} + 1 UNION ALL SELECT n + 1 FROM n WHERE n < {after} + {copies})
         INSERT INTO jobs (id, {names}) SELECT unhex(printf('%012x%020x', 4096 * n, 0)), {names}
         FROM n, jobs WHERE id = unhex('{id}')"
    );
    store.sqlite().sql(insert).await.unwrap();
    let count = format!(
        "UPDATE job_counts SET jobs = jobs + {copies} WHERE state = (SELECT state FROM jobs WHERE id = unhex('{id}'))"
    );
    store.sqlite().sql(count).await.unwrap();
}

#[tokio::test]
async fn many_unfinished_jobs_are_found_among_the_newest_jobs_and_behind_them() {
    let home = Home::new();
    let store = home.serve().await;
    let delivered = home.delivering(&store).await;
    let delivered_id = delivered.id;
    store.jobs().sent(sent(delivered, AfterDelivery::Delivered)).await.unwrap();
    let waits = home.waiting(&store).await;
    copy(&home, &store, waits, 0, 20_500).await;
    copy(&home, &store, delivered_id, 20_500, 20_000).await;
    copy(&home, &store, waits, 40_500, 3).await;
    store
        .sqlite()
        .sql("UPDATE jobs SET handler = 'other' WHERE substr(hex(id), 7, 6) = '000000'")
        .await
        .unwrap();
    let elapsed = || Duration::ZERO;
    // The smaller bound ends a page among the entries of the index.
    for scan in [100_000, 24_000] {
        let bounds = Bounds { scan, bytes: 1 << 20, time: COMMIT_TIMEOUT, elapsed: &elapsed };
        for (text, expected) in [
            ("state:delivering", 20_504),
            ("state:delivering handler:other", 5),
            ("state:delivering error:x", 0),
        ] {
            let asked = JobFilter { filter: wanted(text), limit: 7_000, ..JobFilter::default() };
            let found = pages(&store, asked, &bounds).await.concat();
            assert_eq!(found.len(), expected, "{text}");
            assert!(found.windows(2).all(|pair| pair[0] > pair[1]), "{text}: newest first, and each once");
        }
    }
}

/// The index tells where windows end, and nothing else: a list finds the same jobs without it, with all jobs indexed, with
/// some, and with void runs.
#[tokio::test]
async fn a_long_list_finds_the_same_jobs_with_and_without_the_search_index() {
    let home = Home::new();
    let store = home.serve().await;
    let dead = home.dead(&store).await;
    copy(&home, &store, dead, 0, 15_000).await;
    store
        .sqlite()
        .sql("UPDATE jobs SET handler = 'other' WHERE substr(hex(id), 8, 5) = '00000'")
        .await
        .unwrap();
    let elapsed = || Duration::ZERO;
    let bounds = Bounds { scan: 10_000, bytes: 1 << 20, time: COMMIT_TIMEOUT, elapsed: &elapsed };
    let listed = async |since: &str| {
        let filter = wanted(&format!("-handler:greet -error:nothing -state:queued,running {since}"));
        let asked = JobFilter { filter, limit: 9, ..JobFilter::default() };
        pages(&store, asked, &bounds).await.concat()
    };
    let without = listed("").await;
    assert_eq!(without.len(), 58, "each 256th job");
    let since = format!("since:{}", without[20].received_at());
    let part = listed(&since).await;
    store.sqlite().index_all().await;
    assert_eq!(listed("").await, without);
    assert_eq!(listed(&since).await, part);
    for indexed in [12_000, 7_000, 300] {
        let retreat = format!(
            "UPDATE search_progress SET indexed_until = unhex(printf('%012x%020x', 4096 * {indexed}, 0))"
        );
        store.sqlite().sql(retreat).await.unwrap();
        assert_eq!(listed("").await, without, "{indexed}");
    }
}
