//! The length of a pause for each cause. The model defines what ends the pause, and what an operator can do.

use std::time::Duration;

use model::JobId;

pub use model::WaitCause as Cause;

/// The length of the n-th pause in a row, from 1, if Kommo names no time.
pub(super) fn pause_length(cause: Cause, nth: u32) -> Duration {
    let (first, longest) = match cause {
        Cause::TooMany => (1, 60),
        Cause::Unauthorized | Cause::PaymentRequired | Cause::NotConnected => (30, 15 * 60),
        Cause::NotRenewed => (5, 10 * 60),
        Cause::Forbidden | Cause::Blocked => (60, 60 * 60),
    };
    let doubled = 1_u64 << nth.saturating_sub(1).min(20);
    Duration::from_secs((first * doubled).min(longest))
}

/// The call that caused a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The continue of this job.
    Job(JobId),
    /// A request for a token.
    Token,
    /// A call of a handler or of a command.
    Call,
}

/// A pause: its cause, its length if Kommo named one, and the call that caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// The cause.
    pub cause: Cause,
    /// The time to wait, if Kommo named one.
    pub hint: Option<Duration>,
    /// The call that caused the pause.
    pub source: Source,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_maximum() {
        let lengths = |cause: Cause| [1, 2, 3, 30].map(|nth| pause_length(cause, nth).as_secs());
        assert_eq!(lengths(Cause::TooMany), [1, 2, 4, 60]);
        assert_eq!(lengths(Cause::Unauthorized), [30, 60, 120, 900]);
        assert_eq!(lengths(Cause::Blocked), [60, 120, 240, 3_600]);
    }
}
