//! The jobs around a job, the statistics of handlers, and the feed of changed jobs.

use super::*;

fn ordered(home: &Home) -> NewJob {
    NewJob { ordering: JobOrdering::Conversation { coalesce: None }, ..home.request() }
}

async fn around(store: &Store, id: JobId) -> Surroundings {
    store.jobs().surroundings(id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_job_in_a_line_knows_the_first_one_and_how_many_are_before_it() {
    let home = Home::new();
    let store = home.serve().await;
    let first = accept(&store, ordered(&home)).await;
    let second = accept(&store, ordered(&home)).await;
    let third = accept(&store, ordered(&home)).await;
    let other = home.queued(&store).await;
    for (id, expected) in [
        (first, None),
        (second, Some(Line { first, jobs: 1, is_more: false })),
        (third, Some(Line { first, jobs: 2, is_more: false })),
        (other, None),
    ] {
        assert_eq!(around(&store, id).await.line, expected);
    }
    assert_eq!(store.jobs().surroundings(JobId::new(START, 99)).await.unwrap(), None);
}

#[tokio::test]
async fn a_long_line_is_counted_up_to_a_limit() {
    let home = Home::new();
    let store = home.serve().await;
    let first = accept(&store, ordered(&home)).await;
    for _ in 0..101 {
        accept(&store, ordered(&home)).await;
    }
    let last = accept(&store, ordered(&home)).await;
    assert_eq!(around(&store, last).await.line, Some(Line { first, jobs: 100, is_more: true }));
}

#[tokio::test]
async fn a_delivery_knows_its_newer_job_and_how_many_wait() {
    let home = Home::new();
    let store = home.serve().await;
    let request = home.request();
    let old = accept(&store, request.clone()).await;
    let job = store.jobs().claim_work("greet".into(), 1, LEASE).await.unwrap().remove(0);
    store.jobs().handled(handled(job, AfterHandler::Deliver(prepared("hi")))).await.unwrap();
    assert_eq!(around(&store, old).await, Surroundings { waiting: 1, ..Surroundings::default() });
    let newer = NewJob { request: request.request, ..home.request() };
    let newer = accept(&store, newer).await;
    home.waiting(&store).await;
    let found = around(&store, old).await;
    assert_eq!((found.superseded_by, found.was_sent, found.waiting), (Some(newer), false, 2));
}

#[tokio::test]
async fn handlers_have_statistics_of_their_recent_jobs() {
    let home = Home::new();
    let store = home.serve().await;
    home.dead(&store).await;
    home.pass(Duration::from_secs(60));
    let since = home.now();
    for seconds in [1, 2, 3] {
        let job = home.delivering(&store).await;
        home.pass(Duration::from_secs(seconds));
        store.jobs().sent(sent(job, AfterDelivery::Delivered)).await.unwrap();
    }
    home.queued(&store).await;
    let stats = store.jobs().handler_stats(since).await.unwrap();
    let expected = HandlerStats {
        handler: handler("greet"),
        jobs: 4,
        answered: 3,
        fallbacks: 0,
        delivered: 3,
        dead: 0,
        p50: Some(Duration::from_secs(2)),
        p99: Some(Duration::from_secs(3)),
    };
    assert_eq!(stats, [expected]);
}

#[tokio::test]
async fn a_follower_gets_the_jobs_that_are_received_and_worked_on() {
    let home = Home::new();
    let store = home.serve().await;
    let mut changed = store.jobs().changed();
    let id = home.queued(&store).await;
    assert_eq!(changed.take(), (vec![id], false));
    let job = store.jobs().claim_work("greet".into(), 1, LEASE).await.unwrap().remove(0);
    store.jobs().handled(handled(job, AfterHandler::Deliver(prepared("hi")))).await.unwrap();
    assert_eq!(changed.take(), (vec![id], false));
}
