//! For how long calls to an account wait for each cause, and what ends the wait. Why they wait and what an operator can do
//! about it is in the model.

use std::time::Duration;

use crate::model::JobId;

pub use crate::model::WaitCause as Cause;

impl Cause {
    /// Whether it is a refusal, which Kommo may mean for one job alone: one refusal says nothing certain about the account.
    pub const fn may_be_of_one_job(self) -> bool {
        matches!(self, Self::Unauthorized | Self::PaymentRequired | Self::Forbidden | Self::Blocked)
    }

    /// Whether Kommo was asked at all.
    pub const fn was_answered(self) -> bool {
        !matches!(self, Self::NotConnected | Self::NotRenewed)
    }

    /// Whether a new token ends it. It may belong to another user, one with more rights.
    pub(super) const fn ends_with_a_new_token(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Forbidden | Self::NotConnected | Self::NotRenewed)
    }

    /// The n-th pause in a row, from 1, if Kommo names no time.
    pub(super) fn length(self, nth: u32) -> Duration {
        let (first, longest) = match self {
            Self::TooMany => (1, 60),
            Self::Unauthorized | Self::PaymentRequired | Self::NotConnected => (30, 15 * 60),
            Self::NotRenewed => (5, 10 * 60),
            Self::Forbidden | Self::Blocked => (60, 60 * 60),
        };
        let doubled = 1_u64 << nth.saturating_sub(1).min(20);
        Duration::from_secs((first * doubled).min(longest))
    }
}

/// The call whose answer asks to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The continue of this job.
    Job(JobId),
    /// A request for a token.
    Token,
    /// A call of a handler or a command.
    Call,
}

/// Why the account has to wait, how long if Kommo said so, and which call it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Why.
    pub cause: Cause,
    /// How long, if Kommo said so.
    pub hint: Option<Duration>,
    /// Which call was answered so.
    pub source: Source,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_longest() {
        let lengths = |cause: Cause| [1, 2, 3, 30].map(|nth| cause.length(nth).as_secs());
        assert_eq!(lengths(Cause::TooMany), [1, 2, 4, 60]);
        assert_eq!(lengths(Cause::Unauthorized), [30, 60, 120, 900]);
        assert_eq!(lengths(Cause::Blocked), [60, 120, 240, 3_600]);
    }
}
