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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{AccountId, CheckedCompletion, JobId, Outcome, PreparedCompletion, WaitCause, WidgetRequest};

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn job(state: State, last_error: Option<&str>) -> Job {
        Job {
            id: JobId::new(at(0), 1),
            handler: "echo".parse().unwrap(),
            request: WidgetRequest {
                account_id: AccountId(1),
                entity: None,
                return_url: "https://a.kommo.com/api/v4/salesbot/1/continue/1".parse().unwrap(),
                data: json!({}),
            },
            received_at: at(0),
            answer_by: at(50),
            handler_attempts: 2,
            delivery_attempts: 0,
            last_error: last_error.map(str::to_owned),
            handler_completion: None,
            state,
        }
    }

    fn prepared() -> PreparedCompletion {
        PreparedCompletion {
            completion: CheckedCompletion::from_json("{}").unwrap(),
            outcome: Outcome::Handler,
        }
    }

    fn delivering(due: i64, lease: Option<i64>) -> State {
        State::Delivering { prepared: prepared(), due_at: at(due), lease_until: lease.map(at) }
    }

    fn wait(cause: WaitCause, until: Option<i64>) -> AccountWait {
        let (why, advice) = (format!("said {cause}"), "do that".to_owned());
        AccountWait { cause, why, advice, since: at(3), until: until.map(at) }
    }

    #[test]
    fn every_reason_to_wait_is_named_with_what_to_do() {
        let now = WaitContext {
            now: at(10),
            is_served: Some(true),
            has_handler: true,
            account: None,
            all_accounts: None,
        };
        let unauthorized = wait(WaitCause::Unauthorized, Some(40));
        let (ended, blocked) = (wait(WaitCause::TooMany, Some(9)), wait(WaitCause::Blocked, None));
        let refused = WaitContext { account: Some(&unauthorized), ..now };
        let due = State::Queued { due_at: at(9) };
        let retry = State::Queued { due_at: at(12) };
        let running = State::Running { lease_until: at(99) };
        for (state, error, context, cause, why, advice, until) in [
            (due.clone(), None, now, "worker", "free worker", "workers.concurrency", None),
            (
                due.clone(),
                None,
                WaitContext { has_handler: false, ..now },
                "no_handler",
                "`echo`",
                "handlers.echo",
                Some(50),
            ),
            (
                retry,
                Some("no route"),
                now,
                "handler_retry",
                "attempt 2 of its handler failed (no route)",
                "fallback",
                Some(12),
            ),
            (running, None, now, "handler", "handler runs", "fallback", Some(50)),
            (delivering(9, Some(70)), None, refused, "response", "on its way", "nothing", None),
            (delivering(9, None), None, now, "turn", "its turn", "delivery.concurrency", None),
            (delivering(30, None), Some("503"), now, "delivery_retry", "(503)", "give_up_after", Some(30)),
            (delivering(9, None), None, refused, "unauthorized", "said unauthorized", "do that", Some(40)),
            (
                delivering(90, None),
                None,
                refused,
                "unauthorized",
                "deliveries to a.kommo.com wait",
                "do that",
                Some(90),
            ),
            (
                delivering(9, None),
                None,
                WaitContext { account: Some(&ended), ..now },
                "too_many",
                "said",
                "do that",
                None,
            ),
            (
                delivering(9, None),
                None,
                WaitContext { all_accounts: Some(&blocked), ..now },
                "all_accounts",
                "all accounts wait: said",
                "do that",
                None,
            ),
            (
                delivering(9, None),
                None,
                WaitContext { all_accounts: Some(&blocked), ..refused },
                "unauthorized",
                "said",
                "do that",
                Some(40),
            ),
            (
                due,
                None,
                WaitContext { is_served: Some(false), ..refused },
                "bridge",
                "no bridge works",
                "serve",
                None,
            ),
            (
                delivering(9, None),
                None,
                WaitContext { is_served: Some(false), ..refused },
                "bridge",
                "said unauthorized",
                "serve",
                None,
            ),
            (
                delivering(9, None),
                None,
                WaitContext { is_served: None, ..now },
                "turn",
                "its turn",
                "nothing",
                None,
            ),
        ] {
            let found = waits_for(&job(state.clone(), error), &context).unwrap();
            assert_eq!((found.cause, found.until), (cause, until.map(at)), "{state:?} {context:?}");
            assert!(found.why.contains(why) && found.advice.contains(advice), "{found:?}");
        }
    }

    #[test]
    fn a_finished_job_waits_for_nothing() {
        let blocked = wait(WaitCause::Blocked, None);
        let context = WaitContext {
            now: at(10),
            is_served: Some(false),
            has_handler: false,
            account: Some(&blocked),
            all_accounts: Some(&blocked),
        };
        let (prepared, finished_at) = (prepared(), at(9));
        for state in [
            State::Delivered { prepared: prepared.clone(), finished_at },
            State::Gone { prepared: prepared.clone(), finished_at },
            State::Dead { prepared: prepared.clone(), finished_at },
            State::Cancelled { prepared: Some(prepared), finished_at },
        ] {
            assert_eq!(waits_for(&job(state, Some("500")), &context), None);
        }
    }
}
