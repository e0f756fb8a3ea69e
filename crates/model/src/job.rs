//! A job: one `widget_request` on its way to one continue.
//!
//! [`Job`] is the record that people and the API read. The bridge does not work on it: `work` claims a [`RunningJob`], and
//! `deliver` a [`DeliveringJob`]. Only such a claim can be reported on, and only once (see
//! [`transition`](super::transition)).

use std::sync::Arc;
use std::time::Duration;

use super::{
    AccountId, CheckedCompletion, Entity, Fence, HandlerName, JobId, JobOrdering, PreparedCompletion,
    ReturnUrl, State, Timestamp, WidgetRequest,
};

/// The record of a job, for reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The id.
    pub id: JobId,
    /// The handler of the job.
    pub handler: HandlerName,
    /// The request.
    pub request: WidgetRequest,
    /// When the request arrived.
    pub received_at: Timestamp,
    /// The moment from which the bot gets the fallback.
    pub answer_by: Timestamp,
    /// The number of charged handler attempts.
    pub handler_attempts: u32,
    /// The number of charged delivery attempts.
    pub delivery_attempts: u32,
    /// The last error, if there was one.
    pub last_error: Option<String>,
    /// The group of the last error; `None` if there is none.
    pub error_group: Option<i64>,
    /// The handler's completion, if the fallback replaced it. `None` if [`state`](Self::state) contains it, or if the
    /// handler returned no valid completion.
    pub handler_completion: Option<CheckedCompletion>,
    /// The later job of the same conversation that answers for this one too, because the handler's `coalesce` joined
    /// them.
    pub joined_into: Option<JobId>,
    /// The state.
    pub state: State,
}

/// A verified request, about to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// The id.
    pub id: JobId,
    /// The handler of the job.
    pub handler: HandlerName,
    /// The request.
    pub request: WidgetRequest,
    /// The token's `jti`. Two requests of an account with the same `jti` are the same request.
    pub idempotency_key: String,
    /// The moment until which the token could be used again: its `exp`, plus a tolerance for clock differences. The store
    /// keeps `idempotency_key` until then.
    pub token_expires_at: Timestamp,
    /// When the request arrived, by the calendar.
    pub received_at: Timestamp,
    /// The moment from which the bot gets the fallback, by the steady clock.
    pub answer_by: Timestamp,
    /// In which order the handler's jobs run. Without an entity, the job is not ordered.
    pub ordering: JobOrdering,
}

/// A job that a worker has claimed.
#[derive(Debug, PartialEq)]
pub struct RunningJob {
    /// The id.
    pub id: JobId,
    /// The fence of this claim.
    pub fence: Fence,
    /// The handler of the job.
    pub handler: HandlerName,
    /// The request. It is shared, because a handler that cannot be stopped may outlive its claim.
    pub request: Arc<WidgetRequest>,
    /// When the request arrived.
    pub received_at: Timestamp,
    /// When the request arrived, by the steady clock.
    pub waiting_since: Timestamp,
    /// The moment from which the bot gets the fallback, by the steady clock.
    pub answer_by: Timestamp,
    /// The number of attempts charged before this claim.
    pub attempts: u32,
    /// How many times in a row the process ended while this job ran.
    pub crashes: u32,
    /// The last error, if there was one.
    pub last_error: Option<String>,
    /// Whether later jobs of its conversation wait until this one is answered.
    pub is_ordered: bool,
}

/// A job that the sender has claimed.
#[derive(Debug, PartialEq)]
pub struct DeliveringJob {
    /// The id.
    pub id: JobId,
    /// The fence of this claim.
    pub fence: Fence,
    /// The handler of the job.
    pub handler: HandlerName,
    /// The account of the bot that waits.
    pub account_id: AccountId,
    /// The lead, contact or customer that the bot talks about, if the token names one.
    pub entity: Option<Entity>,
    /// The URL where the bot waits.
    pub return_url: ReturnUrl,
    /// When the request arrived.
    pub received_at: Timestamp,
    /// When the request arrived, by the steady clock. The customer has waited since then.
    pub waiting_since: Timestamp,
    /// The number of charged handler attempts.
    pub handler_attempts: u32,
    /// The completion to send.
    pub prepared: PreparedCompletion,
    /// The number of attempts charged before this claim.
    pub attempts: u32,
    /// The history of the delivery.
    pub delivery: Delivery,
    /// Whether a continue was, or may have been, sent before; its result does not matter.
    pub tried: bool,
    /// A newer job with the same `return_url`; `None` if an operator chose to send this one anyway.
    pub superseded_by: Option<JobId>,
    /// Since when the delivery is due, by the steady clock.
    pub due_at: Timestamp,
    /// The last charged attempt of the handler; `None` if there is none, or if the store does not know it at hand.
    pub last_run: Option<HandlerRun>,
}

/// When a handler ran, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandlerRun {
    /// The start of the attempt, by the calendar.
    pub started_at: Timestamp,
    /// How long the attempt took.
    pub duration: Duration,
}

impl DeliveringJob {
    /// The newer job, if this job's continue would answer its question. Only a repeated continue is superseded. The first
    /// one may be late, but the bot may still wait for it.
    pub fn superseded(&self) -> Option<JobId> {
        self.superseded_by.filter(|_| self.tried)
    }
}

/// The history of a delivery. Its moments are by the steady clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The number of failures in a row, which is the exponent of the backoff.
    pub failures: u32,
    /// When the first of these failures happened; `delivery.give_up_after` counts from here.
    pub failing_since: Option<Timestamp>,
    /// Whether an attempt may have arrived although its response was lost. A later 404 then means success.
    pub answer_lost: bool,
    /// When Kommo last refused the completion because of the account (401, 402, 403). `None` if it did not, or if the
    /// completion has been replaced since.
    pub refused_at: Option<Timestamp>,
}

impl Delivery {
    /// Whether Kommo refuses this job in particular: a refusal is among its failures in a row. A refusal that pauses the
    /// account does not count as a failure of the job, and resets the count.
    pub fn is_refused_alone(&self) -> bool {
        self.failing_since.zip(self.refused_at).is_some_and(|(since, refused_at)| since <= refused_at)
    }
}
