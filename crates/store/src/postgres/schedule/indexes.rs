//! The orders in which the schedule finds jobs.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::maps::{HashMap, HashSet};
use model::{JobId, Timestamp};

use super::{RANKS, Waits};

/// Jobs in the order of a time.
pub(super) type ByTime = BTreeSet<(Timestamp, JobId)>;

/// Deliveries in the order of a time; those with the same time in the order of another one.
pub(super) type ByTimes = BTreeSet<(Timestamp, Timestamp, JobId)>;

/// The deliveries to one origin that no one has claimed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Deliveries {
    /// For each rank, by the time at which they are due, then by `waiting_since`. An operator's retry or a release makes many
    /// jobs due at the same moment: then those whose customers have waited longest go first.
    pub(super) due: [ByTimes; RANKS],
    /// First tries, by `waiting_since`, then by the time at which they are due.
    pub(super) first_tries: ByTimes,
}

impl Deliveries {
    fn is_empty(&self) -> bool {
        self.due.iter().all(BTreeSet::is_empty)
    }
}

/// All orders.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Indexes {
    /// For each handler the queued jobs that have their turn, by the time at which they are due.
    pub(super) work: HashMap<Arc<str>, ByTime>,
    /// Queued jobs, by `answer_by`.
    pub(super) queued: ByTime,
    /// Jobs that await a callback, by `answer_by`, and their number for each handler.
    pub(super) awaiting: ByTime,
    pub(super) awaiting_jobs: HashMap<Arc<str>, i64>,
    /// For each origin.
    pub(super) deliveries: HashMap<Arc<str>, Deliveries>,
    /// Claimed jobs, by the end of their lease.
    pub(super) leases: ByTime,
}

impl Indexes {
    pub(super) fn insert(&mut self, id: JobId, waits: &Waits) {
        match waits {
            Waits::Queued { handler, due_at, answer_by } => {
                if let Some(due_at) = due_at {
                    self.work.entry_ref(handler).or_default().insert((*due_at, id));
                }
                self.queued.insert((*answer_by, id));
            }
            Waits::Running { lease_until, .. } => {
                self.leases.insert((*lease_until, id));
            }
            Waits::Awaiting { handler, answer_by } => {
                *self.awaiting_jobs.entry_ref(handler).or_default() += 1;
                self.awaiting.insert((*answer_by, id));
            }
            Waits::Delivering { lease_until: Some(lease_until), .. } => {
                self.leases.insert((*lease_until, id));
            }
            Waits::Delivering { origin, rank, due_at, waiting_since, lease_until: None } => {
                let lane = self.deliveries.entry_ref(origin).or_default();
                if let Some(due) = lane.due.get_mut(usize::from(*rank)) {
                    due.insert((*due_at, *waiting_since, id));
                }
                if *rank == 0 {
                    lane.first_tries.insert((*waiting_since, *due_at, id));
                }
            }
        }
    }

    pub(super) fn remove(&mut self, id: JobId, waits: &Waits) {
        match waits {
            Waits::Queued { handler, due_at, answer_by } => {
                if let Some(due_at) = due_at
                    && let Some(due) = self.work.get_mut(handler)
                {
                    due.remove(&(*due_at, id));
                    if due.is_empty() {
                        self.work.remove(handler);
                    }
                }
                self.queued.remove(&(*answer_by, id));
            }
            Waits::Running { lease_until, .. } => {
                self.leases.remove(&(*lease_until, id));
            }
            Waits::Awaiting { handler, answer_by } => {
                if let Some(jobs) = self.awaiting_jobs.get_mut(handler) {
                    *jobs -= 1;
                    if *jobs == 0 {
                        self.awaiting_jobs.remove(handler);
                    }
                }
                self.awaiting.remove(&(*answer_by, id));
            }
            Waits::Delivering { lease_until: Some(lease_until), .. } => {
                self.leases.remove(&(*lease_until, id));
            }
            Waits::Delivering { origin, rank, due_at, waiting_since, lease_until: None } => {
                let Some(lane) = self.deliveries.get_mut(origin) else { return };
                if let Some(due) = lane.due.get_mut(usize::from(*rank)) {
                    due.remove(&(*due_at, *waiting_since, id));
                }
                if *rank == 0 {
                    lane.first_tries.remove(&(*waiting_since, *due_at, id));
                }
                if lane.is_empty() {
                    self.deliveries.remove(origin);
                }
            }
        }
    }
}

/// The names of handlers and origins, each stored once.
#[derive(Default)]
pub(super) struct Names(HashSet<Arc<str>>);

impl Names {
    /// Replaces the name in `waits` by the shared one.
    pub(super) fn share(&mut self, waits: &mut Waits) {
        let name = match waits {
            Waits::Queued { handler, .. }
            | Waits::Running { handler, .. }
            | Waits::Awaiting { handler, .. } => handler,
            Waits::Delivering { origin, .. } => origin,
        };
        *name = self.0.get_or_insert_with(&**name, |_| name.clone()).clone();
    }
}
