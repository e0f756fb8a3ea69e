//! Tests the log line by line, on a manual clock.

use test_log::collect;

use super::*;
use model::clock::ManualClock;
use model::{AccountId, Entity, EntityKind, Outcome, StateName, Timestamp};

fn job(state: StateName, outcome: Outcome) -> Finished {
    Finished {
        job: "018bcfe5-687b-7000-8000-000000000001".parse().unwrap(),
        handler: "greet".parse().unwrap(),
        account_id: AccountId(31_764_961),
        bot_id: 8_060,
        entity: Some(Entity { kind: EntityKind::Lead, id: 777_002 }),
        state,
        outcome: Some(outcome),
        handler_attempts: 1,
        delivery_attempts: 2,
        total: Duration::from_millis(1_234),
        run: Some(finished::RunTimes {
            queue: Duration::from_millis(4),
            handler: Duration::from_millis(1_100),
        }),
        call: Some(finished::LastCall { status: Some(202), duration: Duration::from_millis(80) }),
        error: None,
    }
}

fn fine() -> Finished {
    job(StateName::Delivered, Outcome::Handler)
}

fn log() -> (JobLog, ManualClock) {
    test_log::prepare();
    let clock = ManualClock::new(Timestamp::from_millis(0));
    (JobLog::new(clock.clock()), clock)
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_finished_job_is_one_info_line() {
    let ((jobs, _), lines) = (log(), collect(tracing::Level::INFO));
    jobs.finished(fine());
    jobs.finished(job(StateName::Delivered, Outcome::Fallback(FallbackReason::MaxAttempts)));
    let logged = lines.with("job finished");
    assert_eq!(logged.len(), 2, "{logged:#?}");
    for part in [
        "INFO",
        "job.id=018bcfe5-687b-7000-8000-000000000001",
        "handler=greet",
        "account.id=31764961",
        "bot_id=8060",
        "entity=\"lead 777002\"",
        "state=\"delivered\"",
        "outcome=\"handler\"",
        "handler_attempts=1",
        "delivery_attempts=2",
        "queue_ms=4",
        "handler_ms=1100",
        "delivery_ms=130",
        "total_ms=1234",
        "trace_id=018bcfe5687b70008000000000000001",
        "call_ms=80",
        "status=202",
    ] {
        assert!(logged[0].contains(part), "{part} in {}", logged[0]);
    }
    assert!(!logged[0].contains("reason") && !logged[0].contains("error"), "{}", logged[0]);
    assert!(logged[1].contains("outcome=\"fallback\" reason=\"max_attempts\""), "{}", logged[1]);
}

#[tokio::test]
async fn many_finished_jobs_are_a_hundred_lines_and_a_sum() {
    let ((jobs, clock), lines) = (log(), collect(tracing::Level::INFO));
    (0..5_000).for_each(|_| jobs.finished(fine()));
    let dead =
        Finished { error: Some("Kommo answered 400".into()), ..job(StateName::Dead, Outcome::Handler) };
    (0..30).for_each(|_| jobs.finished(dead.clone()));
    assert_eq!(lines.with("job finished").len(), 100);
    tokio::task::yield_now().await;
    clock.advance(SECOND);
    lines.wait("state=\"dead\"").await;
    let sum = lines.with("jobs finished: further");
    assert_eq!(sum.len(), 1, "{sum:#?}");
    assert!(
        sum[0].contains("suppressed=4900 delivered=4900 fallback=0 gone=0 dead=0 cancelled=0"),
        "{}",
        sum[0]
    );
    let dead = lines.with("state=\"dead\"");
    assert_eq!(dead.len(), 30);
    assert!(dead[0].contains("ERROR") && dead[0].contains("Kommo answered 400"), "{}", dead[0]);
    // The kept lines count in the next second.
    (0..100).for_each(|_| jobs.finished(fine()));
    assert_eq!(lines.with("state=\"delivered\"").len(), 100 + 70);
}

#[tokio::test]
async fn finished_jobs_are_counted_and_added_to_the_totals() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let (jobs, _) = log();
    let before = jobs.totals().snapshot();
    (0..3).for_each(|_| jobs.finished(fine()));
    jobs.finished(job(StateName::Delivered, Outcome::Fallback(FallbackReason::Failed)));
    jobs.finished(job(StateName::Dead, Outcome::Handler));
    jobs.finished(job(StateName::Gone, Outcome::Handler));
    jobs.finished(Finished { outcome: None, ..job(StateName::Cancelled, Outcome::Handler) });
    let totals = jobs.totals().snapshot();
    assert_eq!((totals.by_handler, totals.by_fallback, totals.dead, totals.requests), (3, 1, 1, 0));
    let median = totals.times_since(&before).quantile_ms(0.5).unwrap();
    assert!((1_000.0..=1_500.0).contains(&median), "{median}");
    let text = handle.render();
    for sample in [
        r#"{handler="greet",state="delivered",outcome="handler"} 3"#,
        r#"{handler="greet",state="delivered",outcome="fallback"} 1"#,
        r#"{handler="greet",state="dead",outcome="handler"} 1"#,
        r#"{handler="greet",state="gone",outcome="handler"} 1"#,
        r#"{handler="greet",state="cancelled",outcome="none"} 1"#,
    ] {
        assert!(text.contains(&format!("bridge_jobs_finished_total{sample}")), "{sample} in {text}");
    }
}

#[tokio::test]
async fn times_of_a_handler_that_did_not_run_are_omitted() {
    let ((jobs, _), lines) = (log(), collect(tracing::Level::INFO));
    jobs.finished(Finished { run: None, ..fine() });
    let line = &lines.with("job finished")[0];
    assert!(
        !line.contains("queue_ms") && !line.contains("handler_ms") && line.contains("total_ms"),
        "{line}"
    );
}

fn line<'a>(handler: &'a HandlerName, error: &'a str) -> AttemptLine<'a> {
    let job = "018bcfe5-687b-7000-8000-000000000001".parse().unwrap();
    AttemptLine { job, handler, attempt: 10, duration: SECOND, error }
}

#[tokio::test]
async fn many_fallbacks_are_a_few_warnings_and_a_sum_for_each_handler_and_reason() {
    let ((jobs, clock), lines) = (log(), collect(tracing::Level::WARN));
    let (greet, quote): (HandlerName, HandlerName) = ("greet".parse().unwrap(), "quote".parse().unwrap());
    for _ in 0..500 {
        jobs.fell_back(FallbackReason::MaxAttempts, line(&greet, "down"));
        jobs.retries(AttemptResult::Retry, Timestamp::from_millis(7), line(&greet, "down"));
    }
    jobs.fell_back(FallbackReason::Failed, line(&quote, "no such product"));
    let warnings = lines.with("the bot gets the fallback");
    assert_eq!(warnings.len(), 11, "{warnings:#?}");
    assert!(warnings[0].contains("handler=greet reason=max_attempts attempt=10"), "{}", warnings[0]);
    assert_eq!(lines.with("; retrying").len(), 10);
    tokio::task::yield_now().await;
    clock.advance(10 * SECOND);
    lines.wait("bots got the fallback: further").await;
    lines.wait("attempts failed: further").await;
    let sums = lines.with("suppressed=490");
    assert_eq!(sums.len(), 2, "{sums:#?}");
    assert!(sums.iter().any(|sum| sum.contains("handler=greet reason=max_attempts")), "{sums:#?}");
    assert!(sums.iter().any(|sum| sum.contains("handler=greet result=\"retry\"")), "{sums:#?}");
}

#[tokio::test]
async fn a_handler_that_blocks_its_thread_is_named_in_a_few_warnings_and_a_sum() {
    let ((jobs, clock), lines) = (log(), collect(tracing::Level::WARN));
    let greet: HandlerName = "greet".parse().unwrap();
    (0..500).for_each(|_| jobs.blocked(&greet));
    let warnings = lines.with("blocks its thread");
    assert_eq!(warnings.len(), 10, "{warnings:#?}");
    assert!(warnings[0].contains("handler=greet"), "{}", warnings[0]);
    tokio::task::yield_now().await;
    clock.advance(10 * SECOND);
    lines.wait("blocked its thread: further").await;
    assert!(lines.with("suppressed=490")[0].contains("handler=greet"), "{}", lines.text());
}

#[tokio::test]
async fn the_time_of_the_next_attempt_is_logged_by_the_calendar() {
    let ((jobs, clock), lines) = (log(), collect(tracing::Level::WARN));
    let due_at = clock.clock().steady() + SECOND;
    clock.set(Timestamp::from_millis(1_700_000_000_000));
    jobs.retries(AttemptResult::Retry, due_at, line(&"greet".parse().unwrap(), "down"));
    let expected = format!("due_at={}", Timestamp::from_millis(1_700_000_001_000));
    assert!(lines.with("; retrying")[0].contains(&expected), "{:?}", lines.with("due_at"));
}

#[tokio::test]
async fn every_fallback_is_counted_under_its_handler_and_reason() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let (jobs, _) = log();
    let greet: HandlerName = "greet".parse().unwrap();
    (0..30).for_each(|_| jobs.fell_back(FallbackReason::Overdue, line(&greet, "late")));
    let text = handle.render();
    assert!(text.contains(r#"bridge_fallbacks_total{handler="greet",reason="overdue"} 30"#), "{text}");
}
