//! A reserved call, and the kinds of calls.

use super::super::breaker::Breaker;

/// A reserved call. It belongs to the breakers' epochs at the time of the reservation.
#[derive(Clone, Copy, Debug)]
pub(in crate::pace) struct Reservation {
    pub(super) account_epoch: u64,
    pub(super) global_epoch: u64,
    /// Whether the account's breaker does not apply to the call. Such a call is not the probe either.
    pub(super) is_exempt: bool,
    /// Whether the response decides if a pause ends.
    pub(super) is_probe: bool,
}

impl Reservation {
    pub(in crate::pace) const fn is_probe(&self) -> bool {
        self.is_probe
    }
}

/// The kind of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// A call to the API, which needs a token.
    Api,
    /// A call that obtains a token. It is exempt from a pause that waits for a token.
    Token,
}

impl CallKind {
    pub(super) fn is_exempt_from(self, breaker: &Breaker) -> bool {
        self == Self::Token && breaker.waits_for_token()
    }
}
