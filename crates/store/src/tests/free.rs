//! Claims that end because their process died or their lease expired.

use super::*;

#[tokio::test]
async fn jobs_under_way_at_a_crash_resume_at_once() {
    let home = Home::new();
    let store = home.serve().await;
    let delivering = home.delivering(&store).await;
    let (waiting, running, queued) =
        (home.waiting(&store).await, home.running(&store).await, home.queued(&store).await);
    let untouched = stored_job(&store, waiting).await;
    store.0.die().await;

    home.pass(Duration::from_secs(1));
    let store = home.serve().await;
    let record = stored_job(&store, running.id).await;
    assert_eq!(record.state, State::Queued(QueueWait::Until(home.now())));
    assert_eq!((record.handler_attempts, attempts(&store, running.id).await), (0, vec![]));
    assert_eq!(stored_job(&store, waiting).await, untouched);
    let mut lanes = store.work().due(home.now());
    lanes.extend(store.delivery().due(home.now()));
    assert_eq!(lanes, ["greet".into(), ORIGIN.into()]);

    let claimed = store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap();
    let crashes: Vec<_> = claimed.iter().map(|job| (job.id, job.crashes, job.attempts)).collect();
    assert_eq!(crashes, [(running.id, 1, 0), (queued, 0, 0)]);
    assert!(claimed[0].fence > running.fence);
    let claimed = due_deliveries(&store).await;
    let lost: Vec<_> = claimed.iter().map(|job| (job.id, job.delivery.answer_lost, job.attempts)).collect();
    assert_eq!(lost, [(delivering.id, true, 0), (waiting, false, 0)]);
}

#[tokio::test]
async fn crashes_in_a_row_are_counted_until_a_handler_reports() {
    let home = Home::new();
    let store = home.serve().await;
    home.queued(&store).await;
    for crashes in 0..3 {
        let [job] = store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap().try_into().unwrap();
        assert_eq!(job.crashes, crashes);
        store.0.free_leases(None, home.now()).await.unwrap();
    }
    let [job] = store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap().try_into().unwrap();
    assert_eq!((job.crashes, job.attempts), (3, 0));
    assert!(job.last_error.as_deref().is_some_and(|error| error.contains("the process ended")));
    store.jobs().handled(handled(job, AfterHandler::Retry { due_at: home.now() })).await.unwrap();
    let [job] = store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap().try_into().unwrap();
    assert_eq!((job.crashes, job.attempts), (0, 1));
}

#[tokio::test]
async fn a_lease_expires_at_its_end_and_not_before() {
    let home = Home::new();
    let store = home.serve().await;
    let (first, delivery) = (home.running(&store).await, home.delivering(&store).await);
    home.pass(Duration::from_secs(1));
    let second = home.running(&store).await;
    let free = || store.0.free_leases(Some(home.now()), home.now());
    home.pass(LEASE - Duration::from_millis(1_001));
    assert_eq!(free().await, Ok(0));
    home.pass(Duration::from_millis(1));
    assert_eq!(free().await, Ok(2));
    assert_eq!(state(&store, first.id).await, StateName::Queued);
    assert_eq!(state(&store, second.id).await, StateName::Running);
    let State::Delivering { due_at, lease_until, .. } = stored_job(&store, delivery.id).await.state else {
        panic!()
    };
    assert_eq!((due_at, lease_until), (home.now(), None));
    assert_eq!((count(&store, StateName::Queued).await, count(&store, StateName::Running).await), (1, 1));
}
