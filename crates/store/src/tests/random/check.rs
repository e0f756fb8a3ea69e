//! Compares what the store shows with the model.

use std::collections::BTreeMap;

use super::super::*;
use super::known::Known;
use super::life::{HANDLERS, Life, ORIGINS};

/// More jobs than any life has.
const ALL: u32 = 100_000;

impl Life {
    /// Checks everything except the attempts.
    pub(super) async fn check(&mut self) {
        self.checks += 1;
        let filter = JobFilter { limit: ALL, ..JobFilter::default() };
        let stored = self.store.jobs().list(&filter).await.unwrap().jobs;
        let now = self.store.0.moment();
        let expected: Vec<JobSummary> =
            self.model.jobs.values().rev().map(|known| now.show_summary(known.summary())).collect();
        // Compared one by one, to keep the output of a failure short.
        assert_eq!(stored.len(), expected.len());
        for (stored, expected) in stored.into_iter().zip(&expected) {
            // The model has no groups of errors; `errors.rs` tests them.
            assert_eq!(&JobSummary { error_group: None, ..stored }, expected);
        }
        let none = StateName::ALL.into_iter().map(|state| (state, 0_u64));
        let mut counts: BTreeMap<StateName, u64> = none.collect();
        for job in &expected {
            *counts.entry(job.state).or_default() += 1;
        }
        assert_eq!(self.store.jobs().stats().await.unwrap().jobs, counts);
        self.check_bytes().await;
        self.check_filters().await;
        self.check_lanes();
    }

    /// Checks that the bytes in the table and in the writer's memory match the bodies of the jobs.
    async fn check_bytes(&self) {
        let mut expected: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
        for known in self.model.jobs.values() {
            let (unfinished, stored) = expected.entry(known.job.request.account_id.0).or_default();
            *stored += known.bytes();
            *unfinished += if known.finished_at().is_none() { known.bytes() } else { 0 };
        }
        expected.retain(|_, bytes| *bytes != (0, 0));
        assert_eq!(self.store.0.stored_bytes().await, expected);
        let unfinished = expected.into_iter().map(|(account, (unfinished, _))| (account, unfinished));
        let unfinished: BTreeMap<i64, u64> = unfinished.filter(|(_, bytes)| *bytes > 0).collect();
        assert_eq!(self.store.0.budgets().unfinished(), unfinished);
    }

    /// A lane may appear due although no job waits in it, but a lane with a due job must never appear empty.
    fn check_lanes(&self) {
        let now = self.home.steady();
        for lane in HANDLERS {
            let is_known = self.store.work().due(now).contains(&lane.into());
            let is_there = |known: &Known| known.job.handler.as_str() == lane && known.queued(now).is_some();
            assert!(is_known || !self.model.jobs.values().any(is_there), "{lane}");
        }
        for lane in ORIGINS {
            let is_known = self.store.delivery().due(now).contains(&lane.into());
            let is_there = |known: &Known| known.origin() == lane && known.undelivered(now).is_some();
            assert!(is_known || !self.model.jobs.values().any(is_there), "{lane}");
        }
        for lane in HANDLERS {
            let is_there = |known: &&Known| {
                known.job.handler.as_str() == lane && known.job.state.name() == StateName::AwaitingCallback
            };
            let expected = self.model.jobs.values().filter(is_there).count();
            assert_eq!(self.store.callbacks().awaiting(lane), expected as u64, "{lane}");
        }
        let waits = |known: &&Known| {
            matches!(known.job.state.name(), StateName::Queued | StateName::AwaitingCallback)
        };
        let waiting = self.model.jobs.values().filter(waits);
        let first = waiting.map(|known| known.job.answer_by).min();
        assert!(first.is_none_or(|first| self.store.work().deadline().is_some_and(|known| known <= first)));
    }

    /// Checks the history of every job as well.
    pub(super) async fn end(&self) {
        let now = self.store.0.moment();
        for (id, known) in &self.model.jobs {
            let (mut job, attempts) = self.store.jobs().get(*id).await.unwrap().unwrap();
            match &mut job {
                JobRecord::Whole(Job { error_group, .. })
                | JobRecord::WithoutBodies(JobSummary { error_group, .. }) => *error_group = None,
            }
            assert_eq!((&job, &attempts), (&now.show(known.record()), &known.attempts));
        }
        self.store.close().await;
    }
}
