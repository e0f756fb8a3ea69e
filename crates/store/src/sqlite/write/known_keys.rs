//! The idempotency keys that are in memory, because maintenance has not moved them yet.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{JobId, Timestamp};

use crate::jobs::accept::Key;
use crate::time::{Cutoff, ServiceTime};

/// The number of keys at which maintenance moves them. So few keys fit in memory and are read quickly at a start. They
/// are enough that several go into each page of a table of a million keys.
pub(crate) const GATHERED_KEYS: usize = 16_384;

/// A known key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The first job with this key.
    pub(crate) job: JobId,
    /// When the token expires, by the calendar.
    pub(crate) expires_at: Timestamp,
    /// The same by the service time.
    pub(crate) expires_service_at: ServiceTime,
    /// Its row in `recent_keys`.
    pub(crate) row: i64,
}

impl Known {
    /// Whether its token has expired by both clocks.
    pub(crate) fn is_over(&self, now: Cutoff) -> bool {
        self.expires_at < now.calendar && self.expires_service_at < now.service
    }
}

/// The keys that are not in `idempotency_keys` yet.
#[derive(Default)]
pub(crate) struct Keys(Mutex<Tiers>);

#[derive(Default)]
struct Tiers {
    gathering: BTreeMap<Key, Known>,
    moving: BTreeMap<Key, Known>,
    last_row: i64,
}

impl Keys {
    /// Returns the first job of each key in `keys`, in the same order; `None` if the key is not in memory or its token
    /// has expired.
    pub(crate) fn jobs(&self, keys: &[Key], now: Cutoff) -> Vec<Option<JobId>> {
        let tiers = self.lock();
        let known = |key| tiers.gathering.get(key).or_else(|| tiers.moving.get(key));
        let valid = |known: &&Known| !known.is_over(now);
        keys.iter().map(|key| known(key).filter(valid).map(|known| known.job)).collect()
    }

    /// Returns the row of the last appended key.
    pub(crate) fn last_row(&self) -> i64 {
        self.lock().last_row
    }

    /// Remembers these keys, after COMMIT.
    pub(crate) fn remember(&self, new: Vec<(Key, Known)>) {
        let mut tiers = self.lock();
        for (key, known) in new {
            tiers.last_row = tiers.last_row.max(known.row);
            tiers.gathering.insert(key, known);
        }
    }

    /// Starts a move if at least `min_keys` keys have gathered and no move has begun. Returns whether there are keys to
    /// move.
    pub(crate) fn start_move(&self, min_keys: usize) -> bool {
        let mut tiers = self.lock();
        if tiers.moving.is_empty() && tiers.gathering.len() >= min_keys.max(1) {
            tiers.moving = std::mem::take(&mut tiers.gathering);
        }
        !tiers.moving.is_empty()
    }

    /// Returns the next keys to move, at most `max_keys`, in the order of the table.
    pub(crate) fn next_to_move(&self, after: Option<&Key>, max_keys: usize) -> Vec<(Key, Known)> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let tiers = self.lock();
        let next = tiers.moving.range((after, Bound::Unbounded)).take(max_keys);
        next.map(|(key, known)| (key.clone(), *known)).collect()
    }

    /// Returns the last row in `recent_keys` of the keys in the current move. Keys appended later have higher numbers.
    pub(crate) fn last_moved_row(&self) -> Option<i64> {
        self.lock().moving.values().map(|known| known.row).max()
    }

    /// Ends a completed move: forgets its keys.
    pub(crate) fn finish_move(&self) {
        self.lock().moving.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Tiers> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
