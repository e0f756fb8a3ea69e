//! A job: one `widget_request` on its way to one continue.
//!
//! [`Job`] is the record that people and the API look at. The rooms do not work on it: `work` gets a
//! [`RunningJob`] and `deliver` a [`DeliveringJob`], and only these can be reported on, once
//! (see [`transition`](super::transition)).

use std::sync::Arc;

use super::{
    AccountId, CheckedCompletion, Entity, Fence, HandlerName, JobId, PreparedCompletion, ReturnUrl, State,
    Timestamp, WidgetRequest,
};

/// The record of a job, to look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its identity.
    pub id: JobId,
    /// The handler of the job.
    pub handler: HandlerName,
    /// What was asked.
    pub request: WidgetRequest,
    /// When the request came in.
    pub received_at: Timestamp,
    /// From then on the fallback goes out.
    pub answer_by: Timestamp,
    /// Handler attempts that were charged.
    pub handler_attempts: u32,
    /// Delivery attempts that were charged.
    pub delivery_attempts: u32,
    /// What went wrong last, if something did.
    pub last_error: Option<String>,
    /// What the handler returned, where the fallback took its place; `None` if [`state`](Self::state) has it, or if the
    /// handler returned nothing that could be sent.
    pub handler_completion: Option<CheckedCompletion>,
    /// Where it is.
    pub state: State,
}

/// A verified request, about to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// Its identity.
    pub id: JobId,
    /// The handler of the job.
    pub handler: HandlerName,
    /// What is asked.
    pub request: WidgetRequest,
    /// The token's `jti`: two requests of one account with the same one are the same request.
    pub idempotency_key: String,
    /// Until then the token could be used again (its `exp`, and a while for clocks that differ), so until then
    /// `idempotency_key` is remembered.
    pub token_expires_at: Timestamp,
    /// When the request came in, by the calendar.
    pub received_at: Timestamp,
    /// From then on the fallback goes out, by the steady clock.
    pub answer_by: Timestamp,
}

/// A job that a worker has claimed.
#[derive(Debug, PartialEq)]
pub struct RunningJob {
    /// Its identity.
    pub id: JobId,
    /// The number of this claim.
    pub fence: Fence,
    /// The handler of the job.
    pub handler: HandlerName,
    /// What is asked; shared, because a handler that cannot be stopped may outlive its claim.
    pub request: Arc<WidgetRequest>,
    /// When the request came in.
    pub received_at: Timestamp,
    /// The same moment by the steady clock.
    pub waiting_since: Timestamp,
    /// From then on the fallback goes out, by the steady clock.
    pub answer_by: Timestamp,
    /// Attempts charged before this claim.
    pub attempts: u32,
    /// How often in a row the process died while this job ran.
    pub crashes: u32,
    /// What went wrong last, if something did.
    pub last_error: Option<String>,
}

/// A job that the sender has claimed.
#[derive(Debug, PartialEq)]
pub struct DeliveringJob {
    /// Its identity.
    pub id: JobId,
    /// The number of this claim.
    pub fence: Fence,
    /// The handler of the job.
    pub handler: HandlerName,
    /// The account whose bot waits.
    pub account_id: AccountId,
    /// What the bot talks about, if the token names it.
    pub entity: Option<Entity>,
    /// Where it waits.
    pub return_url: ReturnUrl,
    /// When the request came in.
    pub received_at: Timestamp,
    /// The same moment by the steady clock: the customer has waited since then.
    pub waiting_since: Timestamp,
    /// Handler attempts that were charged.
    pub handler_attempts: u32,
    /// What is sent.
    pub prepared: PreparedCompletion,
    /// Attempts charged before this claim.
    pub attempts: u32,
    /// How the delivery went so far.
    pub delivery: Delivery,
    /// Whether a continue was sent before, or may have been, whatever came of it.
    pub tried: bool,
    /// A job that came later with the same `return_url`, unless an operator sends this one all the same.
    pub superseded_by: Option<JobId>,
}

impl DeliveringJob {
    /// The newer job whose question a continue would answer. Only a repeated continue is superseded: the first one may have
    /// been delayed, but nothing says that its bot has stopped waiting for it.
    pub fn superseded(&self) -> Option<JobId> {
        self.superseded_by.filter(|_| self.tried)
    }
}

/// How a delivery went so far. Its moments are by the steady clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Failures in a row: the exponent of the backoff.
    pub failures: u32,
    /// The first of these; `delivery.give_up_after` counts from here.
    pub failing_since: Option<Timestamp>,
    /// An attempt may have arrived though its answer did not: a 404 then means success.
    pub answer_lost: bool,
    /// When Kommo last refused it for its account (401, 402, 403); `None` if it was not refused since something else was
    /// put in its place.
    pub refused_at: Option<Timestamp>,
}

impl Delivery {
    /// Whether Kommo refuses this job for its own sake: a refusal is among its failures in a row. A refusal for which its
    /// account waits is no failure of the job, so it ends the row.
    pub fn is_refused_alone(&self) -> bool {
        self.failing_since.zip(self.refused_at).is_some_and(|(since, refused_at)| since <= refused_at)
    }
}
