//! Chooses jobs: those that are due, those that have run out of time, and those whose claims have expired.
//!
//! Jobs of the last minute precede all older jobs, because their customers still wait for the bot. Otherwise the
//! backlog of an account that is connected after hours would hold up its fresh jobs. Within an age group, first tries
//! precede retries. A claim reserves some places for the jobs that have been due longest, so that neither old jobs nor
//! retries starve. A job that Kommo refused, perhaps only because of its account, comes after all others, because Kommo
//! may refuse the job itself. Among the jobs due longest it can precede retries, so that it does not starve either.

use std::sync::Arc;
use std::time::Duration;

use model::maps::HashMap;
use model::{JobId, Timestamp};

use super::indexes::{ByTime, ByTimes, Deliveries};
use super::{Chosen, RANKS, Schedule, Waits};

/// Jobs whose claims have expired.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expired {
    pub(crate) running: Vec<Chosen>,
    pub(crate) delivering: Vec<Chosen>,
}

impl Schedule {
    /// Returns the jobs of a handler that are due, those that are due longest first. It leaves those that have run out of
    /// time to [`overdue`](Self::overdue). Otherwise a backlog of them would hold up fresh jobs.
    pub(crate) fn due_work(&self, handler: &str, now: Timestamp, limit: usize) -> Vec<Chosen> {
        let Some(due) = self.indexes.work.get(handler) else { return Vec::new() };
        let in_time = |id: &JobId| match self.jobs.get(id).map(|job| &job.waits) {
            Some(Waits::Queued { answer_by, .. }) => *answer_by > now,
            _ => false,
        };
        self.chosen(until(due, now).filter(in_time).take(limit))
    }

    /// Returns when the earliest queued job of a handler is due.
    pub(crate) fn next_due(&self, handler: &str) -> Option<Timestamp> {
        first(self.indexes.work.get(handler)?)
    }

    /// Returns the queued jobs that have run out of time to answer.
    pub(crate) fn overdue(&self, now: Timestamp, limit: usize) -> Vec<Chosen> {
        self.chosen(until(&self.indexes.queued, now).take(limit))
    }

    /// Returns the jobs whose handler has not called back in time.
    pub(crate) fn not_called_back(&self, now: Timestamp, limit: usize) -> Vec<Chosen> {
        self.chosen(until(&self.indexes.awaiting, now).take(limit))
    }

    /// Returns the earliest moment when a job that is queued, or awaits a callback, runs out of time to answer.
    pub(crate) fn next_overdue(&self) -> Option<Timestamp> {
        first(&self.indexes.queued).into_iter().chain(first(&self.indexes.awaiting)).min()
    }

    /// Returns deliveries to one origin that are due, by rank: from the highest rank if `retries_first`, else from the
    /// lowest.
    pub(crate) fn longest_due(
        &self,
        origin: &str,
        now: Timestamp,
        limit: usize,
        retries_first: bool,
    ) -> Vec<Chosen> {
        let Some(lane) = self.indexes.deliveries.get(origin) else { return Vec::new() };
        let mut ranks: [usize; RANKS] = std::array::from_fn(|rank| rank);
        if retries_first {
            ranks.reverse();
        }
        self.chosen(ranks.into_iter().flat_map(|rank| due(&lane.due[rank], now)).map(id).take(limit))
    }

    /// Returns deliveries to one origin that are due, those of jobs received after `young_since` first. It finds retries by
    /// the time at which they are due: in an outage, most young ones wait for their backoff, and each claim would read past
    /// all of them. A young job cannot be due for longer than it exists, so the claim reads past few old ones either.
    pub(crate) fn young_first(
        &self,
        origin: &str,
        now: Timestamp,
        young_since: Timestamp,
        limit: usize,
    ) -> Vec<Chosen> {
        let Some(Deliveries { due: [tries, retries, refused], first_tries }) =
            self.indexes.deliveries.get(origin)
        else {
            return Vec::new();
        };
        let young_tries = after(first_tries, young_since).filter(|(_, due_at, _)| *due_at <= now);
        let young_retries = after(retries, young_since)
            .take_while(|(due_at, ..)| *due_at <= now)
            .filter(|(_, since, _)| *since > young_since);
        let old_tries = due(tries, now).filter(|(_, since, _)| *since <= young_since);
        let old_retries =
            due(retries, now).filter(|(due_at, since, _)| *due_at <= young_since || *since <= young_since);
        let all = young_tries.chain(young_retries).chain(old_tries).chain(old_retries);
        self.chosen(all.chain(due(refused, now)).map(id).take(limit))
    }

    /// Returns when the earliest delivery to an origin is due.
    pub(crate) fn next_delivery(&self, origin: &str) -> Option<Timestamp> {
        next(self.indexes.deliveries.get(origin)?)
    }

    /// Returns unclaimed deliveries to one origin of this rank that are due after `after`, with the time at which they are
    /// due, those due first.
    pub(crate) fn deliveries_due_after(
        &self,
        origin: &str,
        rank: u8,
        moment: Timestamp,
        limit: usize,
    ) -> Vec<(JobId, Timestamp)> {
        let lane = self.indexes.deliveries.get(origin);
        let Some(due) = lane.and_then(|lane| lane.due.get(usize::from(rank))) else { return Vec::new() };
        after(due, moment).take(limit).map(|(due_at, _, id)| (*id, *due_at)).collect()
    }

    /// Returns the claimed jobs whose lease ends at `until` or earlier; all of them if it is `None`.
    pub(crate) fn expired(&self, until: Option<Timestamp>) -> Expired {
        let mut expired = Expired::default();
        let ended = |(lease_until, _): &&(Timestamp, JobId)| until.is_none_or(|until| *lease_until <= until);
        for (_, id) in self.indexes.leases.iter().take_while(ended) {
            let Some(job) = self.jobs.get(id) else { continue };
            match job.waits {
                Waits::Running { .. } => expired.running.push((*id, job.fence)),
                Waits::Delivering { .. } => expired.delivering.push((*id, job.fence)),
                Waits::Queued { .. } | Waits::Awaiting { .. } => {}
            }
        }
        expired
    }

    /// Returns the lanes of workers: when the earliest job of each handler is due.
    pub(crate) fn work_lanes(&self) -> HashMap<Arc<str>, Timestamp> {
        let lanes = self.indexes.work.iter();
        lanes.filter_map(|(handler, due)| Some((handler.clone(), first(due)?))).collect()
    }

    /// Returns the lanes of the sender: when the earliest delivery to each origin is due.
    pub(crate) fn delivery_lanes(&self) -> HashMap<Arc<str>, Timestamp> {
        let lanes = self.indexes.deliveries.iter();
        lanes.filter_map(|(origin, lane)| Some((origin.clone(), next(lane)?))).collect()
    }

    /// Returns how many jobs of each handler await a callback.
    pub(crate) fn awaiting_jobs(&self) -> impl Iterator<Item = (&Arc<str>, i64)> {
        self.indexes.awaiting_jobs.iter().map(|(handler, jobs)| (handler, *jobs))
    }
}

/// The jobs up to `moment`, earliest first.
fn until(jobs: &ByTime, moment: Timestamp) -> impl Iterator<Item = JobId> {
    jobs.iter().take_while(move |(time, _)| *time <= moment).map(|(_, id)| *id)
}

/// The deliveries that are due, earliest first.
fn due(jobs: &ByTimes, now: Timestamp) -> impl Iterator<Item = &(Timestamp, Timestamp, JobId)> {
    jobs.iter().take_while(move |(due_at, ..)| *due_at <= now)
}

/// The deliveries after `moment`, earliest first.
fn after(jobs: &ByTimes, moment: Timestamp) -> impl Iterator<Item = &(Timestamp, Timestamp, JobId)> {
    let first = JobId::from_uuid(uuid::Uuid::nil());
    jobs.range((moment + Duration::from_millis(1), Timestamp::from_millis(i64::MIN), first)..)
}

fn id((.., id): &(Timestamp, Timestamp, JobId)) -> JobId {
    *id
}

fn first(jobs: &ByTime) -> Option<Timestamp> {
    jobs.first().map(|(time, _)| *time)
}

fn next(lane: &Deliveries) -> Option<Timestamp> {
    lane.due.iter().filter_map(|due| due.first()).map(|(due_at, ..)| *due_at).min()
}
