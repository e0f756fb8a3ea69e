//! Decides why a job waits, and what an operator can do about it, for `jobs show` and the API.

use serde::Serialize;

use super::{AccountWait, Job, QueueWait, State, Timestamp};

/// The facts besides the job on which the decision depends.
#[derive(Clone, Copy, Debug)]
pub struct WaitContext<'a> {
    /// The current time.
    pub now: Timestamp,
    /// Whether a bridge serves the store; `None` if unknown.
    pub is_served: Option<bool>,
    /// Whether the job's handler is registered.
    pub has_handler: bool,
    /// The wait of the account's deliveries, if they wait.
    pub account: Option<&'a AccountWait>,
    /// The wait of all accounts' deliveries, if they wait.
    pub all_accounts: Option<&'a AccountWait>,
}

/// The reason why an unfinished job waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaitsFor {
    /// The cause, for programs: a [`WaitCause`](super::WaitCause) if the account waits, otherwise one of `bridge`,
    /// `worker`, `no_handler`, `conversation`, `messages`, `handler`, `callback`, `handler_retry`, `all_accounts`, `turn`, `response` and `delivery_retry`.
    pub cause: &'static str,
    /// The reason, for people.
    pub why: String,
    /// Advice for the operator.
    pub advice: String,
    /// When the wait began, if known.
    pub since: Option<Timestamp>,
    /// When the wait ends, if known.
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

/// Returns why `job` waits; `None` if it is finished.
pub fn waits_for(job: &Job, context: &WaitContext<'_>) -> Option<WaitsFor> {
    if job.state.name().is_finished() {
        return None;
    }
    if context.is_served == Some(false) {
        let before = context.account.filter(|_| matches!(job.state, State::Delivering { .. }));
        let before = before.map(|wait| format!("; the account's last known state: {}", wait.why));
        let why = format!("no bridge serves this store{}", before.unwrap_or_default());
        return Some(WaitsFor::new("bridge", why, "start the bridge: `salesbot-bridge serve`"));
    }
    match job.state {
        State::Queued(wait) => Some(queued(job, wait, context)),
        State::Running { .. } => Some(
            WaitsFor::new(
                "handler",
                "its handler runs",
                "no action needed: if the handler is too slow, the bot gets the fallback",
            )
            .until(job.answer_by),
        ),
        State::AwaitingCallback => Some(
            WaitsFor::new(
                "callback",
                format!("handler `{}` accepted it and will call back", job.handler),
                "no action needed: without a callback in time, the bot gets the fallback; `jobs complete` answers it now",
            )
            .until(job.answer_by),
        ),
        State::Delivering { lease_until: Some(_), .. } => Some(WaitsFor::new(
            "response",
            "its continue is in flight, or waits for a new token for its account",
            "no action needed: check again in a minute",
        )),
        State::Delivering { due_at, lease_until: None, .. } => Some(undelivered(job, due_at, context)),
        State::Delivered { .. } | State::Gone { .. } | State::Dead { .. } | State::Cancelled { .. } => None,
    }
}

fn queued(job: &Job, wait: QueueWait, context: &WaitContext<'_>) -> WaitsFor {
    let handler = &job.handler;
    if !context.has_handler {
        return WaitsFor::new(
            "no_handler",
            format!("this program has no handler `{handler}`"),
            format!(
                "add handlers.{handler} or register it, and restart; otherwise the bot gets the fallback"
            ),
        )
        .since(job.received_at)
        .until(job.answer_by);
    }
    let due_at = match wait {
        QueueWait::Turn => {
            return WaitsFor::new(
                "conversation",
                "an earlier job of its conversation is not answered yet (handlers.NAME.ordering)",
                format!(
                    "no action needed if it takes only seconds; otherwise find out what holds up the earlier job of \
                     handler `{handler}`; without an answer in time, the bot gets the fallback"
                ),
            )
            .since(job.received_at)
            .until(job.answer_by);
        }
        QueueWait::Messages(due_at) if due_at > context.now => {
            return WaitsFor::new(
                "messages",
                "it waits for further messages of its conversation, to answer them together (handlers.NAME.coalesce)",
                "no action needed",
            )
            .since(job.received_at)
            .until(due_at);
        }
        QueueWait::Until(due_at) | QueueWait::Messages(due_at) => due_at,
    };
    if due_at > context.now {
        let error = job.last_error.as_deref().unwrap_or("no result");
        return WaitsFor::new(
            "handler_retry",
            format!(
                "attempt {} of its handler failed ({error}); the bridge will retry it",
                job.handler_attempts.max(1)
            ),
            format!("fix handler `{handler}`; without an answer in time, the bot gets the fallback"),
        )
        .until(due_at);
    }
    let advice = format!(
        "no action needed if it takes only seconds; otherwise raise workers.concurrency or make handler `{handler}` faster; if \
         it is at a URL, `doctor` says whether it can be reached; without an answer in time, the bot gets the fallback"
    );
    WaitsFor::new("worker", "it waits for a free worker", advice).since(due_at)
}

fn undelivered(job: &Job, due_at: Timestamp, context: &WaitContext<'_>) -> WaitsFor {
    if let Some(AccountWait { cause, why, advice, since, until }) = context.account {
        let origin = job.request.return_url.origin();
        let host = origin.split_once("://").map_or(origin, |(_, host)| host);
        let why = format!("deliveries to {host} wait: {why}");
        // The job may wait longer than its account, because Kommo also refused the job in particular.
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
        let error = job.last_error.as_deref().unwrap_or("no response");
        return WaitsFor::new(
            "delivery_retry",
            format!("its last delivery failed ({error}); the bridge will retry it"),
            "no action needed if the error is temporary; after delivery.give_up_after, the job is dead, and you can retry it",
        )
        .until(due_at);
    }
    WaitsFor::new(
        "turn",
        "it waits for its turn: other deliveries go first, at the rate limit of its account",
        "no action needed if it takes only seconds; otherwise check delivery.rate_per_account and delivery.concurrency",
    )
    .since(due_at)
}

#[cfg(test)]
mod tests;
