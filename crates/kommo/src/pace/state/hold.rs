//! The reason why the sender cannot call an account now: what holds it, and until when.
//!
//! It mirrors [`LimiterState::reserve`], which returns only reservations. With the reason, the sender parks a lane until
//! something changes, and skips the other lanes if none of them can proceed.

use std::time::Duration;

use super::super::arbiter::Caller;
use super::super::breaker::BreakerState;
use super::LimiterState;

/// The reason why no continue to an account may start now. Moments are elapsed times; `None` if the end depends on an
/// event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The account is paused or has used up its rate, until this moment.
    Account(Option<Duration>),
    /// The account has the maximum number of continues in flight that it may have now. Other accounts may get permits.
    Share,
    /// No account can be called until this moment.
    All(Option<Duration>),
}

impl LimiterState {
    /// The reason why [`reserve`](Self::reserve) returns no reservation for `account`; `None` if it returns one.
    pub(in crate::pace) fn hold(&mut self, account: &str, now: Duration) -> Option<Hold> {
        let global = self.global.state(account, now);
        let left = self.arbiter.left_to_others(Caller::Sender, now);
        let entry = self.account(account);
        if let BreakerState::Open(until) = entry.breaker.state(now) {
            return Some(Hold::Account(until));
        }
        if entry.window.room(now) <= entry.left_to_waiters() {
            return Some(Hold::Account(Some(entry.window.grows_at(now))));
        }
        if let Some(until) = self.global.holds_all(now) {
            return Some(Hold::All(until));
        }
        if let BreakerState::Open(until) = global {
            return Some(Hold::Account(until));
        }
        let total = self.total.as_mut()?;
        (total.room(now) <= left).then(|| Hold::All(Some(total.grows_at(now))))
    }
}

#[cfg(test)]
mod tests;
