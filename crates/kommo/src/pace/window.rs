//! The sliding window that counts the calls to one account, or to all accounts.

use std::collections::VecDeque;
use std::time::Duration;

/// The length of the window. It is a tenth longer than Kommo's window of one second, because calls that start a second
/// apart can arrive closer together.
pub(super) const WINDOW: Duration = Duration::from_millis(1_100);

/// The calls that started within the last window, and the reserved ones.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) limit: usize,
    started: VecDeque<Duration>,
    pub(super) reserved: usize,
}

impl Window {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, started: VecDeque::new(), reserved: 0 }
    }

    /// The number of calls that may be reserved now.
    pub(super) fn room(&mut self, now: Duration) -> usize {
        while self.started.front().is_some_and(|start| *start + WINDOW <= now) {
            self.started.pop_front();
        }
        self.limit.saturating_sub(self.started.len() + self.reserved)
    }

    /// The number of calls that started within the current window, or are reserved.
    pub(super) fn used(&mut self, now: Duration) -> usize {
        self.limit.saturating_sub(self.room(now))
    }

    /// The earliest moment for another reservation, if none is released before.
    pub(super) fn next(&mut self, now: Duration) -> Duration {
        if self.room(now) > 0 {
            now
        } else {
            self.started.front().map_or(now + WINDOW, |start| *start + WINDOW)
        }
    }

    /// Records that a reserved call starts.
    pub(super) fn start(&mut self, now: Duration) {
        self.release();
        self.started.push_back(now);
    }

    /// Releases a reservation, because its call started or will not start.
    pub(super) const fn release(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// The moment at which the next call leaves the window. A call that is only reserved counts as if it started now.
    pub(super) fn grows_at(&self, now: Duration) -> Duration {
        self.started.front().map_or(now, |start| *start) + WINDOW
    }
}
