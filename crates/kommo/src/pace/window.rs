//! The sliding window in which the calls of one account, or of the bridge, are counted.

use std::collections::VecDeque;
use std::time::Duration;

/// The length of the window. It is a tenth longer than the second that Kommo counts in, because calls that leave a second
/// apart can arrive closer together.
pub(super) const WINDOW: Duration = Duration::from_millis(1_100);

/// The calls that started within the last window, and those that are reserved.
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

    /// How many more calls may be reserved now.
    pub(super) fn room(&mut self, now: Duration) -> usize {
        while self.started.front().is_some_and(|start| *start + WINDOW <= now) {
            self.started.pop_front();
        }
        self.limit.saturating_sub(self.started.len() + self.reserved)
    }

    /// When a call may be reserved at the earliest, if no reservation is released.
    pub(super) fn next(&mut self, now: Duration) -> Duration {
        if self.room(now) > 0 {
            now
        } else {
            self.started.front().map_or(now + WINDOW, |start| *start + WINDOW)
        }
    }

    /// A reserved call starts.
    pub(super) fn start(&mut self, now: Duration) {
        self.release();
        self.started.push_back(now);
    }

    /// A reserved call does not go out, or has started.
    pub(super) const fn release(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// When the next call leaves the window. A call that is only reserved starts later than now.
    pub(super) fn grows(&self, now: Duration) -> Duration {
        self.started.front().map_or(now, |start| *start) + WINDOW
    }
}
