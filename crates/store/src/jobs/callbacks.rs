//! Decides what a completion that comes later does: from a callback, or from an operator.

use model::{OutcomeName, StateName};

use crate::Completed;
use crate::records::By;

/// Whether this attempt of a job runs, or any if it is `None`. The job has been charged for `attempts`.
pub(crate) fn runs(state: StateName, attempts: u32, attempt: Option<u32>) -> bool {
    state == StateName::Running && attempt.is_none_or(|attempt| attempt > attempts)
}

/// What a completion for a job in this state does.
pub(crate) fn decide(state: StateName, outcome: Option<OutcomeName>, is_in_time: bool) -> Completed {
    match (state, outcome) {
        (StateName::Queued | StateName::Running | StateName::AwaitingCallback, _) if is_in_time => {
            Completed::Accepted
        }
        (StateName::Cancelled, _) => Completed::TooLate(state),
        (_, Some(OutcomeName::Handler)) => Completed::Before(state),
        _ => Completed::TooLate(state),
    }
}

/// Returns the note about a completion from `by`; `None` if it changes nothing.
pub(crate) const fn note(completed: Completed, by: &By) -> Option<&'static str> {
    match (completed, by) {
        (Completed::Accepted, By::Operator(_)) => Some("an operator gave the completion"),
        (Completed::Accepted, By::Callback) => Some("the completion came by a callback"),
        (Completed::TooLate(_), By::Callback) => {
            Some("a completion came by a callback, but too late: it was discarded")
        }
        (Completed::TooLate(_), By::Operator(_)) | (Completed::Before(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_is_accepted_in_time_and_only_once() {
        use Completed::{Accepted, Before, TooLate};
        use StateName::{AwaitingCallback, Cancelled, Dead, Delivered, Delivering, Gone, Queued, Running};
        let (handler, fallback) = (Some(OutcomeName::Handler), Some(OutcomeName::Fallback));
        for (state, outcome, is_in_time, expected) in [
            (Queued, None, true, Accepted),
            (Running, None, true, Accepted),
            (AwaitingCallback, None, true, Accepted),
            (Queued, None, false, TooLate(Queued)),
            (Running, None, false, TooLate(Running)),
            (AwaitingCallback, None, false, TooLate(AwaitingCallback)),
            (Delivering, handler, true, Before(Delivering)),
            (Delivered, handler, false, Before(Delivered)),
            (Gone, handler, true, Before(Gone)),
            (Dead, handler, true, Before(Dead)),
            (Delivering, fallback, true, TooLate(Delivering)),
            (Delivered, fallback, false, TooLate(Delivered)),
            (Cancelled, handler, true, TooLate(Cancelled)),
            (Cancelled, None, true, TooLate(Cancelled)),
        ] {
            assert_eq!(decide(state, outcome, is_in_time), expected, "{state} {outcome:?} {is_in_time}");
        }
    }
}
