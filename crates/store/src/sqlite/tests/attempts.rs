//! The history of a job: all its attempts, although those that succeed without an error are in the job's own row.

use super::*;

/// Runs a job through `failed` attempts of each stage that fail, and one that succeeds with `error`. Returns the reported
/// attempts and the stored ones.
async fn life(home: &Home, store: &Store, failed: u32, error: Option<&str>) -> [Vec<Attempt>; 2] {
    let at = |number: u32| START + Duration::from_secs(u64::from(number));
    let made = |stage, number| {
        let duration = Duration::from_millis(u64::from(10 + number));
        let status = (stage == Stage::Delivery).then_some(if number > failed { 202 } else { 503 });
        let (result, error) = if number > failed {
            (AttemptResult::Ok, error.map(str::to_owned))
        } else {
            (AttemptResult::Retry, Some("it failed".to_owned()))
        };
        Attempt { stage, number, started_at: at(number), duration, result, status, error }
    };
    let (mut reported, id) = (Vec::new(), home.queued(store).await);
    for number in 1..=failed + 1 {
        let job = store.jobs().claim_work("greet".into(), 1, LEASE).await.unwrap().remove(0);
        let next = if number > failed {
            AfterHandler::Deliver(prepared("hi"))
        } else {
            AfterHandler::Retry { due_at: home.steady() }
        };
        reported.push(made(Stage::Handler, number));
        let report = HandlerReport { job, attempt: reported.last().cloned(), next, error: None };
        assert_eq!(store.jobs().handled(report).await.unwrap(), Written::Done);
    }
    for number in 1..=failed + 1 {
        let claimed = store.jobs().claim_deliveries(ORIGIN.into(), 1, LongestDue::default(), LEASE).await;
        let job = claimed.unwrap().remove(0);
        let next = if number > failed {
            AfterDelivery::Delivered
        } else {
            let delivery = Delivery { failures: number, failing_since: Some(START), ..Delivery::default() };
            AfterDelivery::Retry { due_at: home.steady(), delivery }
        };
        reported.push(made(Stage::Delivery, number));
        let report = DeliveryReport { job, attempt: reported.last().cloned(), next, error: None };
        assert_eq!(store.jobs().sent(report).await.unwrap(), Written::Done);
    }
    [reported, store.jobs().get(id).await.unwrap().unwrap().1]
}

#[tokio::test]
async fn the_history_has_every_attempt_and_success_takes_no_row() {
    for (failed, error, rows) in
        [(0, None, 0), (1, None, 2), (3, None, 6), (0, Some("lost"), 2), (2, Some("lost"), 6)]
    {
        let home = Home::new();
        let store = home.serve().await;
        let [reported, stored] = life(&home, &store, failed, error).await;
        assert_eq!(stored, reported, "{failed} {error:?}");
        assert_eq!(home.number("SELECT count(*) FROM other_attempts").await, rows, "{failed} {error:?}");
        let all = i64::from(2 * (failed + 1));
        assert_eq!(home.number("SELECT count(*) FROM attempts").await, all, "{failed} {error:?}");
    }
}
