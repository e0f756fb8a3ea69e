//! The idempotency keys that this process remembers.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{JobId, Timestamp};

use crate::time::{Cutoff, ServiceTime};

/// Keys that gather before they are moved: few enough to be held in memory and to be read at a start, and so
/// many that several go into each page of a table of a million.
pub(crate) const GATHERED_KEYS: usize = 16_384;

/// The number of the account, and the token's `jti`.
pub(crate) type Key = (i64, String);

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The first job that came with it.
    pub(crate) job: JobId,
    /// From then on the token is refused, by the calendar.
    pub(crate) expires_at: Timestamp,
    /// The same by the service time.
    pub(crate) expires_service_at: ServiceTime,
    /// Its row in `recent_keys`.
    pub(crate) row: i64,
}

impl Known {
    /// Whether its token is over, by both clocks.
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
    /// The first job of each of `keys` that is remembered and whose token is not over; in the same order.
    pub(crate) fn jobs(&self, keys: &[Key], now: Cutoff) -> Vec<Option<JobId>> {
        let tiers = self.lock();
        let known = |key| tiers.gathering.get(key).or_else(|| tiers.moving.get(key));
        let valid = |known: &&Known| !known.is_over(now);
        keys.iter().map(|key| known(key).filter(valid).map(|known| known.job)).collect()
    }

    /// The row of the key that was appended last.
    pub(crate) fn last_row(&self) -> i64 {
        self.lock().last_row
    }

    /// After COMMIT: these are known now.
    pub(crate) fn remember(&self, new: Vec<(Key, Known)>) {
        let mut tiers = self.lock();
        for (key, known) in new {
            tiers.last_row = tiers.last_row.max(known.row);
            tiers.gathering.insert(key, known);
        }
    }

    /// Whether there is something to move: the rest of what was begun, or at least `least` keys that gathered.
    pub(crate) fn gathered(&self, least: usize) -> bool {
        let mut tiers = self.lock();
        if tiers.moving.is_empty() && tiers.gathering.len() >= least.max(1) {
            tiers.moving = std::mem::take(&mut tiers.gathering);
        }
        !tiers.moving.is_empty()
    }

    /// The next keys to move, at most `most`, in the order of the table.
    pub(crate) fn next(&self, after: Option<&Key>, most: usize) -> Vec<(Key, Known)> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let tiers = self.lock();
        let next = tiers.moving.range((after, Bound::Unbounded)).take(most);
        next.map(|(key, known)| (key.clone(), *known)).collect()
    }

    /// The last row of those that were moved. What is being appended meanwhile has higher numbers.
    pub(crate) fn moved_rows(&self) -> Option<i64> {
        self.lock().moving.values().map(|known| known.row).max()
    }

    /// All that was to be moved has been.
    pub(crate) fn moved(&self) {
        self.lock().moving.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Tiers> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
