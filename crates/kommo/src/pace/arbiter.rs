//! Whose turn the next call of the whole bridge is, where the total rate is what everybody waits for.
//!
//! As at each account, the sender and those who wait for a single call take turns, or whoever asks first would get all.
//! Here those who wait cannot be counted, because most of them wait for their own account: whoever was refused for the
//! total alone is left a call, for as long as it is likely to come back.

use std::time::Duration;

use super::state::WINDOW;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Sender,
    Guest,
}

/// The turns of the two sides.
#[derive(Debug, Default)]
pub(super) struct Turns {
    last: Option<Who>,
    sender_waits_until: Duration,
    guests_wait_until: Duration,
}

impl Turns {
    /// How many calls `who` has to leave to the other side.
    pub(super) fn left_to_others(&self, who: Who, now: Duration) -> usize {
        let others_wait_until = match who {
            Who::Sender => self.guests_wait_until,
            Who::Guest => self.sender_waits_until,
        };
        usize::from(self.last == Some(who) && now < others_wait_until)
    }

    /// `who` got a call.
    pub(super) fn got(&mut self, who: Who) {
        self.last = Some(who);
        self.waits_until(who, Duration::ZERO);
    }

    /// `who` got none, only for want of room in the total.
    pub(super) fn refused(&mut self, who: Who, now: Duration) {
        self.waits_until(who, now + WINDOW * 2);
    }

    fn waits_until(&mut self, who: Who, until: Duration) {
        match who {
            Who::Sender => self.sender_waits_until = until,
            Who::Guest => self.guests_wait_until = until,
        }
    }
}
