//! A reserved call, and what it is for.

use super::super::breaker::Breaker;

/// A reserved call. It belongs to the epochs of the breakers in which it was made.
#[derive(Clone, Copy, Debug)]
pub(in crate::pace) struct Reservation {
    pub(super) account_epoch: u64,
    pub(super) global_epoch: u64,
    /// The breaker of its account does not apply to it, so it is not the probe either.
    pub(super) is_exempt: bool,
    /// Its response decides whether a pause is over.
    pub(super) is_probe: bool,
}

impl Reservation {
    pub(in crate::pace) const fn is_probe(&self) -> bool {
        self.is_probe
    }
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// A call to the API, which needs a token.
    Api,
    /// A call that gets a token: a pause for want of one does not hold it.
    Token,
}

impl CallKind {
    pub(super) fn is_exempt_from(self, breaker: &Breaker) -> bool {
        self == Self::Token && breaker.waits_for_token()
    }
}
