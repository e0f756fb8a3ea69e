//! Tests of the decision after an attempt, as a table.

use super::*;
use model::{JobOrdering, Show, Step};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn policy() -> HandlerPolicy {
    HandlerPolicy {
        fallback: CheckedCompletion::from_json(r#"{"data":{"status":"sorry"}}"#).unwrap(),
        ..HandlerPolicy::default()
    }
}

fn decided(outcome: AttemptOutcome, attempts: u32, time_left: Duration) -> Decision {
    let policy = policy();
    decide(
        outcome,
        DecisionContext {
            policy: &policy,
            attempts,
            now: NOW,
            answer_by: NOW + time_left,
            jitter: 0.5,
            many_awaiting: false,
        },
    )
}

/// Why the bot gets the fallback; `None` if it does not.
fn fallback(decision: &Decision) -> Option<FallbackReason> {
    let AfterHandler::Deliver(prepared) = &decision.next else { return None };
    let reason = prepared.outcome.fallback_reason()?;
    assert_eq!(prepared.completion, policy().fallback);
    Some(reason)
}

const PLENTY: Duration = Duration::from_secs(40);

#[test]
fn a_completion_is_delivered() {
    let decision = decided(AttemptOutcome::Returned(Ok(Completion::success().data("reply", ""))), 1, PLENTY);
    let completion = Completion::success().data("reply", "").check().unwrap();
    assert_eq!(
        decision.next,
        AfterHandler::Deliver(PreparedCompletion { completion, outcome: Outcome::Handler })
    );
    assert_eq!((decision.result, decision.error), (Some(AttemptResult::Ok), None));
    assert_eq!(decision.empty_values, ["reply"]);
}

#[test]
fn a_completion_that_kommo_would_refuse_is_never_sent() {
    let long = Completion::success().show(Show::text("x".repeat(81))).goto(Step::question(1));
    let decision = decided(AttemptOutcome::Returned(Ok(long)), 1, PLENTY);
    assert_eq!(fallback(&decision), Some(FallbackReason::InvalidCompletion));
    assert_eq!(decision.result, Some(AttemptResult::Fail));
    assert!(decision.error.unwrap().contains("at most 80"));
}

#[test]
fn temporary_failures_are_retried_with_backoff() {
    let due = |decision: &Decision| match decision.next {
        AfterHandler::Retry { due_at } => due_at.since(NOW).as_millis(),
        _ => panic!("{decision:?}"),
    };
    let retry = || AttemptOutcome::Returned(Err(HandlerError::retry("down")));
    // With a jitter of 0.5: three quarters of 500 ms, 1 s, 2 s, ….
    let delays: Vec<u128> = (1..=9).map(|attempts| due(&decided(retry(), attempts, PLENTY))).collect();
    assert_eq!(delays, [375, 750, 1_500, 3_000, 6_000, 6_250, 6_250, 6_250, 6_250]);
    let after = AttemptOutcome::Returned(Err(HandlerError::retry_after(Duration::from_secs(7), "busy")));
    assert_eq!(due(&decided(after, 1, PLENTY)), 7_000);
    assert_eq!(due(&decided(AttemptOutcome::Panicked("boom".into()), 1, PLENTY)), 375);
    assert_eq!(due(&decided(AttemptOutcome::TimedOut, 1, PLENTY)), 375);
}

#[test]
fn a_retry_that_would_be_too_late_is_moved_before_the_deadline() {
    let due = |outcome, left: u64| match decided(outcome, 1, Duration::from_millis(left)).next {
        AfterHandler::Retry { due_at } => Some(due_at.since(NOW).as_millis()),
        _ => None,
    };
    let retry = || AttemptOutcome::Returned(Err(HandlerError::retry("down")));
    let after = |seconds| {
        AttemptOutcome::Returned(Err(HandlerError::retry_after(Duration::from_secs(seconds), "busy")))
    };
    assert_eq!(due(retry(), 1_376), Some(375));
    assert_eq!(due(retry(), 1_200), Some(200), "a second before the end");
    assert_eq!(
        due(after(3_600), 40_000),
        Some(39_000),
        "the delay that the handler asked for is limited too"
    );
    for (outcome, left) in [(retry(), 1_000), (after(0), 1_000), (AttemptOutcome::TimedOut, 0)] {
        let decision = decided(outcome, 1, Duration::from_millis(left));
        assert_eq!(fallback(&decision), Some(FallbackReason::AnswerWithin), "{decision:?}");
        assert!(!decision.error.unwrap().contains("for another"), "the reason for the fallback says it");
    }
}

#[test]
fn each_failure_is_charged_with_its_result() {
    let result = |outcome| decided(outcome, 1, PLENTY).result;
    assert_eq!(result(AttemptOutcome::Returned(Err(HandlerError::retry("x")))), Some(AttemptResult::Retry));
    assert_eq!(result(AttemptOutcome::Returned(Err(HandlerError::fail("x")))), Some(AttemptResult::Fail));
    assert_eq!(result(AttemptOutcome::Panicked("x".into())), Some(AttemptResult::Panic));
    assert_eq!(result(AttemptOutcome::TimedOut), Some(AttemptResult::Timeout));
    for uncharged in [
        AttemptOutcome::Interrupted,
        AttemptOutcome::Overdue,
        AttemptOutcome::Crashed(3),
        AttemptOutcome::NoHandler,
    ] {
        assert_eq!(result(uncharged), None);
    }
}

#[test]
fn every_final_failure_leads_to_the_fallback() {
    let retry = || AttemptOutcome::Returned(Err(HandlerError::retry("down")));
    for (decision, reason) in [
        (decided(retry(), 10, PLENTY), FallbackReason::MaxAttempts),
        (decided(retry(), 11, PLENTY), FallbackReason::MaxAttempts),
        (decided(retry(), 1, Duration::from_millis(250)), FallbackReason::AnswerWithin),
        (decided(retry(), 1, Duration::ZERO), FallbackReason::AnswerWithin),
        (decided(AttemptOutcome::Returned(Err(HandlerError::fail("no"))), 1, PLENTY), FallbackReason::Failed),
        (decided(AttemptOutcome::Panicked("boom".into()), 10, PLENTY), FallbackReason::MaxAttempts),
        (decided(AttemptOutcome::TimedOut, 1, Duration::ZERO), FallbackReason::AnswerWithin),
        (decided(AttemptOutcome::Overdue, 0, Duration::ZERO), FallbackReason::Overdue),
        (decided(AttemptOutcome::Crashed(3), 0, PLENTY), FallbackReason::Crashed),
        (decided(AttemptOutcome::NoHandler, 0, Duration::ZERO), FallbackReason::NoHandler),
    ] {
        assert_eq!(fallback(&decision), Some(reason), "{decision:?}");
        assert!(decision.error.is_some());
    }
}

#[test]
fn an_overdue_job_of_a_conversation_may_have_waited_for_its_turn() {
    let error = |ordering| {
        let policy = HandlerPolicy { ordering, ..policy() };
        let (now, answer_by) = (NOW, NOW);
        let context = DecisionContext {
            policy: &policy,
            attempts: 0,
            now,
            answer_by,
            jitter: 0.5,
            many_awaiting: false,
        };
        decide(AttemptOutcome::Overdue, context).error.unwrap()
    };
    let part = "earlier jobs of the same conversation";
    assert!(error(JobOrdering::Conversation { coalesce: None }).contains(part));
    assert!(!error(JobOrdering::None).contains(part));
}

#[test]
fn a_stop_charges_nothing() {
    let decision = decided(AttemptOutcome::Interrupted, 1, PLENTY);
    assert_eq!((decision.next, decision.error), (AfterHandler::HandBack, None));
}

#[test]
fn a_job_that_the_handler_accepted_awaits_its_callback_unless_too_many_do() {
    let accepted = || AttemptOutcome::Returned(Err(HandlerError::await_callback()));
    let decision = decided(accepted(), 1, PLENTY);
    assert_eq!((decision.next, decision.error), (AfterHandler::AwaitCallback, None));
    assert_eq!(decision.result, Some(AttemptResult::Accepted));
    let policy = policy();
    let context = DecisionContext {
        policy: &policy,
        attempts: 1,
        now: NOW,
        answer_by: NOW + PLENTY,
        jitter: 0.5,
        many_awaiting: true,
    };
    let decision = decide(accepted(), context);
    assert!(matches!(decision.next, AfterHandler::Retry { .. }), "{decision:?}");
    assert_eq!(decision.result, Some(AttemptResult::Retry));
    assert!(decision.error.unwrap().contains("handlers.NAME.max_awaiting"));
}

#[test]
fn an_error_of_a_callback_is_not_charged_again() {
    let called_back = |error| decided(AttemptOutcome::CalledBack(error), 1, PLENTY);
    let failed = called_back(HandlerError::fail("no stock"));
    assert_eq!((fallback(&failed), failed.result), (Some(FallbackReason::Failed), None));
    assert_eq!(failed.error.as_deref(), Some("no stock"));
    let retried = called_back(HandlerError::retry("busy"));
    assert!(matches!(retried.next, AfterHandler::Retry { .. }), "{retried:?}");
    assert_eq!(retried.result, None);
}

#[test]
fn without_a_callback_in_time_the_bot_gets_the_fallback() {
    let decision = decided(AttemptOutcome::NotCalledBack, 1, Duration::ZERO);
    assert_eq!((fallback(&decision), decision.result), (Some(FallbackReason::NoCallback), None));
    assert!(decision.error.unwrap().contains("did not call back within handlers.NAME.answer_within"));
}
