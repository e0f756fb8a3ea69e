//! Which bodies are dropped, and when; what stays; and that their room is used again.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::sqlite::maintenance::bodies::{WINDOW, Walked};
use crate::sqlite::maintenance::delete::{CHUNK_BYTES, DeleteFinished};
use crate::sqlite::maintenance::schedule::Retention;

const HOUR: Duration = Duration::from_secs(3_600);

/// A job of `account` with about a thousand bytes, finished by `next`, or cancelled. A second passes first.
async fn finished(home: &Home, store: &Store, account: i64, next: Option<AfterDelivery>) -> JobId {
    home.pass(Duration::from_secs(1));
    let mut request = home.request();
    request.request.account_id = AccountId(account);
    request.request.data = "x".repeat(1_000).into();
    let id = accept(store, request).await;
    let Some(next) = next else {
        store.cancel(id).await.unwrap();
        return id;
    };
    let [job] = store.claim_work("greet".into(), 9, LEASE).await.unwrap().try_into().unwrap();
    store.handled(handled(job, AfterHandler::Deliver(prepared("hi")))).await.unwrap();
    let [job] = due_deliveries(store).await.try_into().unwrap();
    store.sent(sent(job, next)).await.unwrap();
    id
}

async fn delivered(home: &Home, store: &Store, account: i64) -> JobId {
    finished(home, store, account, Some(AfterDelivery::Delivered)).await
}

/// The jobs without bodies.
async fn bare(store: &Store) -> BTreeSet<JobId> {
    let page = store.jobs(&JobFilter { limit: 500, ..JobFilter::default() }).await.unwrap();
    page.jobs.iter().filter(|job| job.bodies_dropped).map(|job| job.id).collect()
}

#[tokio::test]
async fn beyond_the_budget_the_oldest_delivered_and_cancelled_jobs_lose_their_bodies_and_no_request_is_refused()
 {
    let home = Home::new();
    let store = home.serve().await;
    let dead = finished(&home, &store, 7, Some(AfterDelivery::Dead { answer_lost: false })).await;
    let gone = finished(&home, &store, 7, Some(AfterDelivery::Gone)).await;
    let other = delivered(&home, &store, 8).await;
    let first = delivered(&home, &store, 7).await;
    let second = finished(&home, &store, 7, None).await;
    let third = delivered(&home, &store, 7).await;
    let fourth = delivered(&home, &store, 7).await;
    // Six jobs with a little more than a thousand bytes.
    store.set_budget(Budget { stored: 4_800, ..Budget::default() });
    let mut walked = Walked::default();
    store.drop_beyond_budget(&mut walked).await.unwrap();
    assert_eq!(bare(&store).await, [first, second].into());
    store.drop_beyond_budget(&mut walked).await.unwrap();
    assert_eq!(bare(&store).await, [first, second].into(), "no more than has to be");

    let fifth = delivered(&home, &store, 7).await;
    store.set_budget(Budget { stored: 1, ..Budget::default() });
    store.drop_beyond_budget(&mut walked).await.unwrap();
    let all = [first, second, third, fourth, fifth, other];
    assert_eq!(bare(&store).await, all.into());
    for id in [dead, gone] {
        assert!(store.job(id).await.unwrap().unwrap().0.whole().is_some(), "a person may want to read it");
    }
    assert_eq!(home.number("SELECT sum(stored) FROM account_bytes WHERE account_id = 8").await, 0);
    delivered(&home, &store, 7).await;
    store.retry(dead).await.unwrap();
    assert_eq!(count(&store, StateName::Delivering).await, 1, "what was not dropped can be delivered again");
}

#[tokio::test]
async fn a_job_that_kommo_refused_before_it_took_it_loses_its_bodies_like_any_other() {
    let home = Home::new();
    let store = home.serve().await;
    let mut all = BTreeSet::new();
    for cancelled in [false, true] {
        let job = home.delivering(&store).await;
        all.insert(job.id);
        let delivery = Delivery { refused_at: Some(home.now()), ..job.delivery };
        store.sent(sent(job, AfterDelivery::Wait { delivery, keeps_place: false })).await.unwrap();
        let [job] = due_deliveries(&store).await.try_into().unwrap();
        if cancelled {
            store.cancel(job.id).await.unwrap();
        } else {
            store.sent(sent(job, AfterDelivery::Delivered)).await.unwrap();
        }
    }
    store.set_budget(Budget { stored: 1, ..Budget::default() });
    store.trim().await;
    assert_eq!(bare(&store).await, all);
}

#[tokio::test]
async fn a_job_without_bodies_keeps_all_else() {
    let home = Home::new();
    let store = home.serve().await;
    let id = delivered(&home, &store, 7).await;
    let before = JobSummary::from(&look(&store, id).await);
    store.set_budget(Budget { stored: 1, ..Budget::default() });
    store.trim().await;
    let (record, attempts) = store.job(id).await.unwrap().unwrap();
    assert_eq!(record, JobRecord::WithoutBodies(JobSummary { bodies_dropped: true, ..before }));
    assert_eq!(attempts.len(), 2);
    let find = async |text: &str| {
        let filter = JobFilter { text: Some(text.into()), limit: 9, ..JobFilter::default() };
        store.jobs(&filter).await.unwrap().jobs.len()
    };
    assert_eq!((find("xxx").await, find("/continue/34_").await, find(&id.to_string()).await), (0, 1, 1));
    assert!(matches!(store.retry(id).await, Err(StoreError::WrongState { state: StateName::Delivered, .. })));
}

#[tokio::test]
async fn the_walk_passes_any_number_of_other_jobs_and_each_once() {
    let home = Home::new();
    let store = home.serve().await;
    let others = 2 * WINDOW + 7;
    home.run(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {others}) \
         INSERT INTO jobs (id, state, handler, account_id, origin, return_url, data, received_at, \
         waiting_since, answer_by, finished_at, finished_service_at) \
         SELECT randomblob(16), 'cancelled', 'greet', 8, '', '', '1', 1, 1, 1, 1, 1 FROM n"
    ))
    .await;
    let id = delivered(&home, &store, 7).await;
    store.set_budget(Budget { stored: 900, ..Budget::default() });
    store.trim().await;
    assert!(store.job(id).await.unwrap().unwrap().0.whole().is_none());
    assert_eq!(home.number("SELECT count(*) FROM jobs WHERE data IS NULL").await, 1);
}

#[tokio::test]
async fn bodies_go_before_their_jobs_when_they_may_stay_less_long() {
    let home = Home::new();
    let store = home.serve().await;
    let dead = finished(&home, &store, 7, Some(AfterDelivery::Dead { answer_lost: false })).await;
    let old = [delivered(&home, &store, 7).await, finished(&home, &store, 7, None).await];
    let stop = CancellationToken::new();
    let keeper = tokio::spawn({
        let (store, stop) = (store.clone(), stop.clone());
        let retention = Retention { jobs: 10 * HOUR, bodies: HOUR };
        async move { store.keep(retention, stop).await }
    });
    home.pass(HOUR);
    let young = delivered(&home, &store, 7).await;
    let until = async |done: &dyn Fn(&BTreeSet<JobId>, u64) -> bool| {
        let rounds = async {
            while !done(&bare(&store).await, store.stats().await.unwrap().jobs.values().sum()) {
                home.pass(Duration::from_secs(1));
                store.probe().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, rounds).await.expect("it never happened");
    };
    until(&|bare, _| bare.len() == 2).await;
    assert_eq!(bare(&store).await, old.into());
    assert!(store.job(dead).await.unwrap().unwrap().0.whole().is_some());
    home.pass(HOUR);
    until(&|bare, _| bare.contains(&young)).await;
    home.pass(10 * HOUR);
    until(&|_, jobs| jobs == 0).await;
    stop.cancel();
    keeper.await.unwrap();
    assert_eq!(home.number("SELECT sum(stored) FROM account_bytes").await, 0);
}

#[tokio::test]
async fn the_room_of_dropped_bodies_is_used_again_and_the_file_does_not_grow() {
    let home = Home::new();
    let store = home.serve().await;
    let big = async || {
        let mut request = home.request();
        request.request.data = "x".repeat(300_000).into();
        let id = accept(&store, request).await;
        store.cancel(id).await.unwrap();
    };
    store.set_budget(Budget { stored: 100_000, ..Budget::default() });
    let mut walked = Walked::default();
    let mut pages = Vec::new();
    for _ in 0..10 {
        home.pass(Duration::from_secs(1));
        big().await;
        store.drop_beyond_budget(&mut walked).await.unwrap();
        pages.push(home.number("PRAGMA page_count").await);
    }
    let (early, late) = (pages[1], pages[9]);
    assert!(late <= early + 4, "{pages:?}: ten bodies take the room of one");
}

#[tokio::test]
async fn a_transaction_deletes_no_more_bytes_than_others_can_wait_for() {
    let home = Home::new();
    let store = home.serve().await;
    let bytes = usize::try_from(CHUNK_BYTES).unwrap() * 2 / 5;
    for _ in 0..5 {
        let mut request = home.request();
        request.request.data = "x".repeat(bytes).into();
        store.cancel(accept(&store, request).await).await.unwrap();
    }
    let mut chunks = Vec::new();
    loop {
        let deleted = store.ask(DeleteFinished { before: cutoff(home.now() + HOUR) }).await.unwrap();
        chunks.push(deleted.jobs);
        if !deleted.more {
            break;
        }
    }
    assert_eq!(chunks, [2, 2, 1]);
}
