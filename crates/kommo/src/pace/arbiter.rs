//! Which side gets the next call when the total rate is short.
//!
//! The sender and the waiters take turns, as they do at each account; otherwise the side that asks first would get every
//! call. The waiters cannot be counted here, because most of them wait for their own account. So a side that was refused
//! for the total alone is left one call, for as long as it is likely to come back.

use std::time::Duration;

use super::window::WINDOW;

/// The side that asks for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// The sender of continues: it asks for many calls, and never waits.
    Sender,
    /// A caller that waits for one call.
    Waiter,
}

/// Lets the two sides take turns.
#[derive(Debug, Default)]
pub(super) struct Arbiter {
    last: Option<Caller>,
    sender_waits_until: Duration,
    waiters_wait_until: Duration,
}

impl Arbiter {
    /// How many calls `caller` has to leave to the other side.
    pub(super) fn left_to_others(&self, caller: Caller, now: Duration) -> usize {
        let others_wait_until = match caller {
            Caller::Sender => self.waiters_wait_until,
            Caller::Waiter => self.sender_waits_until,
        };
        usize::from(self.last == Some(caller) && now < others_wait_until)
    }

    /// `caller` got a call.
    pub(super) fn granted(&mut self, caller: Caller) {
        self.last = Some(caller);
        self.waits_until(caller, Duration::ZERO);
    }

    /// `caller` got none, and only the total rate was in the way.
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
