//! The machine's clock is set, by hours: nobody loses a claim, and nobody waits for a moment that has been.

use tokio_util::sync::CancellationToken;

use super::*;

const HOURS: Duration = Duration::from_secs(3 * 3_600);

/// Lets the keeper see `seconds` pass.
async fn keep(home: &Home, store: &Store, seconds: u32) {
    let stop = CancellationToken::new();
    let keeper = tokio::spawn({
        let (store, stop) = (store.clone(), stop.clone());
        async move { store.keep(HOURS * 99, stop).await }
    });
    for _ in 0..seconds {
        store.probe().await.unwrap();
        home.pass(Duration::from_secs(1));
        for _ in 0..50 {
            store.probe().await.unwrap();
        }
    }
    stop.cancel();
    keeper.await.unwrap();
}

#[tokio::test]
async fn a_clock_set_forward_ends_no_lease() {
    let home = Home::new();
    let store = home.serve().await;
    let (running, sending) = (home.running(&store).await, home.delivering(&store).await);
    home.clock.set(START + HOURS);
    keep(&home, &store, 10).await;
    assert_eq!(state(&store, running.id).await, StateName::Running);
    assert_eq!(store.sent(sent(sending, AfterDelivery::Delivered)).await, Ok(Written::Done));
}

#[tokio::test]
async fn a_clock_set_back_keeps_no_lease() {
    let home = Home::new();
    let store = home.serve().await;
    let lost = home.running(&store).await;
    home.clock.set(START - HOURS);
    keep(&home, &store, 70).await;
    assert_eq!(state(&store, lost.id).await, StateName::Queued);
}

#[tokio::test]
async fn what_waits_does_not_wait_for_the_old_time_to_come_back() {
    let home = Home::new();
    let store = home.serve().await;
    let (waiting, queued) = (home.waiting(&store).await, home.queued(&store).await);
    let stop = CancellationToken::new();
    let keeper = tokio::spawn({
        let (store, stop) = (store.clone(), stop.clone());
        async move { store.keep(HOURS * 99, stop).await }
    });
    store.probe().await.unwrap();
    home.clock.set(START - HOURS);
    let due = async {
        while store.work().due(home.now()).is_empty() || store.delivery().due(home.now()).is_empty() {
            home.pass(Duration::from_secs(1));
            store.probe().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, due).await.expect("it waits for hours");
    stop.cancel();
    keeper.await.unwrap();
    assert!(home.now() < START - HOURS / 2);
    let claimed = store.claim_work("greet".into(), 9, LEASE).await.unwrap();
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [queued]);
    assert!(claimed[0].answer_by <= home.now() + Duration::from_secs(50));
    let claimed = due_deliveries(&store).await;
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [waiting]);
}

#[tokio::test]
async fn a_start_after_the_clock_was_set_back_finds_what_waits() {
    let home = Home::new();
    let store = home.serve().await;
    home.waiting(&store).await;
    home.queued(&store).await;
    store.close().await;
    home.clock.set(START - HOURS);
    let store = home.serve().await;
    assert_eq!((store.work().due(home.now()).len(), store.delivery().due(home.now()).len()), (1, 1));
}

#[tokio::test]
async fn a_second_look_after_the_clock_was_set_back_takes_no_time_to_answer() {
    let home = Home::new();
    let store = home.serve().await;
    let id = home.queued(&store).await;
    let span = look(&store, id).await.answer_by.since(START);
    store.close().await;
    home.clock.set(START - HOURS);
    for _ in 0..3 {
        let store = home.serve().await;
        assert_eq!(look(&store, id).await.answer_by, START - HOURS + span);
        home.pass(Duration::from_secs(1));
        store.close().await;
    }
}
