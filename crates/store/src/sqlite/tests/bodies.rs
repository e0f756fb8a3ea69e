//! Dropped bodies: which jobs lose them, when, and how their space is reused.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::maintenance::bodies::{WINDOW_JOBS, Walked};
use crate::maintenance::chunks::CHUNK_BYTES;
use crate::sqlite::maintenance::delete::DeleteFinished;
use crate::tests::bodies::{bare, delivered, finished};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn jobs_beyond_the_budget_lose_their_bodies_oldest_first_and_requests_are_accepted() {
    let home = Home::new();
    let store = home.serve().await;
    let dead = finished(&home, &store, 7, Some(AfterDelivery::Dead { answer_lost: false })).await;
    let gone = finished(&home, &store, 7, Some(AfterDelivery::Gone)).await;
    let other = delivered(&home, &store, 8).await;
    let first = delivered(&home, &store, 7).await;
    let second = finished(&home, &store, 7, None).await;
    let third = delivered(&home, &store, 7).await;
    let fourth = delivered(&home, &store, 7).await;
    // Six jobs of slightly more than a thousand bytes.
    store.maintenance().set_budget(Budget { stored: 4_800, ..Budget::default() });
    let mut walked = Walked::default();
    store.sqlite().drop_beyond_budget(&mut walked).await.unwrap();
    assert_eq!(bare(&store).await, [first, second].into());
    store.sqlite().drop_beyond_budget(&mut walked).await.unwrap();
    assert_eq!(bare(&store).await, [first, second].into(), "no more than necessary");

    let fifth = delivered(&home, &store, 7).await;
    store.maintenance().set_budget(Budget { stored: 1, ..Budget::default() });
    store.sqlite().drop_beyond_budget(&mut walked).await.unwrap();
    let all = [first, second, third, fourth, fifth, other];
    assert_eq!(bare(&store).await, all.into());
    for id in [dead, gone] {
        assert!(
            store.jobs().get(id).await.unwrap().unwrap().0.whole().is_some(),
            "an operator may want to read it"
        );
    }
    assert_eq!(home.number("SELECT sum(stored) FROM account_bytes WHERE account_id = 8").await, 0);
    delivered(&home, &store, 7).await;
    store.jobs().retry(dead).await.unwrap();
    assert_eq!(count(&store, StateName::Delivering).await, 1, "a job with its bodies can be delivered again");
}

#[tokio::test]
async fn the_walk_skips_any_number_of_other_jobs_and_visits_each_once() {
    let home = Home::new();
    let store = home.serve().await;
    let others = 2 * WINDOW_JOBS + 7;
    home.run(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {others}) \
         INSERT INTO jobs (id, state, handler, account_id, origin, return_url, data, received_at, \
         waiting_since, answer_by, finished_at, finished_service_at) \
         SELECT randomblob(16), 'cancelled', 'greet', 8, '', '', '1', 1, 1, 1, 1, 1 FROM n"
    ))
    .await;
    let id = delivered(&home, &store, 7).await;
    store.maintenance().set_budget(Budget { stored: 900, ..Budget::default() });
    store.maintenance().trim().await;
    assert!(store.jobs().get(id).await.unwrap().unwrap().0.whole().is_none());
    assert_eq!(home.number("SELECT count(*) FROM jobs WHERE data IS NULL").await, 1);
}

#[tokio::test]
async fn bodies_are_dropped_before_their_jobs_if_their_retention_is_shorter() {
    let home = Home::new();
    let store = home.serve().await;
    let dead = finished(&home, &store, 7, Some(AfterDelivery::Dead { answer_lost: false })).await;
    let old = [delivered(&home, &store, 7).await, finished(&home, &store, 7, None).await];
    let stop = CancellationToken::new();
    let task = tokio::spawn({
        let (store, stop) = (store.clone(), stop.clone());
        let retention = Retention { jobs: 10 * HOUR, bodies: HOUR };
        async move { store.maintenance().run(retention, stop).await }
    });
    home.pass(HOUR);
    let young = delivered(&home, &store, 7).await;
    let until = async |done: &dyn Fn(&BTreeSet<JobId>, u64) -> bool| {
        let rounds = async {
            while !done(&bare(&store).await, store.jobs().stats().await.unwrap().jobs.values().sum()) {
                home.pass(Duration::from_secs(1));
                store.probe().await.unwrap();
            }
        };
        tokio::time::timeout(COMMIT_TIMEOUT, rounds).await.expect("the condition was never met");
    };
    until(&|bare, _| bare.len() == 2).await;
    assert_eq!(bare(&store).await, old.into());
    assert!(store.jobs().get(dead).await.unwrap().unwrap().0.whole().is_some());
    home.pass(HOUR);
    until(&|bare, _| bare.contains(&young)).await;
    home.pass(10 * HOUR);
    until(&|_, jobs| jobs == 0).await;
    stop.cancel();
    task.await.unwrap();
    assert_eq!(home.number("SELECT sum(stored) FROM account_bytes").await, 0);
}

#[tokio::test]
async fn the_space_of_dropped_bodies_is_reused_and_the_file_does_not_grow() {
    let home = Home::new();
    let store = home.serve().await;
    let big = async || {
        let mut request = home.request();
        request.request.data = "x".repeat(300_000).into();
        let id = accept(&store, request).await;
        store.jobs().cancel(id).await.unwrap();
    };
    store.maintenance().set_budget(Budget { stored: 100_000, ..Budget::default() });
    let mut walked = Walked::default();
    let mut pages = Vec::new();
    for _ in 0..10 {
        home.pass(Duration::from_secs(1));
        big().await;
        store.sqlite().drop_beyond_budget(&mut walked).await.unwrap();
        pages.push(home.number("PRAGMA page_count").await);
    }
    let (early, late) = (pages[1], pages[9]);
    assert!(late <= early + 4, "{pages:?}: ten bodies take the space of one");
}

#[tokio::test]
async fn a_transaction_deletes_a_bounded_number_of_bytes() {
    let home = Home::new();
    let store = home.serve().await;
    let bytes = usize::try_from(CHUNK_BYTES).unwrap() * 2 / 5;
    for _ in 0..5 {
        let mut request = home.request();
        request.request.data = "x".repeat(bytes).into();
        store.jobs().cancel(accept(&store, request).await).await.unwrap();
    }
    let mut chunks = Vec::new();
    loop {
        let deleted =
            store.sqlite().execute(DeleteFinished { before: cutoff(home.now() + HOUR) }).await.unwrap();
        chunks.push(deleted.jobs);
        if !deleted.more {
            break;
        }
    }
    assert_eq!(chunks, [2, 2, 1]);
}
