//! The lanes in memory, by which the rooms know the store without querying it.

use super::*;

#[tokio::test]
async fn a_lane_is_due_while_jobs_wait_in_it() {
    let home = Home::new();
    let store = home.serve().await;
    assert_eq!(store.work().due(home.now()).len(), 0);
    home.queued(&store).await;
    home.queued(&store).await;
    accept(&store, NewJob { handler: handler("other"), ..home.request() }).await;
    let mut due = store.work().due(home.now());
    due.sort();
    assert_eq!(due, ["greet".into(), "other".into()]);
    store.jobs().claim_work("greet".into(), 1, LEASE).await.unwrap();
    assert_eq!(store.work().due(home.now()).len(), 2);
    store.jobs().claim_work("greet".into(), 1, LEASE).await.unwrap();
    assert_eq!(store.work().due(home.now()), ["other".into()]);
}

#[tokio::test]
async fn a_claim_finds_when_the_next_job_of_its_lane_is_due() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.running(&store).await;
    let later = home.now() + Duration::from_secs(7);
    store.jobs().handled(handled(job, AfterHandler::Retry { due_at: later })).await.unwrap();
    home.queued(&store).await;
    assert_eq!(store.work().due(home.now()), ["greet".into()]);
    store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap();
    assert_eq!((store.work().due(home.now()).len(), store.work().next_due(home.now())), (0, Some(later)));
    home.pass(Duration::from_secs(7));
    assert_eq!(store.work().due(home.now()), ["greet".into()]);
    store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap();
    assert_eq!((store.work().due(home.now()).len(), store.work().next_due(home.now())), (0, None));
}

#[tokio::test]
async fn delivery_lanes_know_first_tries_and_retries_of_each_origin() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    let due_at = home.now() + Duration::from_secs(5);
    let delivery =
        Delivery { failures: 1, failing_since: Some(home.now()), answer_lost: false, refused_at: None };
    store.jobs().sent(sent(job, AfterDelivery::Retry { due_at, delivery })).await.unwrap();
    assert_eq!(store.delivery().next_due(home.now()), Some(due_at));
    home.waiting(&store).await;
    assert_eq!(store.delivery().due(home.now()), [ORIGIN.into()]);
    due_deliveries(&store).await;
    assert_eq!(store.delivery().due(home.now()).len(), 0);
    assert_eq!(store.delivery().next_due(home.now()), Some(due_at));
}

#[tokio::test]
async fn the_deadline_is_that_of_the_longest_waiting_job() {
    let home = Home::new();
    let store = home.serve().await;
    assert_eq!(store.work().deadline(), None);
    home.queued(&store).await;
    let first = home.now() + Duration::from_secs(50);
    home.pass(Duration::from_secs(10));
    home.queued(&store).await;
    assert_eq!(store.work().deadline(), Some(first));
    home.pass(Duration::from_secs(40));
    assert_eq!(store.jobs().claim_overdue(9, LEASE).await.unwrap().queued.len(), 1);
    assert_eq!(store.work().deadline(), Some(first + Duration::from_secs(10)));
}

#[tokio::test]
async fn every_change_that_makes_a_job_due_wakes_its_room() {
    let home = Home::new();
    let store = home.serve().await;
    let changed = store.work().changed();
    home.queued(&store).await;
    changed.await;

    let [job] = store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap().try_into().unwrap();
    let changed = store.work().changed();
    store.jobs().handled(handled(job, AfterHandler::Retry { due_at: home.now() })).await.unwrap();
    changed.await;

    let [job] = store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap().try_into().unwrap();
    let id = job.id;
    let changed = store.delivery().changed();
    store.jobs().handled(handled(job, AfterHandler::Deliver(prepared("hi")))).await.unwrap();
    changed.await;

    let [job] = due_deliveries(&store).await.try_into().unwrap();
    let changed = store.delivery().changed();
    let next = AfterDelivery::Wait { delivery: job.delivery, keeps_place: true };
    store.jobs().sent(DeliveryReport { job, attempt: None, next, error: None }).await.unwrap();
    changed.await;

    let [job] = due_deliveries(&store).await.try_into().unwrap();
    store.jobs().sent(sent(job, AfterDelivery::Dead { answer_lost: false })).await.unwrap();
    let changed = store.delivery().changed();
    store.jobs().retry(id).await.unwrap();
    changed.await;
}

#[tokio::test]
async fn jobs_added_after_a_claim_in_its_transaction_are_kept() {
    let home = Home::new();
    let store = home.serve().await;
    let id = home.dead(&store).await;
    let open = hold(&store).await;
    let release = async {
        gathered(&store, 2).await;
        open.send(()).unwrap();
    };
    let claim = store.jobs().claim_deliveries(ORIGIN.into(), 9, LongestDue::default(), LEASE);
    let (claimed, retried, ()) = tokio::join!(claim, store.jobs().retry(id), release);
    assert_eq!((claimed, retried), (Ok(vec![]), Ok(())));
    assert_eq!(store.delivery().due(home.now()), [ORIGIN.into()]);
}

#[tokio::test]
async fn reloaded_lanes_match_the_lanes_in_memory() {
    let home = Home::new();
    let store = home.serve().await;
    for name in ["a", "b", "c"] {
        home.pass(Duration::from_secs(1));
        accept(&store, NewJob { handler: handler(name), ..home.request() }).await;
    }
    let job = home.running(&store).await;
    let retry_at = home.now() + Duration::from_secs(60);
    store.jobs().handled(handled(job, AfterHandler::Retry { due_at: retry_at })).await.unwrap();
    for (origin, seconds) in [("https://x.kommo.com", 3), ("https://y.kommo.com", 4)] {
        let mut request = home.request();
        request.request.return_url = return_url(origin, 0);
        request.handler = handler("z");
        accept(&store, request).await;
        let [job] = store.jobs().claim_work("z".into(), 9, LEASE).await.unwrap().try_into().unwrap();
        store.jobs().handled(handled(job, AfterHandler::Deliver(prepared("hi")))).await.unwrap();
        let [job] = store
            .jobs()
            .claim_deliveries(origin.into(), 9, LongestDue::default(), LEASE)
            .await
            .unwrap()
            .try_into()
            .unwrap();
        let due_at = home.now() + Duration::from_secs(seconds);
        let delivery =
            Delivery { failures: 1, failing_since: Some(home.now()), answer_lost: false, refused_at: None };
        store.jobs().sent(sent(job, AfterDelivery::Retry { due_at, delivery })).await.unwrap();
    }
    let known = |store: &Store| {
        let mut seen = Vec::new();
        for at in (0..100).map(|second| START + Duration::from_secs(second)) {
            let (mut work, mut delivery) = (store.work().due(at), store.delivery().due(at));
            work.sort();
            delivery.sort();
            seen.push((work, delivery, store.work().next_due(at), store.delivery().next_due(at)));
        }
        (seen, store.work().deadline())
    };
    let before = known(&store);
    store.0.reload().await;
    assert_eq!(known(&store), before);
    store.close().await;
    assert_eq!(known(&home.serve().await), before);
}
