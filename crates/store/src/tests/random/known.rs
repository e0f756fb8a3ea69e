//! A job of the model.

use super::super::*;
use crate::records::YOUNG;

/// A job with everything that the store knows about it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) job: Job,
    pub(super) attempts: Vec<Attempt>,
    pub(super) waiting_since: Timestamp,
    pub(super) finished_service_at: Option<ServiceTime>,
    pub(super) fence: i64,
    pub(super) crashes: u32,
    /// Its place in the line of its conversation.
    pub(super) turn: Option<i64>,
    pub(super) coalesce: Option<Duration>,
    pub(super) delivery: Delivery,
    pub(super) tried: bool,
    pub(super) superseded_by: Option<JobId>,
    /// Whether the store has dropped its bodies. The model keeps them.
    pub(super) bodies_dropped: bool,
}

impl Known {
    pub(super) fn origin(&self) -> &str {
        self.job.request.return_url.origin()
    }

    pub(super) fn running(&self) -> RunningJob {
        RunningJob {
            id: self.job.id,
            fence: Fence(self.fence),
            handler: self.job.handler.clone(),
            request: self.job.request.clone().into(),
            received_at: self.job.received_at,
            waiting_since: self.waiting_since,
            answer_by: self.job.answer_by,
            attempts: self.job.handler_attempts,
            crashes: self.crashes,
            last_error: self.job.last_error.clone(),
            is_ordered: self.turn.is_some(),
        }
    }

    pub(super) fn delivering(&self) -> DeliveringJob {
        DeliveringJob {
            id: self.job.id,
            fence: Fence(self.fence),
            handler: self.job.handler.clone(),
            account_id: self.job.request.account_id,
            entity: self.job.request.entity,
            return_url: self.job.request.return_url.clone(),
            received_at: self.job.received_at,
            waiting_since: self.waiting_since,
            handler_attempts: self.job.handler_attempts,
            prepared: self.prepared().unwrap(),
            attempts: self.job.delivery_attempts,
            delivery: self.delivery,
            tried: self.tried,
            superseded_by: self.superseded_by,
            due_at: self.due_at().unwrap(),
            last_run: self.attempts.iter().rfind(|attempt| attempt.stage == Stage::Handler).map(run_of),
        }
    }

    fn due_at(&self) -> Option<Timestamp> {
        match self.job.state {
            State::Delivering { due_at, .. } => Some(due_at),
            _ => None,
        }
    }

    pub(super) fn prepared(&self) -> Option<PreparedCompletion> {
        self.job.state.prepared().cloned()
    }

    /// Returns the job as a list shows it.
    pub(super) fn summary(&self) -> JobSummary {
        JobSummary { bodies_dropped: self.bodies_dropped, ..JobSummary::from(&self.job) }
    }

    /// Returns the job as reading it alone shows it.
    pub(super) fn record(&self) -> JobRecord {
        if self.bodies_dropped {
            JobRecord::WithoutBodies(self.summary())
        } else {
            JobRecord::Whole(self.job.clone())
        }
    }

    /// Returns the bytes of its bodies.
    pub(super) fn bytes(&self) -> u64 {
        let earlier = &self.job.request.earlier;
        let earlier =
            if earlier.is_empty() { 0 } else { serde_json::Value::from(earlier.clone()).to_string().len() };
        let data = self.job.request.data.to_string().len() + earlier;
        let completion = self.prepared().map_or(0, |prepared| prepared.completion.as_json().len());
        let handlers =
            self.job.handler_completion.as_ref().map_or(0, |completion| completion.as_json().len());
        if self.bodies_dropped { 0 } else { (data + completion + handlers) as u64 }
    }

    /// Returns since when it has been due for a worker; `None` if it is not.
    pub(super) fn queued(&self, now: Timestamp) -> Option<Timestamp> {
        match self.job.state {
            State::Queued(wait) => wait.due_at().filter(|due_at| *due_at <= now),
            _ => None,
        }
    }

    /// Returns since when it has been due for the sender; `None` if it is not.
    pub(super) fn undelivered(&self, now: Timestamp) -> Option<Timestamp> {
        match self.job.state {
            State::Delivering { due_at, lease_until: None, .. } if due_at <= now => Some(due_at),
            _ => None,
        }
    }

    /// Returns a sort key for deliveries due longest: the time at which it became due, then its age.
    pub(super) fn since(&self) -> (Option<Timestamp>, Timestamp, JobId) {
        (self.undelivered(Timestamp::from_millis(i64::MAX)), self.waiting_since, self.job.id)
    }

    /// Returns a sort key for the order of claims: young first tries, young retries, old first tries, old retries,
    /// refused deliveries.
    pub(super) fn turn(&self, now: Timestamp) -> (u8, Option<Timestamp>, Timestamp, JobId) {
        let (due_at, waiting_since, id) = self.since();
        let (rank, young) = (self.rank(), now - YOUNG);
        match rank {
            0 if waiting_since > young => (rank, Some(waiting_since), due_at.unwrap_or(waiting_since), id),
            1 if waiting_since > young && due_at > Some(young) => (rank, due_at, waiting_since, id),
            _ => (2 + rank, due_at, waiting_since, id),
        }
    }

    /// Returns 0 for a first try, 1 for a retry, 2 for a delivery that Kommo refused.
    pub(super) fn rank(&self) -> u8 {
        match (self.delivery.failures, self.delivery.refused_at) {
            (0, None) => 0,
            (0, Some(_)) => 2,
            _ => 1,
        }
    }

    pub(super) fn finished_at(&self) -> Option<Timestamp> {
        match self.job.state {
            State::Queued(_) | State::Running { .. } | State::AwaitingCallback | State::Delivering { .. } => {
                None
            }
            State::Delivered { finished_at, .. }
            | State::Gone { finished_at, .. }
            | State::Dead { finished_at, .. }
            | State::Cancelled { finished_at, .. } => Some(finished_at),
        }
    }

    /// Whether it finished before `before`, by both clocks.
    pub(super) fn is_older(&self, before: Cutoff) -> bool {
        self.finished_at().is_some_and(|at| at < before.calendar)
            && self.finished_service_at.is_some_and(|at| at < before.service)
    }

    pub(super) fn charge(&mut self, attempt: Option<Attempt>, error: Option<String>) {
        self.attempts.extend(attempt);
        self.job.last_error = error.or(self.job.last_error.take());
    }

    /// Replaces its completion.
    pub(super) fn replace(&mut self, other: PreparedCompletion) {
        let before = self.prepared().unwrap();
        if matches!((before.outcome, other.outcome), (Outcome::Handler, Outcome::Fallback(_))) {
            self.job.handler_completion = Some(before.completion);
        }
        let State::Delivering { prepared, .. } = &mut self.job.state else { panic!("it is not delivered") };
        *prepared = other;
    }

    /// Applies an operator's retry.
    pub(super) fn revive(&mut self, options: &RetryOptions, now: Timestamp) {
        let prepared = self.prepared().unwrap();
        self.fence += 1;
        self.finished_service_at = None;
        let answer_lost = self.delivery.answer_lost && self.job.state.name() != StateName::Gone;
        self.delivery = Delivery { failures: 0, failing_since: None, answer_lost, ..self.delivery };
        self.superseded_by = self.superseded_by.filter(|_| !options.force);
        self.job.state = State::Delivering { prepared, due_at: now, lease_until: None };
        let other = match &options.send {
            Resend::Last => return,
            Resend::Handler => self
                .job
                .handler_completion
                .take()
                .map(|completion| PreparedCompletion { completion, outcome: Outcome::Handler }),
            Resend::Fallback(fallback) => Some(PreparedCompletion {
                completion: fallback.clone(),
                outcome: Outcome::Fallback(FallbackReason::Operator),
            }),
        };
        if let Some(other) = other {
            self.replace(other);
            self.delivery.refused_at = None;
        }
    }

    /// Whether a later job with the same `return_url` prevents a retry.
    pub(super) fn is_superseded(&self) -> bool {
        let is_repeated = self.tried || self.job.state.name() != StateName::Delivering;
        is_repeated && self.superseded_by.is_some()
    }
}

/// Returns when an attempt of a handler ran, and for how long.
pub(super) fn run_of(attempt: &Attempt) -> HandlerRun {
    HandlerRun { started_at: attempt.started_at, duration: attempt.duration }
}
