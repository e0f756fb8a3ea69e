//! What an operator can do with a job. The store decides again when it is done.

use model::{JobRecord, Outcome, OutcomeName, State, StateName};
use store::Surroundings;

/// What can be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) retry: Option<Retry>,
    pub(super) can_complete: bool,
    pub(super) can_cancel: bool,
    /// Why the answer cannot be sent again, if that is the reason.
    pub(super) is_erased: bool,
}

/// A retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Retry {
    /// What is sent: what was sent last.
    pub(super) sends: OutcomeName,
    /// The other answer that can be sent instead.
    pub(super) instead: Option<OutcomeName>,
    /// Whether a newer job asks at the same `return_url`, so that the answer would reach its question.
    pub(super) is_superseded: bool,
    /// Whether the job waits, so that a retry only shortens the wait.
    pub(super) is_waiting: bool,
}

/// What can be done with `job`.
pub(super) fn choice(job: &JobRecord, around: Option<&Surroundings>) -> Choice {
    let whole = match job {
        JobRecord::Whole(job) => job,
        JobRecord::WithoutBodies(summary) => {
            let is_erased = matches!(summary.state, StateName::Dead | StateName::Gone);
            return Choice { is_erased, can_cancel: !summary.state.is_finished(), ..Choice::default() };
        }
    };
    let is_waiting = matches!(whole.state, State::Delivering { lease_until: None, .. });
    let can_retry = is_waiting || matches!(whole.state, State::Dead { .. } | State::Gone { .. });
    let outcome = whole.state.prepared().map(|prepared| prepared.outcome).filter(|_| can_retry);
    let retry = outcome.map(|outcome| Retry {
        sends: outcome.name(),
        instead: match outcome {
            Outcome::Handler => Some(OutcomeName::Fallback),
            Outcome::Fallback(_) => whole.handler_completion.as_ref().map(|_| OutcomeName::Handler),
        },
        // Only a repeated continue can reach another question.
        is_superseded: around
            .is_some_and(|around| around.superseded_by.is_some() && (!is_waiting || around.was_sent)),
        is_waiting,
    });
    Choice {
        retry,
        can_complete: matches!(
            whole.state,
            State::Queued(_) | State::Running { .. } | State::AwaitingCallback
        ),
        can_cancel: !whole.state.name().is_finished(),
        is_erased: false,
    }
}

impl Retry {
    /// The words on the button.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self { is_superseded: true, .. } => "Send this answer anyway",
            Self { is_waiting: true, .. } => "Send it now",
            _ => "Retry the delivery",
        }
    }

    /// What a retry does.
    pub(super) const fn what(self) -> &'static str {
        match (self.is_superseded, self.sends) {
            (true, _) => {
                "A newer job has the same return_url: this answer would reach the newer question of the bot."
            }
            (false, OutcomeName::Handler) => {
                "A retry sends the saved answer of the handler. The handler does not run again."
            }
            (false, OutcomeName::Fallback) => "A retry sends the fallback. The handler does not run again.",
        }
    }
}

/// The words on the button that sends the other answer.
pub(super) const fn instead(other: OutcomeName) -> &'static str {
    match other {
        OutcomeName::Handler => "Send the handler's answer",
        OutcomeName::Fallback => "Send the fallback",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::{
        AccountId, CheckedCompletion, FallbackReason, Job, JobId, PreparedCompletion, QueueWait, Timestamp,
        WidgetRequest,
    };

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn job(state: State) -> Job {
        Job {
            id: JobId::new(NOW, 1),
            handler: "greet".parse().unwrap(),
            request: WidgetRequest {
                account_id: AccountId(1),
                entity: None,
                return_url: "https://a.kommo.com/api/v4/salesbot/1/continue/c1".parse().unwrap(),
                data: serde_json::Value::Null,
                earlier: Vec::new(),
            },
            received_at: NOW,
            answer_by: NOW + Duration::from_secs(50),
            handler_attempts: 1,
            delivery_attempts: 1,
            last_error: None,
            error_group: None,
            handler_completion: None,
            joined_into: None,
            state,
        }
    }

    fn prepared(outcome: Outcome) -> PreparedCompletion {
        PreparedCompletion { completion: CheckedCompletion::failed(), outcome }
    }

    fn waiting(outcome: Outcome, lease_until: Option<Timestamp>) -> State {
        State::Delivering { prepared: prepared(outcome), due_at: NOW, lease_until }
    }

    #[test]
    fn only_what_the_store_accepts_is_offered() {
        let handler = || prepared(Outcome::Handler);
        for (state, label, can_complete, can_cancel) in [
            (State::Queued(QueueWait::Until(NOW)), None, true, true),
            (State::Running { lease_until: NOW }, None, true, true),
            (State::AwaitingCallback, None, true, true),
            (waiting(Outcome::Handler, None), Some("Send it now"), false, true),
            (waiting(Outcome::Handler, Some(NOW)), None, false, true),
            (State::Delivered { prepared: handler(), finished_at: NOW }, None, false, false),
            (State::Gone { prepared: handler(), finished_at: NOW }, Some("Retry the delivery"), false, false),
            (State::Dead { prepared: handler(), finished_at: NOW }, Some("Retry the delivery"), false, false),
            (State::Cancelled { prepared: None, finished_at: NOW }, None, false, false),
        ] {
            let name = state.name();
            let choice = choice(&JobRecord::Whole(job(state)), None);
            let found = (choice.retry.map(Retry::label), choice.can_complete, choice.can_cancel);
            assert_eq!(found, (label, can_complete, can_cancel), "{name}");
        }
        let erased =
            JobRecord::WithoutBodies((&job(State::Dead { prepared: handler(), finished_at: NOW })).into());
        assert_eq!(choice(&erased, None), Choice { is_erased: true, ..Choice::default() });
    }

    #[test]
    fn a_retry_says_what_it_sends() {
        let dead = |outcome| State::Dead { prepared: prepared(outcome), finished_at: NOW };
        let fallback = Outcome::Fallback(FallbackReason::Refused);
        let of =
            |job: Job, around: &Surroundings| choice(&JobRecord::Whole(job), Some(around)).retry.unwrap();
        let alone = Surroundings::default();
        let sent = of(job(dead(Outcome::Handler)), &alone);
        assert_eq!((sent.sends, sent.instead), (OutcomeName::Handler, Some(OutcomeName::Fallback)));
        assert_eq!(of(job(dead(fallback)), &alone).instead, None);
        let with_both = Job { handler_completion: Some(CheckedCompletion::failed()), ..job(dead(fallback)) };
        assert_eq!(of(with_both, &alone).instead, Some(OutcomeName::Handler));

        let newer = Surroundings { superseded_by: Some(JobId::new(NOW, 2)), ..Surroundings::default() };
        assert!(of(job(dead(Outcome::Handler)), &newer).is_superseded);
        assert!(!of(job(waiting(Outcome::Handler, None)), &newer).is_superseded);
        let was_sent = Surroundings { was_sent: true, ..newer };
        assert!(of(job(waiting(Outcome::Handler, None)), &was_sent).is_superseded);
    }
}
