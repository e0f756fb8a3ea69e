//! What holds the sender up at an account: this account or all accounts, and until when.
//!
//! It mirrors [`LimiterState::reserve`], which returns only reservations. With the reason, the sender parks a lane until
//! something changes, and looks at no further lanes if none could go.

use std::time::Duration;

use super::super::arbiter::Caller;
use super::super::breaker::BreakerState;
use super::LimiterState;

/// Why no continue to an account may go now. Moments are by the elapsed time; `None`: not before an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The account is paused or has used up its rate, until then.
    Account(Option<Duration>),
    /// The account has as many continues in flight as it may have now. Others may get permits.
    Share,
    /// Nothing can go to any account, until then.
    All(Option<Duration>),
}

impl LimiterState {
    /// Why [`reserve`](Self::reserve) gives the sender no call to `account`; `None` if it does.
    pub(in crate::pace) fn hold(&mut self, account: &str, now: Duration) -> Option<Hold> {
        let global = self.global.state(account, now);
        let left = self.arbiter.left_to_others(Caller::Sender, now);
        let entry = self.account(account);
        if let BreakerState::Open(until) = entry.breaker.state(now) {
            return Some(Hold::Account(until));
        }
        if entry.window.room(now) <= entry.left_to_waiters() {
            return Some(Hold::Account(Some(entry.window.grows(now))));
        }
        if let Some(until) = self.global.holds_all(now) {
            return Some(Hold::All(until));
        }
        if let BreakerState::Open(until) = global {
            return Some(Hold::Account(until));
        }
        let total = self.total.as_mut()?;
        (total.room(now) <= left).then(|| Hold::All(Some(total.grows(now))))
    }
}

#[cfg(test)]
mod tests;
