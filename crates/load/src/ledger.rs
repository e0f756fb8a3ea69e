//! The record of each request: what happened to it, and when. Every figure comes from here.

use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

/// How often a waiter polls. Does not affect the figures, which use the recorded times.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// The recorded status if the connection broke.
const BROKEN: u16 = 1;

/// One entry for each request. Generator and sink write it concurrently; the report reads it.
#[derive(Debug)]
pub struct Ledger {
    began: Instant,
    first: u64,
    entries: Vec<Entry>,
    sent: AtomicUsize,
    answered: AtomicUsize,
    accepted: AtomicUsize,
    continued: AtomicUsize,
    continues: AtomicUsize,
}

/// Times are nanoseconds since the ledger began; 0 means never.
#[derive(Debug, Default)]
struct Entry {
    due: AtomicU64,
    sent: AtomicU64,
    answered: AtomicU64,
    status: AtomicU16,
    continued: AtomicU64,
    continues: AtomicU32,
}

/// The progress of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Requests sent.
    pub sent: usize,
    /// Requests that got a response with any status, or lost their connection.
    pub answered: usize,
    /// Requests answered with 200.
    pub accepted: usize,
    /// Requests with at least one continue.
    pub continued: usize,
    /// Continues.
    pub continues: usize,
}

/// The record of one request, with times since the ledger began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RequestTimes {
    pub(super) id: u64,
    pub(super) due: Option<Duration>,
    pub(super) sent: Option<Duration>,
    pub(super) answered: Option<Duration>,
    /// `None` if there was no response: the connection broke, or the run ended first.
    pub(super) status: Option<u16>,
    pub(super) continued: Option<Duration>,
    pub(super) continues: u32,
}

impl Ledger {
    pub(super) fn new(first: u64, requests: usize) -> Self {
        let mut entries = Vec::new();
        entries.resize_with(requests, Entry::default);
        Self {
            began: Instant::now(),
            first,
            entries,
            sent: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            continued: AtomicUsize::new(0),
            continues: AtomicUsize::new(0),
        }
    }

    /// The id in the `return_url` of request `index`.
    pub(super) fn id(&self, index: usize) -> u64 {
        self.first + index as u64
    }

    pub(super) fn index(&self, id: u64) -> Option<usize> {
        let index = usize::try_from(id.checked_sub(self.first)?).ok()?;
        (index < self.entries.len()).then_some(index)
    }

    pub(super) fn note_sent(&self, index: usize, due: Instant, now: Instant) {
        self.entries[index].due.store(self.nanos(due), Relaxed);
        self.entries[index].sent.store(self.nanos(now), Relaxed);
        self.sent.fetch_add(1, Relaxed);
    }

    pub(super) fn note_answered(&self, index: usize, status: u16, now: Instant) {
        self.entries[index].status.store(status, Relaxed);
        self.entries[index].answered.store(self.nanos(now), Relaxed);
        if status == 200 {
            self.accepted.fetch_add(1, Relaxed);
        }
        self.answered.fetch_add(1, Relaxed);
    }

    pub(super) fn note_broken(&self, index: usize) {
        self.entries[index].status.store(BROKEN, Relaxed);
        self.answered.fetch_add(1, Relaxed);
    }

    pub(super) fn note_continued(&self, index: usize, now: Instant) {
        self.continues.fetch_add(1, Relaxed);
        if self.entries[index].continues.fetch_add(1, Relaxed) == 0 {
            self.entries[index].continued.store(self.nanos(now), Relaxed);
            self.continued.fetch_add(1, Relaxed);
        }
    }

    /// The progress of the run.
    #[must_use]
    pub fn count(&self) -> Count {
        Count {
            sent: self.sent.load(Relaxed),
            answered: self.answered.load(Relaxed),
            accepted: self.accepted.load(Relaxed),
            continued: self.continued.load(Relaxed),
            continues: self.continues.load(Relaxed),
        }
    }

    /// The number of requests in the ledger.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.entries.len()
    }

    /// Whether every request answered with 200 was continued.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let Count { accepted, continued, .. } = self.count();
        // The counts alone are not enough: a request that was not answered with 200 may be continued too.
        continued >= accepted && self.times().all(|one| one.status != Some(200) || one.continues > 0)
    }

    /// Waits until every request answered with 200 so far was continued. Returns false if there is no progress for
    /// `timeout` before that.
    pub async fn settled(&self, timeout: Duration) -> bool {
        self.reaches(timeout, Self::is_settled).await
    }

    /// Waits until `reached` returns true. Returns false if there is no progress for `timeout` before that.
    pub async fn reaches(&self, timeout: Duration, reached: impl Fn(&Self) -> bool) -> bool {
        let mut poll = interval(POLL_INTERVAL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut count, mut progress) = (self.count(), Instant::now());
        loop {
            poll.tick().await;
            if reached(self) {
                return true;
            }
            let now = self.count();
            if now != count {
                (count, progress) = (now, Instant::now());
            } else if progress.elapsed() >= timeout {
                return false;
            }
        }
    }

    pub(super) fn times(&self) -> impl Iterator<Item = RequestTimes> + '_ {
        let time = |nanos: &AtomicU64| match nanos.load(Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        };
        self.entries.iter().enumerate().map(move |(index, entry)| RequestTimes {
            id: self.id(index),
            due: time(&entry.due),
            sent: time(&entry.sent),
            answered: time(&entry.answered),
            status: Some(entry.status.load(Relaxed)).filter(|status| *status > BROKEN),
            continued: time(&entry.continued),
            continues: entry.continues.load(Relaxed),
        })
    }

    fn nanos(&self, at: Instant) -> u64 {
        let nanos = at.saturating_duration_since(self.began).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX).max(1)
    }
}
