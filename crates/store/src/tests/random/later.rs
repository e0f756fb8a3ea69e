//! Answers that come later.

use super::super::*;
use super::life::{Asked, COMMANDS, asked, check};
use super::model::Model;
use crate::records::By;

/// A callback, or an operator, brings the completion of a job.
pub(super) fn completed(store: Store, id: JobId, is_operator: bool, now: Timestamp) -> Asked {
    let by = if is_operator { By::Operator(Actor::new(ActionSource::Api, "test")) } else { By::Callback };
    asked(COMMANDS, async move {
        let answer = store.0.complete(id, prepared("later").completion, by).await;
        check(move |life| assert_eq!(answer, life.model.completed(id, is_operator, now)))
    })
}

/// A callback claims a job, to report that its handler failed.
pub(super) fn claimed_awaiting(store: Store, id: JobId, lease: Duration, now: Timestamp) -> Asked {
    asked(COMMANDS, async move {
        let answer = store.callbacks().claim_awaiting(id, None, lease).await;
        check(move |life| match answer {
            Ok(AwaitingClaim::Claimed(job)) => {
                assert!(life.model.awaits(id, now), "{id}");
                life.model.start(&[id], now + lease, std::slice::from_ref(&*job));
                life.workers.push(*job);
            }
            Ok(AwaitingClaim::NotYet) => {
                assert_eq!(life.model.jobs[&id].job.state.name(), StateName::Running);
            }
            Ok(AwaitingClaim::NotAwaiting(state)) => {
                assert_ne!(state, StateName::Running);
                assert!(!life.model.awaits(id, now), "{id}");
                assert_eq!(state, life.model.jobs[&id].job.state.name());
            }
            Err(error) => {
                assert_eq!(error, StoreError::NoJob(id));
                assert!(!life.model.jobs.contains_key(&id));
            }
        })
    })
}

impl Model {
    fn awaits(&self, id: JobId, now: Timestamp) -> bool {
        let waits = |job: &Job| job.state.name() == StateName::AwaitingCallback && job.answer_by > now;
        self.jobs.get(&id).is_some_and(|known| waits(&known.job))
    }

    fn completed(&mut self, id: JobId, is_operator: bool, now: Timestamp) -> Result<Completed, StoreError> {
        let known = self.jobs.get_mut(&id).ok_or(StoreError::NoJob(id))?;
        let (state, is_in_time) = (known.job.state.name(), is_operator || now < known.job.answer_by);
        let waits = matches!(state, StateName::Queued | StateName::Running | StateName::AwaitingCallback);
        if waits && is_in_time {
            known.fence += 1;
            known.crashes = 0;
            known.job.state =
                State::Delivering { prepared: prepared("later"), due_at: now, lease_until: None };
            self.left(id, now);
            return Ok(Completed::Accepted);
        }
        let is_handlers = known.job.state.prepared().is_some_and(|known| known.outcome == Outcome::Handler);
        let is_before = is_handlers && state != StateName::Cancelled;
        Ok(if is_before { Completed::Before(state) } else { Completed::TooLate(state) })
    }
}
