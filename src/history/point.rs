//! The numbers of one period.

use serde::{Deserialize, Serialize};

use crate::meters::Times;

/// The numbers of one period. In JSON, numbers that are 0 are omitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Point {
    /// Requests that became jobs.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) requests: u32,
    /// Bots that got the handler's answer.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) by_handler: u32,
    /// Bots that got the fallback.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) by_fallback: u32,
    /// Jobs that the sender gave up.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) dead: u32,
    /// The longest wait of a job that the bridge had to work on, in milliseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) oldest_waiting_ms: u32,
    /// The highest number of unfinished jobs.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) unfinished: u32,
    /// From receipt to continue.
    pub(super) times: Times,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Point {
    /// Adds the numbers of another sample of the same period, or of another period.
    pub(super) fn merge(&mut self, other: &Self) {
        let Self { requests, by_handler, by_fallback, dead, oldest_waiting_ms, unfinished, times } = other;
        for (mine, more) in [
            (&mut self.requests, requests),
            (&mut self.by_handler, by_handler),
            (&mut self.by_fallback, by_fallback),
            (&mut self.dead, dead),
        ] {
            *mine = mine.saturating_add(*more);
        }
        self.oldest_waiting_ms = self.oldest_waiting_ms.max(*oldest_waiting_ms);
        self.unfinished = self.unfinished.max(*unfinished);
        self.times.merge(times);
    }
}
