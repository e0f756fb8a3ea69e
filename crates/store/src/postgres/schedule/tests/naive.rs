//! A schedule without indexes, to compare with: it looks at all jobs and sorts them.

use std::collections::BTreeMap;

use model::{JobId, Timestamp};

use crate::postgres::schedule::choose::Expired;
use crate::postgres::schedule::{Chosen, Planned, Waits};

#[derive(Clone, Default)]
pub(super) struct Naive(BTreeMap<JobId, Planned>);

impl Naive {
    pub(super) fn set(&mut self, id: JobId, planned: Option<Planned>) {
        match planned {
            Some(planned) => self.0.insert(id, planned),
            None => self.0.remove(&id),
        };
    }

    /// The jobs with a key, sorted by it.
    fn sorted<K: Ord>(&self, limit: usize, key: impl Fn(&Waits) -> Option<K>) -> Vec<Chosen> {
        let keyed = self.0.iter().filter_map(|(id, job)| Some(((key(&job.waits)?, *id), job.fence)));
        let sorted: BTreeMap<(K, JobId), i64> = keyed.collect();
        sorted.into_iter().take(limit).map(|((_, id), fence)| (id, fence)).collect()
    }

    fn min(&self, time: impl Fn(&Waits) -> Option<Timestamp>) -> Option<Timestamp> {
        self.0.values().filter_map(|job| time(&job.waits)).min()
    }

    pub(super) fn due_work(&self, lane: &str, now: Timestamp, limit: usize) -> Vec<Chosen> {
        self.sorted(limit, |waits| match waits {
            Waits::Queued { handler, due_at, answer_by } if &**handler == lane && *answer_by > now => {
                due_at.filter(|due_at| *due_at <= now)
            }
            _ => None,
        })
    }

    pub(super) fn next_due(&self, lane: &str) -> Option<Timestamp> {
        self.min(|waits| match waits {
            Waits::Queued { handler, due_at, .. } if &**handler == lane => *due_at,
            _ => None,
        })
    }

    pub(super) fn overdue(&self, now: Timestamp, limit: usize) -> Vec<Chosen> {
        self.sorted(limit, |waits| match waits {
            Waits::Queued { answer_by, .. } => Some(*answer_by).filter(|answer_by| *answer_by <= now),
            _ => None,
        })
    }

    pub(super) fn not_called_back(&self, now: Timestamp, limit: usize) -> Vec<Chosen> {
        self.sorted(limit, |waits| match waits {
            Waits::Awaiting { answer_by, .. } => Some(*answer_by).filter(|answer_by| *answer_by <= now),
            _ => None,
        })
    }

    pub(super) fn next_overdue(&self) -> Option<Timestamp> {
        self.min(|waits| match waits {
            Waits::Queued { answer_by, .. } | Waits::Awaiting { answer_by, .. } => Some(*answer_by),
            _ => None,
        })
    }

    pub(super) fn awaiting(&self, lane: &str) -> i64 {
        let awaits =
            |job: &&Planned| matches!(&job.waits, Waits::Awaiting { handler, .. } if &**handler == lane);
        self.0.values().filter(awaits).count() as i64
    }

    /// The key gets the rank, `due_at` and `waiting_since` of a delivery that is due.
    fn deliveries<K: Ord>(
        &self,
        lane: &str,
        now: Timestamp,
        limit: usize,
        key: impl Fn(u8, Timestamp, Timestamp) -> K,
    ) -> Vec<Chosen> {
        self.sorted(limit, |waits| match waits {
            Waits::Delivering { origin, rank, due_at, waiting_since, lease_until: None }
                if &**origin == lane && *due_at <= now =>
            {
                Some(key(*rank, *due_at, *waiting_since))
            }
            _ => None,
        })
    }

    pub(super) fn longest_due(
        &self,
        lane: &str,
        now: Timestamp,
        limit: usize,
        retries_first: bool,
    ) -> Vec<Chosen> {
        self.deliveries(lane, now, limit, |rank, due_at, since| {
            (if retries_first { 2 - rank } else { rank }, due_at, since)
        })
    }

    pub(super) fn young_first(
        &self,
        lane: &str,
        now: Timestamp,
        young_since: Timestamp,
        limit: usize,
    ) -> Vec<Chosen> {
        self.deliveries(lane, now, limit, |rank, due_at, since| match rank {
            0 if since > young_since => (0, since, due_at),
            1 if due_at > young_since && since > young_since => (1, due_at, since),
            0 => (2, due_at, since),
            1 => (3, due_at, since),
            _ => (4, due_at, since),
        })
    }

    pub(super) fn next_delivery(&self, lane: &str) -> Option<Timestamp> {
        self.min(|waits| match waits {
            Waits::Delivering { origin, due_at, lease_until: None, .. } if &**origin == lane => Some(*due_at),
            _ => None,
        })
    }

    pub(super) fn expired(&self, until: Option<Timestamp>) -> Expired {
        let ended = |end: &Timestamp| until.is_none_or(|until| *end <= until);
        Expired {
            running: self.sorted(usize::MAX, |waits| match waits {
                Waits::Running { lease_until, .. } => Some(*lease_until).filter(ended),
                _ => None,
            }),
            delivering: self.sorted(usize::MAX, |waits| match waits {
                Waits::Delivering { lease_until, .. } => lease_until.filter(ended),
                _ => None,
            }),
        }
    }
}
