//! The log line of a finished job.

use std::time::Duration;

use crate::meters::Totals;
use model::{
    AccountId, DeliveringJob, Entity, HandlerName, JobId, JobSummary, Outcome, StateName, whole_millis,
};

use super::end::{End, Line};

/// The log line of a finished job: ids, how it ended, attempts and times. Never what a customer or a bot wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// The job's id.
    pub job: JobId,
    /// The job's handler.
    pub handler: HandlerName,
    /// The account of the bot.
    pub account_id: AccountId,
    /// The bot's id.
    pub bot_id: i64,
    /// The entity that the bot talks about, if the token names it.
    pub entity: Option<Entity>,
    /// The state in which it ended.
    pub state: StateName,
    /// Whether the completion is the handler's or the fallback; `None` if there was no completion yet.
    pub outcome: Option<Outcome>,
    /// Charged attempts of the handler.
    pub handler_attempts: u32,
    /// Charged attempts of the delivery.
    pub delivery_attempts: u32,
    /// From receipt to the end.
    pub total: Duration,
    /// The last attempt of the handler; `None` if it did not run, or if this is unknown.
    pub run: Option<RunTimes>,
    /// The last call to Kommo; `None` if there was none.
    pub call: Option<LastCall>,
    /// What went wrong or is unusual; `None` if nothing is.
    pub error: Option<String>,
}

/// When a handler ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunTimes {
    /// From the receipt of the request to the start of the attempt.
    pub queue: Duration,
    /// How long the attempt took.
    pub handler: Duration,
}

/// The last call of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastCall {
    /// Kommo's HTTP status, if there was a response.
    pub status: Option<u16>,
    /// How long the call took.
    pub duration: Duration,
}

impl Finished {
    /// A delivery that ended in `state`. The caller fills in `total`, `delivery_attempts` and `call`.
    pub fn delivery(job: &DeliveringJob, state: StateName) -> Self {
        Self {
            job: job.id,
            handler: job.handler.clone(),
            account_id: job.account_id,
            bot_id: job.return_url.bot_id(),
            entity: job.entity,
            state,
            outcome: Some(job.prepared.outcome),
            handler_attempts: job.handler_attempts,
            delivery_attempts: job.attempts,
            total: Duration::ZERO,
            run: job
                .last_run
                .map(|run| RunTimes { queue: run.started_at.since(job.received_at), handler: run.duration }),
            call: None,
            error: None,
        }
    }

    /// Whether the completion is the handler's or the fallback.
    pub(super) fn outcome_name(&self) -> Option<&'static str> {
        self.outcome.map(|outcome| outcome.name().as_str())
    }

    /// Adds the job to the totals.
    pub(super) fn add_to(&self, totals: &Totals) {
        match self.end() {
            End::Delivered => totals.delivered(false, self.total),
            End::Fallback => totals.delivered(true, self.total),
            End::Dead => totals.dead(),
            End::Gone | End::Cancelled => {}
        }
    }

    /// Logs the line.
    pub(super) fn log(&self) {
        let Self { job, handler, account_id, bot_id, handler_attempts, delivery_attempts, .. } = self;
        let (state, total_ms) = (self.state.as_str(), whole_millis(self.total));
        // The same as the id of the trace in the header `traceparent`, which handlers at a URL get.
        let trace_id = job.as_uuid().simple();
        let queue_ms = self.run.map(|run| whole_millis(run.queue));
        let handler_ms = self.run.map(|run| whole_millis(run.handler));
        // Of whole milliseconds, so that the three add up to the total.
        let ms_before = queue_ms.zip(handler_ms).map(|(queue, handler)| queue + handler);
        let delivery_ms = ms_before.map(|before| total_ms.saturating_sub(before));
        let entity = self.entity.map(|entity| entity.to_string());
        let outcome = self.outcome_name();
        let reason = self.outcome.and_then(Outcome::fallback_reason).map(|reason| reason.as_str());
        let (status, call_ms) =
            (self.call.and_then(|call| call.status), self.call.map(|call| whole_millis(call.duration)));
        let error = self.error.as_deref();
        if self.state == StateName::Dead {
            tracing::error!(
                job.id = %job, %handler, account.id = %account_id, bot_id, entity, state, outcome, reason, handler_attempts,
                delivery_attempts, queue_ms, handler_ms, delivery_ms, total_ms, call_ms, status, error, %trace_id,
                "job finished: gave up; `jobs retry` sends it again"
            );
        } else {
            tracing::info!(
                job.id = %job, %handler, account.id = %account_id, bot_id, entity, state, outcome, reason, handler_attempts,
                delivery_attempts, queue_ms, handler_ms, delivery_ms, total_ms, call_ms, status, error, %trace_id, "job finished"
            );
        }
    }
}

impl From<&JobSummary> for Finished {
    fn from(job: &JobSummary) -> Self {
        Self {
            job: job.id,
            handler: job.handler.clone(),
            account_id: job.account_id,
            bot_id: job.return_url.bot_id(),
            entity: job.entity,
            state: job.state,
            outcome: job.outcome,
            handler_attempts: job.handler_attempts,
            delivery_attempts: job.delivery_attempts,
            run: None,
            total: job.finished_at.map_or(Duration::ZERO, |finished_at| finished_at.since(job.received_at)),
            call: None,
            error: None,
        }
    }
}

impl Line for Finished {
    fn end(&self) -> End {
        match (self.state, self.outcome) {
            (StateName::Gone, _) => End::Gone,
            (StateName::Dead, _) => End::Dead,
            (StateName::Cancelled, _) => End::Cancelled,
            (_, Some(Outcome::Fallback(_))) => End::Fallback,
            _ => End::Delivered,
        }
    }
}
