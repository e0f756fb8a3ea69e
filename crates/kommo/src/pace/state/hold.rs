//! What holds the sender up at an account: whether that concerns this account or all, and until when.
//!
//! It mirrors [`LimiterState::reserve`], which says only how many calls there are. With it the sender leaves a lane alone until
//! there is a reason to look, and stops looking at further lanes where none of them could go.

use std::time::Duration;

use super::super::arbiter::Who;
use super::super::breaker::BreakerState;
use super::LimiterState;

/// Why no continue to an account may go now. Moments are by the elapsed time; `None`: not before another event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The account is paused or has used up its rate, until then.
    Account(Option<Duration>),
    /// The account has as many places as it may have now. Others may get some.
    Share,
    /// Nothing can go to any account, until then.
    All(Option<Duration>),
}

impl LimiterState {
    /// Why [`reserve`](Self::reserve) gives the sender no call to `account`; `None` if it does.
    pub(in crate::pace) fn hold(&mut self, account: &str, now: Duration) -> Option<Hold> {
        let everybody = self.global.state(account, now);
        let left = self.turns.left_to_others(Who::Sender, now);
        let entry = self.account(account);
        let left_to_guests = usize::from(entry.guests > 0 && entry.guest_is_next);
        if let BreakerState::Open(until) = entry.breaker.state(now) {
            return Some(Hold::Account(until));
        }
        if entry.window.room(now) <= left_to_guests {
            return Some(Hold::Account(Some(entry.window.grows(now))));
        }
        if let Some(until) = self.global.holds_all(now) {
            return Some(Hold::All(until));
        }
        if let BreakerState::Open(until) = everybody {
            return Some(Hold::Account(until));
        }
        let total = self.total.as_mut()?;
        (total.room(now) <= left).then(|| Hold::All(Some(total.grows(now))))
    }
}

#[cfg(test)]
mod tests;
