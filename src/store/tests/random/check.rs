//! What the store shows, against what the model has.

use std::collections::BTreeMap;

use super::super::*;
use super::known::Known;
use super::life::{HANDLERS, Life, ORIGINS};

/// More jobs than any life has.
const ALL: u32 = 100_000;

impl Life {
    /// Everything but the attempts.
    pub(super) async fn check(&self) {
        let filter = JobFilter { limit: ALL, ..JobFilter::default() };
        let stored = self.store.jobs(&filter).await.unwrap().jobs;
        let expected: Vec<Job> = self.model.jobs.values().rev().map(|known| known.job.clone()).collect();
        // One by one, or a failure fills the screen.
        assert_eq!(stored.len(), expected.len());
        for (stored, expected) in stored.iter().zip(&expected) {
            assert_eq!(stored, expected);
        }
        let none = StateName::ALL.into_iter().map(|state| (state, 0_u64));
        let mut counts: BTreeMap<StateName, u64> = none.collect();
        for job in &expected {
            *counts.entry(job.state.name()).or_default() += 1;
        }
        assert_eq!(self.store.stats().await.unwrap().jobs, counts);
        self.check_lanes();
    }

    /// A lane may look due once in vain, but where a job waits it must not look empty.
    fn check_lanes(&self) {
        let now = self.home.now();
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
        let waiting = self.model.jobs.values().filter(|known| known.job.state.name() == StateName::Queued);
        let first = waiting.map(|known| known.job.answer_by).min();
        assert!(first.is_none_or(|first| self.store.work().deadline().is_some_and(|known| known <= first)));
    }

    /// Also the history of every job.
    pub(super) async fn end(&self) {
        for (id, known) in &self.model.jobs {
            let (job, attempts) = self.store.job(*id).await.unwrap().unwrap();
            assert_eq!((&job, &attempts), (&known.job, &known.attempts));
        }
        self.store.close().await;
    }
}
