//! Why a job waits, and what to do about it: one decision for `jobs show` and the API.

use serde::Serialize;

use super::{AccountWait, Job, State, Timestamp};

/// What is known besides the job.
#[derive(Clone, Copy, Debug)]
pub struct WaitContext<'a> {
    /// The time.
    pub now: Timestamp,
    /// Whether a bridge works on the store; `None` if that cannot be found out.
    pub is_served: Option<bool>,
    /// Whether the job's handler is registered.
    pub has_handler: bool,
    /// What the deliveries of its account wait for.
    pub account: Option<&'a AccountWait>,
    /// What the deliveries of all accounts wait for.
    pub all_accounts: Option<&'a AccountWait>,
}

/// What an unfinished job waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaitsFor {
    /// What, for programs: a [cause](super::WaitCause) if it is the account, else one of `bridge`, `worker`, `no_handler`,
    /// `handler`, `handler_retry`, `all_accounts`, `turn`, `response` and `delivery_retry`.
    pub cause: &'static str,
    /// What, for people.
    pub why: String,
    /// What an operator can do.
    pub advice: String,
    /// Since when, if that is known.
    pub since: Option<Timestamp>,
    /// Until when, if that is known.
    pub until: Option<Timestamp>,
}

impl WaitsFor {
    fn new(cause: &'static str, why: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { cause, why: why.into(), advice: advice.into(), since: None, until: None }
    }

    fn since(self, since: Timestamp) -> Self {
        Self { since: Some(since), ..self }
    }

    fn until(self, until: Timestamp) -> Self {
        Self { until: Some(until), ..self }
    }
}

/// What `job` waits for; `None` if it is finished.
pub fn waits_for(job: &Job, context: &WaitContext<'_>) -> Option<WaitsFor> {
    if job.state.name().is_finished() {
        return None;
    }
    if context.is_served == Some(false) {
        let before = context.account.filter(|_| matches!(job.state, State::Delivering { .. }));
        let before = before.map(|wait| format!("; what the last one knew of the account: {}", wait.why));
        let why = format!("no bridge works on this store{}", before.unwrap_or_default());
        return Some(WaitsFor::new("bridge", why, "start it: `salesbot-bridge serve`"));
    }
    match job.state {
        State::Queued { due_at } => Some(queued(job, due_at, context)),
        State::Running { .. } => Some(
            WaitsFor::new(
                "handler",
                "its handler runs",
                "nothing: it gets its fallback if the handler is too slow",
            )
            .until(job.answer_by),
        ),
        State::Delivering { lease_until: Some(_), .. } => Some(WaitsFor::new(
            "response",
            "its continue is on its way, or waits for a new token of its account",
            "nothing: look again in a minute",
        )),
        State::Delivering { due_at, lease_until: None, .. } => Some(undelivered(job, due_at, context)),
        State::Delivered { .. } | State::Gone { .. } | State::Dead { .. } | State::Cancelled { .. } => None,
    }
}

fn queued(job: &Job, due_at: Timestamp, context: &WaitContext<'_>) -> WaitsFor {
    let handler = &job.handler;
    if !context.has_handler {
        return WaitsFor::new(
            "no_handler",
            format!("this program has no handler `{handler}`"),
            format!("add handlers.{handler} or register it, and restart; else the fallback goes out"),
        )
        .since(job.received_at)
        .until(job.answer_by);
    }
    if due_at > context.now {
        let error = job.last_error.as_deref().unwrap_or("it did not end");
        return WaitsFor::new(
            "handler_retry",
            format!(
                "attempt {} of its handler failed ({error}) and is repeated",
                job.handler_attempts.max(1)
            ),
            format!("fix handler `{handler}`; without an answer in time the fallback goes out"),
        )
        .until(due_at);
    }
    let advice = format!(
        "nothing, if it is for seconds; else raise workers.concurrency or make handler `{handler}` faster; without an answer in \
         time the fallback goes out"
    );
    WaitsFor::new("worker", "it waits for a free worker", advice).since(due_at)
}

fn undelivered(job: &Job, due_at: Timestamp, context: &WaitContext<'_>) -> WaitsFor {
    if let Some(AccountWait { cause, why, advice, since, until }) = context.account {
        let origin = job.request.return_url.origin();
        let host = origin.split_once("://").map_or(origin, |(_, host)| host);
        let why = format!("deliveries to {host} wait: {why}");
        // The job may wait longer than its account: alone, because it alone was refused.
        let until =
            until.map(|until| until.max(due_at)).or(Some(due_at)).filter(|until| *until > context.now);
        return WaitsFor { until, ..WaitsFor::new(cause.as_str(), why, advice.as_str()).since(*since) };
    }
    if let Some(wait) = context.all_accounts {
        let why = format!("deliveries of all accounts wait: {}", wait.why);
        let until = wait.until.filter(|until| *until > context.now);
        return WaitsFor {
            until,
            ..WaitsFor::new("all_accounts", why, wait.advice.as_str()).since(wait.since)
        };
    }
    if due_at > context.now {
        let error = job.last_error.as_deref().unwrap_or("it was not answered");
        return WaitsFor::new(
            "delivery_retry",
            format!("its last delivery failed ({error}) and is repeated"),
            "nothing, if the error passes; after delivery.give_up_after the job is dead and can be retried",
        )
        .until(due_at);
    }
    WaitsFor::new(
        "turn",
        "it waits for its turn: others go first, at the pace of its account",
        "nothing, if it is for seconds; else look at delivery.rate_per_account and delivery.concurrency",
    )
    .since(due_at)
}

#[cfg(test)]
mod tests;
