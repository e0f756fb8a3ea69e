//! Invariants of the sender's decision for any response. `crate::fuzzing` is the entry point.

use std::time::Duration;

use super::decide::{AttemptOutcome, DecisionContext, decide};
use kommo::pace::AccountEvidence;
use kommo::{CallOutcome, fuzzing};
use model::{
    AfterDelivery, CheckedCompletion, Delivery, FallbackReason, HandlerPolicy, JobId, Outcome,
    PreparedCompletion, Step, Timestamp,
};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const GIVE_UP_AFTER: Duration = Duration::from_secs(3_600);
/// The job's age from which a 404 is final.
const EARLY: Duration = Duration::from_secs(3);
/// The longest delay before a retry.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(60);

/// Decides on the response in `input`, and checks the decision. Returns whether the continue is delivered.
///
/// The first line of `input` describes the state before, one letter each: `l` a response was lost, `f` the fallback was
/// sent, `h` the completion has a handler, `g` a `goto` is configured, `o` the time budget is used up, `e` the request has
/// just come in. The next lines are the status, `Retry-After`, and the body.
pub(crate) fn answer(input: &[u8]) -> bool {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (flags, rest) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let flag = |letter: u8| flags.contains(&letter);
    let (lost, is_fallback, old) = (flag(b'l'), flag(b'f'), flag(b'o'));
    let waiting_since = if flag(b'e') { NOW } else { NOW - EARLY };

    let completion = CheckedCompletion::failed();
    let with_handler = completion.with_goto(Step::question(1)).ok().filter(|_| flag(b'h'));
    let outcome = if is_fallback { Outcome::Fallback(FallbackReason::Overdue) } else { Outcome::Handler };
    let prepared = PreparedCompletion { completion: with_handler.unwrap_or(completion), outcome };
    let delivery = if old {
        Delivery {
            failures: 9,
            failing_since: Some(NOW - GIVE_UP_AFTER),
            answer_lost: lost,
            refused_at: None,
        }
    } else {
        Delivery { answer_lost: lost, ..Delivery::default() }
    };
    let policy = HandlerPolicy { goto: flag(b'g').then(|| Step::question(1)), ..HandlerPolicy::default() };
    let outcome = fuzzing::outcome(rest);
    let Some(status) = outcome.status() else { panic!("there was a response") };
    let is_foreign = matches!(outcome, CallOutcome::NotKommo { .. });
    let wants_handler = status == 400
        && prepared.completion.is_data_alone()
        && outcome.problem().is_some_and(|problem| problem.has_code("TooFew"));
    let context = DecisionContext {
        job: JobId::new(NOW, 1),
        waiting_since,
        account: AccountEvidence::default(),
        prepared: &prepared,
        delivery,
        policy: &policy,
        give_up_after: GIVE_UP_AFTER,
        now: NOW,
        jitter: 1.0,
    };
    let decision = decide(&AttemptOutcome::Called(outcome), context);

    let is_success = (200..300).contains(&status) && !is_foreign;
    let is_early = status == 404 && flag(b'e') && !old;
    let is_final = status == 404 && !is_early && !is_foreign;
    let is_delivered = is_success || is_final && lost;
    assert_eq!(decision.next == AfterDelivery::Delivered, is_delivered, "{status}");
    assert_eq!(decision.next == AfterDelivery::Gone, is_final && !lost, "{status}");
    let waits = matches!(status, 401 | 402 | 403 | 429);
    assert_eq!(decision.pause.is_some(), waits, "{status}");
    assert_eq!(decision.result.is_none(), waits || is_early, "{status}: only a wait is not charged");
    assert_eq!(decision.error.is_none(), is_success, "{status}: every failure has an error text");
    if let Some(error) = &decision.error {
        assert!(error.chars().count() < 1_500 && !error.contains(char::is_control), "{error:?}");
    }
    match decision.next {
        AfterDelivery::Delivered | AfterDelivery::Gone => {}
        AfterDelivery::Wait { delivery, .. } => {
            assert!(waits && (delivery.failures, delivery.answer_lost) == (0, lost));
        }
        AfterDelivery::Retry { due_at, delivery: then } if is_early => {
            assert!(due_at > NOW && due_at <= NOW + EARLY && then == delivery);
        }
        AfterDelivery::Retry { due_at, delivery } => {
            assert!(!waits && !old && (is_foreign || !matches!(status, 400 | 404 | 422)), "{status}");
            assert!(
                !is_foreign || status == 404 || delivery.answer_lost,
                "a success of another server may hide one of Kommo"
            );
            assert!(due_at >= NOW && due_at <= NOW + MAX_RETRY_DELAY && delivery.failures > 0);
            assert!(delivery.answer_lost >= lost && delivery.failing_since.is_some());
        }
        AfterDelivery::Replace { prepared: other, delivery } => {
            assert!(matches!(status, 400 | 422), "{status}");
            assert!(!is_fallback || wants_handler, "the fallback is replaced by the fallback");
            assert!(wants_handler != (other.outcome != Outcome::Handler && !is_fallback));
            assert_eq!((delivery.failures, delivery.failing_since), (0, None));
        }
        AfterDelivery::Dead { answer_lost } => {
            let refused = matches!(status, 400 | 422);
            assert!(old || refused && (is_fallback || wants_handler), "{status} ended the job");
            assert!(!waits && answer_lost >= lost);
        }
    }
    is_delivered
}
