//! Lists: pages, filters, text.

use super::*;

pub(crate) fn filter(limit: u32) -> JobFilter {
    JobFilter { limit, ..JobFilter::default() }
}

#[tokio::test]
async fn the_oldest_queued_job_is_known() {
    let home = Home::new();
    let store = home.serve().await;
    let first = home.queued(&store).await;
    home.pass(Duration::from_secs(5));
    home.queued(&store).await;
    assert_eq!(store.jobs().stats().await.unwrap().oldest_queued, Some(START));
    store.jobs().cancel(first).await.unwrap();
    assert_eq!(store.jobs().stats().await.unwrap().oldest_queued, Some(home.now()));
}

#[tokio::test]
async fn the_oldest_queued_job_is_known_despite_jobs_with_less_time() {
    let home = Home::new();
    let store = home.serve().await;
    let slow = NewJob { answer_by: home.steady() + Duration::from_secs(7_200), ..home.request() };
    accept(&store, slow).await;
    home.pass(Duration::from_secs(3_600));
    for _ in 0..120 {
        home.queued(&store).await;
    }
    let oldest = store.jobs().stats().await.unwrap().oldest_queued.unwrap();
    assert_eq!(home.now().since(oldest), Duration::from_secs(3_600));
}

#[tokio::test]
async fn the_wait_of_the_oldest_job_is_known_after_the_clock_was_set() {
    for hours in [3, -3] {
        let home = Home::new();
        let store = home.serve().await;
        home.queued(&store).await;
        home.pass(Duration::from_secs(60));
        home.clock.set(Timestamp::from_millis(home.now().as_millis() + hours * 3_600_000));
        home.pass(Duration::from_secs(5));
        home.queued(&store).await;
        let oldest = store.jobs().stats().await.unwrap().oldest_queued.unwrap();
        assert_eq!(home.now().since(oldest), Duration::from_secs(65), "{hours}");
    }
}

#[tokio::test]
async fn attempts_stay_in_order_if_the_clock_is_set_back_between_them() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    let id = job.id;
    let earlier = START - Duration::from_secs(3_600);
    let attempt = Attempt { started_at: earlier, ..attempt(Stage::Delivery, 1, AttemptResult::Ok) };
    let next = AfterDelivery::Delivered;
    store.jobs().sent(DeliveryReport { job, attempt: Some(attempt), next, error: None }).await.unwrap();
    let stages = Vec::from_iter(attempts(&store, id).await.iter().map(|attempt| attempt.stage));
    assert_eq!(stages, [Stage::Handler, Stage::Delivery]);
}
