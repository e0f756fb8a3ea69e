//! Who lost its claim changes nothing, and leaves no trace.

use super::*;
use crate::sqlite::maintenance::delete::Free;

async fn lose_leases(home: &Home, store: &Store) {
    home.pass(LEASE);
    assert_eq!(store.ask(Free { until: Some(home.now()), now: home.now() }).await, Ok(1));
}

#[tokio::test]
async fn a_worker_that_lost_its_lease() {
    let home = Home::new();
    let store = home.serve().await;
    let old = home.running(&store).await;
    let id = old.id;
    lose_leases(&home, &store).await;
    let before = look(&store, id).await;
    let report = |job| HandlerReport {
        error: Some("late".into()),
        ..handled(job, AfterHandler::Deliver(prepared("late")))
    };
    assert_eq!(store.handled(report(old)).await, Ok(Written::Stale));
    assert_eq!((look(&store, id).await, attempts(&store, id).await), (before, vec![]));
    assert_eq!(count(&store, StateName::Queued).await, 1);
}

#[tokio::test]
async fn a_worker_whose_job_another_one_has() {
    let home = Home::new();
    let store = home.serve().await;
    let old = home.running(&store).await;
    let id = old.id;
    lose_leases(&home, &store).await;
    let [new] = store.claim_work("greet".into(), 9, LEASE).await.unwrap().try_into().unwrap();
    let retry = AfterHandler::Retry { due_at: home.now() };
    assert_eq!(store.handled(handled(old, retry)).await, Ok(Written::Stale));
    assert_eq!(state(&store, id).await, StateName::Running);
    let deliver = AfterHandler::Deliver(prepared("hi"));
    assert_eq!(store.handled(handled(new, deliver)).await, Ok(Written::Done));
    assert_eq!(attempts(&store, id).await.len(), 1);
}

#[tokio::test]
async fn two_claims_that_report_in_one_batch() {
    let home = Home::new();
    let store = home.serve().await;
    let old = home.running(&store).await;
    let id = old.id;
    lose_leases(&home, &store).await;
    let [new] = store.claim_work("greet".into(), 9, LEASE).await.unwrap().try_into().unwrap();
    let old = store.handled(handled(old, AfterHandler::Retry { due_at: home.now() }));
    let new = store.handled(handled(new, AfterHandler::Deliver(prepared("hi"))));
    let open = hold(&store).await;
    let release = async {
        gathered(&store, 2).await;
        open.send(()).unwrap();
    };
    let (old, new, ()) = tokio::join!(old, new, release);
    assert_eq!((old, new), (Ok(Written::Stale), Ok(Written::Done)));
    assert_eq!(state(&store, id).await, StateName::Delivering);
    assert_eq!(attempts(&store, id).await.len(), 1);
    assert_eq!((count(&store, StateName::Running).await, count(&store, StateName::Queued).await), (0, 0));
}

#[tokio::test]
async fn a_sender_that_lost_its_lease() {
    let home = Home::new();
    let store = home.serve().await;
    let old = home.delivering(&store).await;
    let id = old.id;
    lose_leases(&home, &store).await;
    let [new] = due_deliveries(&store).await.try_into().unwrap();
    assert_eq!(store.sent(sent(old, AfterDelivery::Dead { answer_lost: false })).await, Ok(Written::Stale));
    assert_eq!(state(&store, id).await, StateName::Delivering);
    assert_eq!(attempts(&store, id).await.len(), 1);
    assert_eq!(store.sent(sent(new, AfterDelivery::Delivered)).await, Ok(Written::Done));
    assert_eq!(count(&store, StateName::Dead).await, 0);
}

#[tokio::test]
async fn a_report_on_a_job_that_was_cancelled() {
    let home = Home::new();
    let store = home.serve().await;
    let (running, delivering) = (home.running(&store).await, home.delivering(&store).await);
    for id in [running.id, delivering.id] {
        store.cancel(id).await.unwrap();
    }
    let ids = [running.id, delivering.id];
    let deliver = AfterHandler::Deliver(prepared("late"));
    assert_eq!(store.handled(handled(running, deliver)).await, Ok(Written::Stale));
    assert_eq!(store.sent(sent(delivering, AfterDelivery::Delivered)).await, Ok(Written::Stale));
    for (id, kept) in ids.into_iter().zip([0, 1]) {
        assert_eq!(state(&store, id).await, StateName::Cancelled);
        assert_eq!(attempts(&store, id).await.len(), kept);
    }
}

#[tokio::test]
async fn a_report_that_comes_after_its_lease_and_before_the_next_claim() {
    let home = Home::new();
    let store = home.serve().await;
    let (running, delivering) = (home.running(&store).await, home.delivering(&store).await);
    home.pass(LEASE);
    assert_eq!(store.ask(Free { until: Some(home.now()), now: home.now() }).await, Ok(2));
    let ids = [running.id, delivering.id];
    let before = [look(&store, ids[0]).await, look(&store, ids[1]).await];
    let deliver = AfterHandler::Deliver(prepared("late"));
    assert_eq!(store.handled(handled(running, deliver)).await, Ok(Written::Stale));
    assert_eq!(store.sent(sent(delivering, AfterDelivery::Delivered)).await, Ok(Written::Stale));
    assert_eq!([look(&store, ids[0]).await, look(&store, ids[1]).await], before);
}

/// A claim must never fit a later one of the same job, whatever the states in between are.
#[tokio::test]
async fn whoever_takes_a_job_from_its_claim_raises_the_fence() {
    let home = Home::new();
    let store = home.serve().await;
    let fence = async |id: JobId| {
        let mut raw = home.raw().await;
        let sql = "SELECT fence FROM jobs WHERE id = ?";
        sqlx::query_scalar::<_, i64>(sql).bind(id.as_uuid()).fetch_one(&mut raw).await.unwrap()
    };
    let running = home.running(&store).await;
    store.cancel(running.id).await.unwrap();
    assert_eq!(fence(running.id).await, running.fence.0 + 1, "cancelled while it ran");
    let delivering = home.delivering(&store).await;
    store.cancel(delivering.id).await.unwrap();
    assert_eq!(fence(delivering.id).await, delivering.fence.0 + 1, "cancelled on its way");
    let (running, delivering) = (home.running(&store).await, home.delivering(&store).await);
    store.ask(Free { until: None, now: home.now() }).await.unwrap();
    assert_eq!(fence(running.id).await, running.fence.0 + 1, "freed while it ran");
    assert_eq!(fence(delivering.id).await, delivering.fence.0 + 1, "freed on its way");
    let dead = home.dead(&store).await;
    let before = fence(dead).await;
    store.retry(dead).await.unwrap();
    assert_eq!(fence(dead).await, before + 1, "retried");
    let waiting = home.waiting(&store).await;
    let before = fence(waiting).await;
    store.give_up_unknown(|_, _| false);
    home.pass(Duration::from_secs(2));
    store.end_unclaimed(store.moment(), Duration::from_secs(1)).await.unwrap();
    assert_eq!(state(&store, waiting).await, StateName::Dead);
    assert_eq!(fence(waiting).await, before + 1, "given up");
}
