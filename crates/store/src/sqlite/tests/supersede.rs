//! Which jobs a later job with the same `return_url` supersedes, and what an operator may still do with them.

use super::*;
use crate::tests::supersede::again;

const FORCED: RetryOptions = RetryOptions { send: Resend::Last, force: true };

async fn superseded_by(home: &Home, id: JobId) -> Option<JobId> {
    let mut raw = home.raw().await;
    let sql = "SELECT superseded_by FROM jobs WHERE id = ?";
    let found: Option<uuid::Uuid> =
        sqlx::query_scalar(sql).bind(id.as_uuid()).fetch_one(&mut raw).await.unwrap();
    found.map(JobId::from_uuid)
}

/// Adds a job of the first bot in the given state.
async fn in_state(home: &Home, store: &Store, state: StateName) -> JobId {
    match state {
        StateName::Queued => home.queued(store).await,
        StateName::Running => home.running(store).await.id,
        StateName::AwaitingCallback => {
            let job = home.running(store).await;
            let id = job.id;
            store.jobs().handled(handled(job, AfterHandler::AwaitCallback)).await.unwrap();
            id
        }
        StateName::Delivering => home.waiting(store).await,
        StateName::Dead => home.dead(store).await,
        StateName::Delivered | StateName::Gone => {
            let job = home.delivering(store).await;
            let id = job.id;
            let delivered = state == StateName::Delivered;
            let next = if delivered { AfterDelivery::Delivered } else { AfterDelivery::Gone };
            store.jobs().sent(sent(job, next)).await.unwrap();
            id
        }
        StateName::Cancelled => {
            let id = home.queued(store).await;
            store.jobs().cancel(id).await.unwrap();
            id
        }
    }
}

#[tokio::test]
async fn a_later_job_with_the_same_return_url_supersedes_what_may_still_be_sent() {
    for state in StateName::ALL {
        let home = Home::new();
        let store = home.serve().await;
        let id = in_state(&home, &store, state).await;
        let other = accept(&store, home.request()).await;
        assert_eq!(superseded_by(&home, id).await, None, "{state}: it belongs to another bot");
        let newer = accept(&store, again(&home)).await;
        let is_over = matches!(state, StateName::Delivered | StateName::Cancelled);
        assert_eq!(superseded_by(&home, id).await, (!is_over).then_some(newer), "{state}");
        let newest = accept(&store, again(&home)).await;
        assert_eq!(superseded_by(&home, newer).await, Some(newest));
        assert_eq!((superseded_by(&home, newest).await, superseded_by(&home, other).await), (None, None));
    }
}

#[tokio::test]
async fn a_repeated_or_refused_request_supersedes_nothing() {
    let home = Home::new();
    let store = home.serve().await;
    let first = home.request();
    let id = accept(&store, first.clone()).await;
    let repeated = NewJob { id: JobId::new(home.now(), 99), ..first };
    assert!(store.jobs().accept(repeated, COMMIT_TIMEOUT).await.unwrap().duplicate);
    store.maintenance().set_budget(Budget { unfinished: 1, ..Budget::default() });
    assert!(matches!(
        store.jobs().accept(again(&home), COMMIT_TIMEOUT).await,
        Err(StoreError::OverBudget(_))
    ));
    assert_eq!(superseded_by(&home, id).await, None);
}

#[tokio::test]
async fn jobs_of_one_transaction_supersede_each_other_in_order_of_arrival() {
    let home = Home::new();
    let store = home.serve().await;
    let old = accept(&store, home.request()).await;
    // The clock was set back, but the order of arrival counts.
    home.clock.set(home.now() - Duration::from_secs(60));
    let jobs = [again(&home), home.request(), again(&home)];
    let ids = jobs.each_ref().map(|job| job.id);
    let open = hold(&store).await;
    let stored = futures_util::future::join_all(jobs.map(|job| store.jobs().accept(job, COMMIT_TIMEOUT)));
    let release = async {
        gathered(&store, 3).await;
        open.send(()).unwrap();
    };
    let (stored, ()) = tokio::join!(stored, release);
    assert!(stored.iter().all(Result::is_ok));
    let mut by = Vec::new();
    for id in [old, ids[0], ids[1], ids[2]] {
        by.push(superseded_by(&home, id).await);
    }
    assert_eq!(by, [Some(ids[0]), Some(ids[2]), None, None]);
}

#[tokio::test]
async fn the_sender_learns_whether_a_continue_was_tried_and_which_job_supersedes_it() {
    let home = Home::new();
    let store = home.serve().await;
    let id = home.waiting(&store).await;
    let newer = accept(&store, again(&home)).await;
    let [mut job] = due_deliveries(&store).await.try_into().unwrap();
    assert_eq!((job.id, job.tried, job.superseded_by), (id, false, Some(newer)));
    assert_eq!(job.superseded(), None, "its first continue is sent");
    job.tried = true;
    let next = AfterDelivery::Retry { due_at: home.now(), delivery: Delivery::default() };
    store.jobs().sent(DeliveryReport { job, attempt: None, next, error: None }).await.unwrap();
    let [job] = due_deliveries(&store).await.try_into().unwrap();
    assert_eq!(job.superseded(), Some(newer), "an uncharged continue was sent too");
}

#[tokio::test]
async fn a_continue_that_may_have_been_sent_before_a_crash_counts_as_tried() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    let newer = accept(&store, again(&home)).await;
    home.pass(LEASE);
    assert_eq!(store.sqlite().free_leases(Some(home.now()), home.now()).await, Ok(1));
    let [freed] = due_deliveries(&store).await.try_into().unwrap();
    assert_eq!((freed.id, freed.superseded()), (job.id, Some(newer)));
}

#[tokio::test]
async fn a_retry_of_a_superseded_job_is_refused_unless_forced() {
    for state in [StateName::Dead, StateName::Gone] {
        let home = Home::new();
        let store = home.serve().await;
        let id = in_state(&home, &store, state).await;
        let newer = accept(&store, again(&home)).await;
        assert_eq!(store.jobs().retry(id).await, Err(StoreError::Superseded { id, newer }));
        assert_eq!(super::state(&store, id).await, state);
        store.jobs().retry_with(id, FORCED).await.unwrap();
        let [job] = due_deliveries(&store).await.try_into().unwrap();
        assert_eq!((job.id, job.superseded()), (id, None), "{state}");
        assert_eq!(superseded_by(&home, id).await, None, "a repeated continue may be sent too");
    }
}
