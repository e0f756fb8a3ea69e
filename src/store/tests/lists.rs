//! What a list costs: no bodies, a bounded page, bounded time, and few at once.

use std::sync::atomic::AtomicU32;

use super::*;
use crate::store::list::{self, Bounds};

async fn jobs(home: &Home, store: &Store, number: u64) -> Vec<JobId> {
    let mut ids = Vec::new();
    for _ in 0..number {
        home.pass(Duration::from_secs(1));
        ids.push(home.queued(store).await);
    }
    ids.reverse();
    ids
}

/// All pages of a list that is read within `bounds`; gives the jobs of each.
async fn pages(store: &Store, mut filter: JobFilter, bounds: &Bounds<'_>) -> Vec<Vec<JobId>> {
    let mut pages = Vec::new();
    loop {
        let page = list::page(&store.0.reading, &filter, bounds).await.unwrap();
        pages.push(page.jobs.iter().map(|job| job.id).collect());
        match page.next {
            Some(next) => filter.before = Some(next),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn nothing_of_a_job_lies_behind_its_bodies() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM pragma_table_info('jobs')").fetch_all(&mut raw).await.unwrap();
    assert_eq!(names[names.len() - 3..], ["data", "completion", "handler_completion"]);
    let listed = list::select(&JobFilter::default(), 9, None);
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
    let bounds = Bounds { scan: 100, bytes: 100_000, time: PATIENCE, elapsed: &elapsed };
    let filter = JobFilter { limit: 100, ..JobFilter::default() };
    let found = pages(&store, filter, &bounds).await;
    assert_eq!(
        found.iter().map(Vec::len).collect::<Vec<_>>(),
        [3, 2],
        "a page ends once it is over the bound"
    );
    assert_eq!(found.concat(), ids);
}

#[tokio::test]
async fn a_search_ends_when_its_time_is_over_and_goes_on_without_gap_or_repeat() {
    let home = Home::new();
    let store = home.serve().await;
    let ids = jobs(&home, &store, 200).await;
    // Each look at the clock costs 0.4 s.
    let looks = AtomicU32::new(0);
    let elapsed = || Duration::from_millis(400) * looks.fetch_add(1, Ordering::SeqCst);
    let bounds = Bounds { scan: 10_000, bytes: 1 << 20, time: Duration::from_secs(1), elapsed: &elapsed };
    for (text, expected) in
        [("Ann", ids.clone()), ("nowhere", Vec::new()), (&*ids[150].to_string(), vec![ids[150]])]
    {
        let filter = JobFilter { text: Some(text.into()), limit: 500, ..JobFilter::default() };
        let found = pages(&store, filter, &bounds).await;
        assert!(found.len() > 2, "{text}: it was never over");
        assert_eq!(found.concat(), expected, "{text}");
    }
    let quick = Bounds { elapsed: &|| Duration::ZERO, ..bounds };
    let filter = JobFilter { text: Some("Ann".into()), limit: 500, ..JobFilter::default() };
    assert_eq!(pages(&store, filter, &quick).await, [ids], "where there is time, it is one page");
}

#[tokio::test]
async fn a_list_waits_for_its_turn_and_not_for_long() {
    let home = Home::new();
    let store = home.serve().await;
    let filter = JobFilter { limit: 9, ..JobFilter::default() };
    let turns = store.hold_lists().await;
    let mut waiting = Box::pin(store.jobs(&filter));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    home.pass(Duration::from_secs(2));
    assert_eq!(waiting.await, Err(StoreError::TooManyLists));
    assert!(store.stats().await.is_ok() && store.job(JobId::new(START, 1)).await.is_ok());
    drop(turns);
    assert!(store.jobs(&filter).await.is_ok());
}
