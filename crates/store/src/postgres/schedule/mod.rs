//! What the owner of the store knows in memory about each unfinished job: what it waits for, and until when.
//!
//! PostgreSQL keeps the dead versions of rows in its indexes while any session holds a snapshot. A query for the jobs that
//! are due would read past all of them. So the owner chooses the jobs here ([`choose`]), and writes them by their keys.
//!
//! Only the writer changes the schedule, inside its transactions. [`Schedule::roll_back`] undoes the changes of a
//! transaction that was not committed.

mod choose;
mod indexes;
mod old;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use model::maps::HashMap;
use model::{JobId, Timestamp};

use indexes::{Indexes, Names};

/// An unfinished job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// The fencing number of its row.
    pub(crate) fence: i64,
    pub(crate) waits: Waits,
}

/// What a job waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// A worker; the turn of its conversation if `due_at` is `None`.
    Queued { handler: Arc<str>, due_at: Option<Timestamp>, answer_by: Timestamp },
    /// The worker that has claimed it.
    Running { handler: Arc<str>, lease_until: Timestamp, answer_by: Timestamp },
    /// The callback of its handler.
    Awaiting { handler: Arc<str>, answer_by: Timestamp },
    /// The sender; the sender has claimed it if there is a lease.
    Delivering {
        origin: Arc<str>,
        /// Which deliveries go first: 0 is a first try, 1 a retry, 2 a job that Kommo refused, perhaps because of its
        /// account. See [`rank`].
        rank: u8,
        due_at: Timestamp,
        waiting_since: Timestamp,
        lease_until: Option<Timestamp>,
    },
}

/// The number of ranks of deliveries.
pub(crate) const RANKS: usize = 3;

/// The rank of a delivery.
pub(crate) const fn rank(has_failed: bool, was_refused: bool) -> u8 {
    match (has_failed, was_refused) {
        (true, _) => 1,
        (false, true) => 2,
        (false, false) => 0,
    }
}

/// A job to claim, with its fencing number.
pub(crate) type Chosen = (JobId, i64);

/// The schedule of all unfinished jobs.
#[derive(Default)]
pub(crate) struct Schedule {
    jobs: HashMap<JobId, Planned>,
    indexes: Indexes,
    /// The handlers and origins of the jobs, so that jobs share their names.
    names: Names,
    /// The previous values of the jobs that the running transaction has changed.
    undo: Vec<(JobId, Option<Planned>)>,
}

impl Schedule {
    /// What the job waits for; `None` if it is finished or unknown.
    pub(crate) fn get(&self, id: JobId) -> Option<&Planned> {
        self.jobs.get(&id)
    }

    /// Changes what a job waits for; `None` if it is finished.
    pub(crate) fn set(&mut self, id: JobId, planned: Option<Planned>) {
        let before = self.put(id, planned);
        self.undo.push((id, before));
    }

    /// Forgets all jobs, like [`set`](Self::set) with `None` for each.
    pub(crate) fn clear(&mut self) {
        let ids: Vec<JobId> = self.jobs.keys().copied().collect();
        ids.into_iter().for_each(|id| self.set(id, None));
    }

    /// Keeps the changes since the last commit.
    pub(crate) fn commit(&mut self) {
        self.undo.clear();
    }

    /// Undoes the changes since the last commit.
    pub(crate) fn roll_back(&mut self) {
        while let Some((id, before)) = self.undo.pop() {
            self.put(id, before);
        }
    }

    /// Returns the previous value.
    fn put(&mut self, id: JobId, planned: Option<Planned>) -> Option<Planned> {
        let before = self.jobs.remove(&id);
        if let Some(before) = &before {
            self.indexes.remove(id, &before.waits);
        }
        if let Some(mut planned) = planned {
            self.names.share(&mut planned.waits);
            self.indexes.insert(id, &planned.waits);
            self.jobs.insert(id, planned);
        }
        before
    }

    /// The jobs `ids` with their fencing numbers.
    fn chosen(&self, ids: impl Iterator<Item = JobId>) -> Vec<Chosen> {
        ids.filter_map(|id| Some((id, self.jobs.get(&id)?.fence))).collect()
    }
}
