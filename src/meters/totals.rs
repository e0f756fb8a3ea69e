//! The running totals of one bridge since its start. Adding to them costs a few nanoseconds.

use std::array;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::times::{BUCKETS, Times, bucket};

/// The totals. Clones share them.
#[derive(Clone, Default)]
pub struct Totals(Arc<Inner>);

struct Inner {
    requests: AtomicU64,
    by_handler: AtomicU64,
    by_fallback: AtomicU64,
    dead: AtomicU64,
    /// From receipt to continue, by bucket.
    times: [AtomicU64; BUCKETS],
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            requests: AtomicU64::default(),
            by_handler: AtomicU64::default(),
            by_fallback: AtomicU64::default(),
            dead: AtomicU64::default(),
            times: array::from_fn(|_| AtomicU64::default()),
        }
    }
}

/// The totals at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotalsSnapshot {
    /// Requests that became jobs.
    pub requests: u64,
    /// Bots that got the handler's answer.
    pub by_handler: u64,
    /// Bots that got the fallback.
    pub by_fallback: u64,
    /// Jobs that the sender gave up.
    pub dead: u64,
    times: [u64; BUCKETS],
}

impl TotalsSnapshot {
    /// The times from receipt to continue of the jobs that were delivered since `earlier`.
    pub fn times_since(&self, earlier: &Self) -> Times {
        Times::between(&earlier.times, &self.times)
    }
}

impl Totals {
    /// Counts a request that became a job.
    pub fn request(&self) {
        self.0.requests.fetch_add(1, Relaxed);
    }

    /// Counts a continue that Kommo accepted `after` the receipt of its request.
    pub fn delivered(&self, is_fallback: bool, after: Duration) {
        let answers = if is_fallback { &self.0.by_fallback } else { &self.0.by_handler };
        answers.fetch_add(1, Relaxed);
        if let Some(times) = self.0.times.get(bucket(after)) {
            times.fetch_add(1, Relaxed);
        }
    }

    /// Counts a job that the sender gave up.
    pub fn dead(&self) {
        self.0.dead.fetch_add(1, Relaxed);
    }

    /// The totals now.
    pub fn snapshot(&self) -> TotalsSnapshot {
        let Inner { requests, by_handler, by_fallback, dead, times } = &*self.0;
        TotalsSnapshot {
            requests: requests.load(Relaxed),
            by_handler: by_handler.load(Relaxed),
            by_fallback: by_fallback.load(Relaxed),
            dead: dead.load(Relaxed),
            times: array::from_fn(|number| times.get(number).map_or(0, |count| count.load(Relaxed))),
        }
    }
}
