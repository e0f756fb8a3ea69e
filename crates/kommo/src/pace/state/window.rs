//! The window in which the calls of one account, or of the bridge, are counted.

use std::collections::VecDeque;
use std::time::Duration;

use super::WINDOW;

/// Calls that started within the last window, and those that will.
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

    pub(super) fn room(&mut self, now: Duration) -> usize {
        while self.started.front().is_some_and(|start| *start + WINDOW <= now) {
            self.started.pop_front();
        }
        self.limit.saturating_sub(self.started.len() + self.reserved)
    }

    pub(super) fn next(&mut self, now: Duration) -> Duration {
        if self.room(now) > 0 {
            now
        } else {
            self.started.front().map_or(now + WINDOW, |start| *start + WINDOW)
        }
    }

    pub(super) fn start(&mut self, now: Duration) {
        self.reserved = self.reserved.saturating_sub(1);
        self.started.push_back(now);
    }

    /// When the next call leaves the window. A call that is only reserved starts later than now.
    pub(super) fn grows(&self, now: Duration) -> Duration {
        self.started.front().map_or(now, |start| *start) + WINDOW
    }
}
