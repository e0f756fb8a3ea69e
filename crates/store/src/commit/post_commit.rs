//! The changes outside the database that follow a commit.

use std::sync::Arc;

use model::maps::HashMap;
use model::{DeliveringJob, HandlerName, RunningJob, StateName, Timestamp};

use crate::awaiting::Awaiting;
use crate::budget::{Budgets, Changes};
use crate::lanes::Lanes;

/// Changes that are collected while a transaction runs, applied after COMMIT, and discarded after ROLLBACK.
#[derive(Default)]
pub(crate) struct PostCommit {
    counts: [i64; StateName::ALL.len()],
    work: LaneChanges,
    delivery: LaneChanges,
    /// The accounts' use of their budgets.
    pub(crate) bytes: Changes,
    all_bytes: Option<HashMap<i64, u64>>,
    awaiting: AwaitingChanges,
    joined: Vec<(HandlerName, u64)>,
}

#[derive(Default)]
struct AwaitingChanges {
    changes: Vec<(HandlerName, i64)>,
    all: Option<HashMap<HandlerName, i64>>,
    deadline: Option<Timestamp>,
}

#[derive(Default)]
struct LaneChanges {
    added: Vec<(Arc<str>, Timestamp, Option<Timestamp>)>,
    set: Vec<(Arc<str>, Option<Timestamp>)>,
    deadline: Option<Option<Timestamp>>,
    all: Option<HashMap<Arc<str>, Timestamp>>,
}

impl PostCommit {
    /// Records that `jobs` jobs entered `state`; negative if they left it.
    pub(crate) fn count(&mut self, state: StateName, jobs: i64) {
        self.counts[state as usize] += jobs;
    }

    /// Records that `jobs` jobs moved from one state to another.
    pub(crate) fn moved(&mut self, from: StateName, to: StateName, jobs: i64) {
        self.count(from, -jobs);
        self.count(to, jobs);
    }

    /// Returns the changes of the counts by state, without zeros.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (StateName, i64)> {
        StateName::ALL.into_iter().zip(self.counts).filter(|(_, change)| *change != 0)
    }

    /// Records a job that waits for a worker.
    pub(crate) fn queued(&mut self, handler: &str, due: Timestamp, answer_by: Timestamp) {
        self.work.added.push((handler.into(), due, Some(answer_by)));
    }

    /// Records a job that waits for the sender.
    pub(crate) fn undelivered(&mut self, origin: &str, due: Timestamp) {
        self.delivery.added.push((origin.into(), due, None));
    }

    /// Records that `jobs` jobs of `handler` begin to await a callback; negative if they end that.
    pub(crate) fn awaiting(&mut self, handler: &HandlerName, jobs: i64) {
        self.awaiting.changes.push((handler.clone(), jobs));
    }

    /// Records a job that runs out of time at `answer_by`, and that is not due for a worker: it awaits a callback, or its turn.
    pub(crate) fn answer_by(&mut self, answer_by: Timestamp) {
        self.awaiting.deadline = self.awaiting.deadline.into_iter().chain([answer_by]).min();
    }

    /// Records that `jobs` messages joined a later job of `handler`.
    pub(crate) fn joined(&mut self, handler: &HandlerName, jobs: u64) {
        self.joined.push((handler.clone(), jobs));
    }

    /// Records how many jobs of each handler await a callback at this point of the transaction: the numbers include the
    /// changes that were recorded before.
    pub(crate) fn all_awaiting(&mut self, jobs: HashMap<HandlerName, i64>) {
        self.awaiting.changes.clear();
        self.awaiting.all = Some(jobs);
    }

    /// Records the due time of the earliest job that waits for a worker in this lane; `None` if there is none.
    pub(crate) fn work_lane(&mut self, handler: &str, due: Option<Timestamp>) {
        self.work.set.push((handler.into(), due));
    }

    /// Records the due time of the earliest job that waits for the sender in this lane; `None` if there is none.
    pub(crate) fn delivery_lane(&mut self, origin: &str, due: Option<Timestamp>) {
        self.delivery.set.push((origin.into(), due));
    }

    /// Records the earliest moment when a job that waits for a worker runs out of time to answer.
    pub(crate) fn work_deadline(&mut self, deadline: Option<Timestamp>) {
        self.work.deadline = Some(deadline);
    }

    /// Records all lanes of workers, as the store has them.
    pub(crate) fn all_work(&mut self, due: HashMap<Arc<str>, Timestamp>, deadline: Option<Timestamp>) {
        self.work.all = Some(due);
        self.work.deadline = Some(deadline);
    }

    /// Records all lanes of the sender, as the store has them.
    pub(crate) fn all_delivery(&mut self, due: HashMap<Arc<str>, Timestamp>) {
        self.delivery.all = Some(due);
    }

    /// Records the bytes of each account's unfinished jobs before this transaction.
    pub(crate) fn all_bytes(&mut self, unfinished: HashMap<i64, u64>) {
        self.all_bytes = Some(unfinished);
    }

    /// Applies the changes after COMMIT. `steady` is the time of the transaction.
    pub(crate) fn apply_after_commit(
        self,
        budgets: &Budgets,
        work: &Lanes<RunningJob>,
        delivery: &Lanes<DeliveringJob>,
        awaiting: &Awaiting,
        steady: Timestamp,
    ) {
        budgets.apply_after_commit(self.all_bytes, self.bytes, steady);
        awaiting.apply_after_commit(self.awaiting.all, self.awaiting.changes);
        self.work.apply_after_commit(work);
        for (handler, jobs) in self.joined {
            metrics::counter!("bridge_joined_messages_total", "handler" => handler.to_string())
                .increment(jobs);
        }
        if let Some(deadline) = self.awaiting.deadline {
            work.add_deadline(deadline);
        }
        self.delivery.apply_after_commit(delivery);
    }
}

impl LaneChanges {
    /// Applies the results of claims first, then the added jobs.
    ///
    /// Claims run last in a transaction, so they have seen the jobs that its requests and reports added. Such a job
    /// then repeats what the claim saw, or the claim has taken it; in that case the room checks the lane once more than
    /// needed.
    fn apply_after_commit<J>(self, lanes: &Lanes<J>) {
        if let Some(due) = self.all {
            lanes.replace(due);
        }
        if let Some(deadline) = self.deadline {
            lanes.set_deadline(deadline);
        }
        for (lane, due) in self.set {
            lanes.set(&lane, due);
        }
        for (lane, due, deadline) in self.added {
            lanes.add(&lane, due, deadline);
        }
    }
}
