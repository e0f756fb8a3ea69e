//! A report on a lost claim changes nothing and stores no attempt.

use super::*;

async fn lose_leases(home: &Home, store: &Store) {
    home.pass(LEASE);
    assert_eq!(store.0.free_leases(Some(home.now()), home.now()).await, Ok(1));
}

#[tokio::test]
async fn the_report_of_a_worker_without_its_lease_is_stale() {
    let home = Home::new();
    let store = home.serve().await;
    let old = home.running(&store).await;
    let id = old.id;
    lose_leases(&home, &store).await;
    let before = stored_job(&store, id).await;
    let report = |job| HandlerReport {
        error: Some("late".into()),
        ..handled(job, AfterHandler::Deliver(prepared("late")))
    };
    assert_eq!(store.jobs().handled(report(old)).await, Ok(Written::Stale));
    assert_eq!((stored_job(&store, id).await, attempts(&store, id).await), (before, vec![]));
    assert_eq!(count(&store, StateName::Queued).await, 1);
}

#[tokio::test]
async fn the_report_of_a_worker_is_stale_after_another_claim() {
    let home = Home::new();
    let store = home.serve().await;
    let old = home.running(&store).await;
    let id = old.id;
    lose_leases(&home, &store).await;
    let [new] = store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap().try_into().unwrap();
    let retry = AfterHandler::Retry { due_at: home.now() };
    assert_eq!(store.jobs().handled(handled(old, retry)).await, Ok(Written::Stale));
    assert_eq!(state(&store, id).await, StateName::Running);
    let deliver = AfterHandler::Deliver(prepared("hi"));
    assert_eq!(store.jobs().handled(handled(new, deliver)).await, Ok(Written::Done));
    assert_eq!(attempts(&store, id).await.len(), 1);
}

#[tokio::test]
async fn only_the_newer_of_two_claims_in_one_batch_is_written() {
    let home = Home::new();
    let store = home.serve().await;
    let old = home.running(&store).await;
    let id = old.id;
    lose_leases(&home, &store).await;
    let [new] = store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap().try_into().unwrap();
    let old = store.jobs().handled(handled(old, AfterHandler::Retry { due_at: home.now() }));
    let new = store.jobs().handled(handled(new, AfterHandler::Deliver(prepared("hi"))));
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
async fn the_report_of_a_sender_without_its_lease_is_stale() {
    let home = Home::new();
    let store = home.serve().await;
    let old = home.delivering(&store).await;
    let id = old.id;
    lose_leases(&home, &store).await;
    let [new] = due_deliveries(&store).await.try_into().unwrap();
    assert_eq!(
        store.jobs().sent(sent(old, AfterDelivery::Dead { answer_lost: false })).await,
        Ok(Written::Stale)
    );
    assert_eq!(state(&store, id).await, StateName::Delivering);
    assert_eq!(attempts(&store, id).await.len(), 1);
    assert_eq!(store.jobs().sent(sent(new, AfterDelivery::Delivered)).await, Ok(Written::Done));
    assert_eq!(count(&store, StateName::Dead).await, 0);
}

#[tokio::test]
async fn a_report_on_a_cancelled_job_is_stale() {
    let home = Home::new();
    let store = home.serve().await;
    let (running, delivering) = (home.running(&store).await, home.delivering(&store).await);
    for id in [running.id, delivering.id] {
        store.jobs().cancel(id).await.unwrap();
    }
    let ids = [running.id, delivering.id];
    let deliver = AfterHandler::Deliver(prepared("late"));
    assert_eq!(store.jobs().handled(handled(running, deliver)).await, Ok(Written::Stale));
    assert_eq!(store.jobs().sent(sent(delivering, AfterDelivery::Delivered)).await, Ok(Written::Stale));
    for (id, kept) in ids.into_iter().zip([0, 1]) {
        assert_eq!(state(&store, id).await, StateName::Cancelled);
        assert_eq!(attempts(&store, id).await.len(), kept);
    }
}

#[tokio::test]
async fn a_report_on_a_freed_claim_is_stale() {
    let home = Home::new();
    let store = home.serve().await;
    let (running, delivering) = (home.running(&store).await, home.delivering(&store).await);
    home.pass(LEASE);
    assert_eq!(store.0.free_leases(Some(home.now()), home.now()).await, Ok(2));
    let ids = [running.id, delivering.id];
    let before = [stored_job(&store, ids[0]).await, stored_job(&store, ids[1]).await];
    let deliver = AfterHandler::Deliver(prepared("late"));
    assert_eq!(store.jobs().handled(handled(running, deliver)).await, Ok(Written::Stale));
    assert_eq!(store.jobs().sent(sent(delivering, AfterDelivery::Delivered)).await, Ok(Written::Stale));
    assert_eq!([stored_job(&store, ids[0]).await, stored_job(&store, ids[1]).await], before);
}
