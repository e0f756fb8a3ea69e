//! Decides whether the sender or a waiter gets the next call if the total rate is used up.
//!
//! The sender and the waiters take turns, as they do at each account. Otherwise the side that asks first would get every
//! call. Waiters cannot be counted here, because most of them wait for their own account. So if only the total rate stopped
//! a side, one call stays reserved for it while it is likely to ask again.

use std::time::Duration;

use super::window::WINDOW;

/// A user of the limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// The sender of continues, which asks for many calls and never waits.
    Sender,
    /// A caller that waits for one call.
    Waiter,
}

/// Lets the sender and the waiters take turns.
#[derive(Debug, Default)]
pub(super) struct Arbiter {
    last: Option<Caller>,
    sender_waits_until: Duration,
    waiters_wait_until: Duration,
}

impl Arbiter {
    /// The number of calls that `caller` must leave to the other side.
    pub(super) fn left_to_others(&self, caller: Caller, now: Duration) -> usize {
        let others_wait_until = match caller {
            Caller::Sender => self.waiters_wait_until,
            Caller::Waiter => self.sender_waits_until,
        };
        usize::from(self.last == Some(caller) && now < others_wait_until)
    }

    /// Records that `caller` got a call.
    pub(super) fn granted(&mut self, caller: Caller) {
        self.last = Some(caller);
        self.waits_until(caller, Duration::ZERO);
    }

    /// Records that `caller` got no call, only because of the total rate.
    pub(super) fn refused(&mut self, caller: Caller, now: Duration) {
        self.waits_until(caller, now + WINDOW * 2);
    }

    fn waits_until(&mut self, caller: Caller, until: Duration) {
        match caller {
            Caller::Sender => self.sender_waits_until = until,
            Caller::Waiter => self.waiters_wait_until = until,
        }
    }
}
