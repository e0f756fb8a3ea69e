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
async fn the_oldest_undelivered_job_is_known_in_any_lane_and_stage_of_its_delivery() {
    let home = Home::new();
    let store = home.serve().await;
    let oldest = async || store.jobs().oldest_undelivered().await.unwrap();
    assert_eq!(oldest().await, None);
    home.queued(&store).await;
    assert_eq!(oldest().await, None, "a queued job is not a delivery");
    home.pass(Duration::from_secs(5));
    let claimed = home.delivering(&store).await;
    home.pass(Duration::from_secs(5));
    home.waiting(&store).await;
    assert_eq!(oldest().await, Some(START + Duration::from_secs(5)), "under way");
    let delivery =
        Delivery { failures: 1, failing_since: Some(home.steady()), answer_lost: false, refused_at: None };
    let due_at = home.steady() + Duration::from_secs(60);
    store.jobs().sent(sent(claimed, AfterDelivery::Retry { due_at, delivery })).await.unwrap();
    assert_eq!(oldest().await, Some(START + Duration::from_secs(5)), "a retry");
    home.pass(Duration::from_secs(60));
    for job in due_deliveries(&store).await {
        store.jobs().sent(sent(job, AfterDelivery::Delivered)).await.unwrap();
    }
    assert_eq!(oldest().await, None);
    home.waiting(&store).await;
    assert_eq!(oldest().await, Some(START + Duration::from_secs(70)), "a first try");
}

#[tokio::test]
async fn history_is_kept_within_its_periods_and_written_again() {
    let home = Home::new();
    let store = home.serve().await;
    let point = |slot, text: &str| HistoryPoint { step_seconds: 5, slot, point: text.into() };
    let keep = |first, last| vec![KeptHistory { step_seconds: 5, first, last }];
    let points = vec![point(8, "{}"), point(9, "{\"a\":1}")];
    store.maintenance().save_history(points, keep(1, 9)).await.unwrap();
    let points = vec![point(9, "{\"a\":2}"), point(10, "{}")];
    store.maintenance().save_history(points, keep(9, 10)).await.unwrap();
    store.close().await;
    let store = home.serve().await;
    let read = store.maintenance().history().await.unwrap();
    assert_eq!(read, [point(9, "{\"a\":2}"), point(10, "{}")]);
    store.maintenance().save_history(Vec::new(), keep(9, 9)).await.unwrap();
    assert_eq!(store.maintenance().history().await.unwrap(), [point(9, "{\"a\":2}")]);
}

#[tokio::test]
async fn the_size_of_the_store_is_known_to_the_owner() {
    let home = Home::new();
    let store = home.serve().await;
    home.queued(&store).await;
    assert!(store.maintenance().file_bytes() > 0);
}

#[tokio::test]
async fn a_claimed_fallback_knows_the_last_attempt_of_its_handler() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.running(&store).await;
    let failed = Attempt {
        error: Some("down".into()),
        started_at: home.now() + Duration::from_millis(3),
        ..attempt(Stage::Handler, 1, AttemptResult::Fail)
    };
    let next = AfterHandler::Deliver(PreparedCompletion {
        outcome: Outcome::Fallback(FallbackReason::Failed),
        ..prepared("sorry")
    });
    let report = HandlerReport { job, attempt: Some(failed.clone()), next, error: failed.error.clone() };
    store.jobs().handled(report).await.unwrap();
    let [job] = due_deliveries(&store).await.try_into().unwrap();
    let expected = HandlerRun { started_at: failed.started_at, duration: failed.duration };
    assert_eq!(job.last_run, Some(expected));
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
