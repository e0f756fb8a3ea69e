//! The table of what comes after an attempt.

use super::*;
use crate::model::{Show, Step};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn policy() -> HandlerPolicy {
    HandlerPolicy {
        fallback: CheckedCompletion::from_json(r#"{"data":{"status":"sorry"}}"#).unwrap(),
        ..HandlerPolicy::default()
    }
}

fn judged(ended: Ended, attempts: u32, time_left: Duration) -> Verdict {
    let policy = policy();
    judge(
        ended,
        Circumstances { policy: &policy, attempts, now: NOW, answer_by: NOW + time_left, jitter: 0.5 },
    )
}

fn fallback(verdict: &Verdict) -> bool {
    verdict.next
        == AfterHandler::Deliver(Prepared { completion: policy().fallback, outcome: Outcome::Fallback })
}

const PLENTY: Duration = Duration::from_secs(40);

#[test]
fn a_completion_is_delivered() {
    let verdict = judged(Ended::Returned(Ok(Completion::success().data("reply", ""))), 1, PLENTY);
    let completion = Completion::success().data("reply", "").check().unwrap();
    assert_eq!(verdict.next, AfterHandler::Deliver(Prepared { completion, outcome: Outcome::Handler }));
    assert_eq!((verdict.result, verdict.error), (Some(AttemptResult::Ok), None));
    assert_eq!(verdict.empty_values, ["reply"]);
}

#[test]
fn a_completion_that_kommo_would_refuse_is_never_sent() {
    let long = Completion::success().show(Show::text("x".repeat(81))).goto(Step::question(1));
    let verdict = judged(Ended::Returned(Ok(long)), 1, PLENTY);
    assert!(fallback(&verdict));
    assert_eq!(verdict.result, Some(AttemptResult::Fail));
    assert!(verdict.error.unwrap().contains("at most 80"));
}

#[test]
fn what_may_help_is_tried_again_with_backoff() {
    let due = |verdict: &Verdict| match verdict.next {
        AfterHandler::Retry { due_at } => due_at.since(NOW).as_millis(),
        _ => panic!("{verdict:?}"),
    };
    let retry = || Ended::Returned(Err(HandlerError::retry("down")));
    assert_eq!(due(&judged(retry(), 1, PLENTY)), 250);
    assert_eq!(due(&judged(retry(), 2, PLENTY)), 500);
    let after = Ended::Returned(Err(HandlerError::retry_after(Duration::from_secs(7), "busy")));
    assert_eq!(due(&judged(after, 1, PLENTY)), 7_000);
    assert_eq!(due(&judged(Ended::Panicked("boom".into()), 1, PLENTY)), 250);
    assert_eq!(due(&judged(Ended::TimedOut, 1, PLENTY)), 250);
}

#[test]
fn each_failure_is_charged_under_its_name() {
    let result = |ended| judged(ended, 1, PLENTY).result;
    assert_eq!(result(Ended::Returned(Err(HandlerError::retry("x")))), Some(AttemptResult::Retry));
    assert_eq!(result(Ended::Returned(Err(HandlerError::fail("x")))), Some(AttemptResult::Fail));
    assert_eq!(result(Ended::Panicked("x".into())), Some(AttemptResult::Panic));
    assert_eq!(result(Ended::TimedOut), Some(AttemptResult::Timeout));
    for uncharged in [Ended::Interrupted, Ended::Overdue, Ended::Crashed(3), Ended::NoHandler] {
        assert_eq!(result(uncharged), None);
    }
}

#[test]
fn no_bot_is_left_hanging() {
    let retry = || Ended::Returned(Err(HandlerError::retry("down")));
    for verdict in [
        judged(retry(), 3, PLENTY),
        judged(retry(), 1, Duration::from_millis(250)),
        judged(retry(), 1, Duration::ZERO),
        judged(Ended::Returned(Err(HandlerError::retry_after(PLENTY, "busy"))), 1, PLENTY),
        judged(Ended::Returned(Err(HandlerError::fail("no"))), 1, PLENTY),
        judged(Ended::Panicked("boom".into()), 3, PLENTY),
        judged(Ended::TimedOut, 1, Duration::ZERO),
        judged(Ended::Overdue, 0, Duration::ZERO),
        judged(Ended::Crashed(3), 0, PLENTY),
        judged(Ended::NoHandler, 0, Duration::ZERO),
    ] {
        assert!(fallback(&verdict), "{verdict:?}");
        assert!(verdict.error.is_some());
    }
}

#[test]
fn a_stop_charges_nothing() {
    let verdict = judged(Ended::Interrupted, 1, PLENTY);
    assert_eq!((verdict.next, verdict.error), (AfterHandler::HandBack, None));
}
