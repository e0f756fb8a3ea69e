//! Why an unfinished job waits.

use super::{Because, Code, ExplainContext, HandlerLoad, NextStep, Parts, Suggestion};
use crate::{AccountWait, Attempt, Job, Outcome, QueueWait, Stage, State, Timestamp, WaitCause};

const FALLBACK_NEXT: &str = "the bot gets the fallback, unless there is an answer before";
const DELIVERY_NEXT: &str = "the bridge sends the continue";
/// The command that connects an account, as the advice about it names it.
const AUTHORIZE: &str = "salesbot-bridge accounts authorize";
const RETRY_ADVICE: &str = "no action needed if the error is temporary; after delivery.give_up_after, the job is dead, and you \
     can retry it";
const PROBE_NEXT: &str = "the bridge tries a delivery of the account";

pub(super) fn explain(job: &Job, attempts: &[Attempt], context: &ExplainContext<'_>) -> Parts {
    let Parts { mut because, mut next, you_can: mut suggestions } = match job.state {
        State::Queued(wait) => queued(job, wait, context),
        State::Running { .. } => running(job),
        State::AwaitingCallback => awaiting(job),
        State::Delivering { lease_until: Some(_), .. } => in_flight(),
        // The others are finished.
        State::Delivering { due_at, .. } => undelivered(job, due_at, context),
        State::Delivered { .. } | State::Gone { .. } | State::Dead { .. } | State::Cancelled { .. } => {
            Parts { because: Vec::new(), next: None, you_can: Vec::new() }
        }
    };
    if context.is_served == Some(false) {
        because.insert(0, no_bridge(job, context));
        next = None;
        suggestions.insert(0, Suggestion::run("start the bridge", "serve"));
    }
    because.extend(completion(job, attempts));
    because.extend(newer(job, context));
    let id = job.id;
    match job.state {
        State::Delivering { lease_until: None, .. } => {
            suggestions.push(Suggestion::run("send it now", &format!("jobs retry {id}")));
        }
        State::Queued(_) | State::Running { .. } | State::AwaitingCallback => {
            let complete = format!("jobs complete {id} --data '{{\"reply\":\"…\"}}'");
            suggestions.push(Suggestion::run("answer it in place of its handler", &complete));
        }
        _ => {}
    }
    suggestions.push(Suggestion::run("cancel it: its bot is not continued", &format!("jobs cancel {id}")));
    Parts { because, next, you_can: suggestions }
}

fn no_bridge(job: &Job, context: &ExplainContext<'_>) -> Because {
    let before = context.account.filter(|_| matches!(job.state, State::Delivering { .. }));
    let before = before.map(|wait| format!("; the account's last known state: {}", wait.why));
    let why = format!("no bridge serves this store{}", before.unwrap_or_default());
    Because::new(Code::Bridge, why, "start the bridge: `salesbot-bridge serve`")
}

/// The source of the completion that is being delivered, if it is not the handler's.
fn completion(job: &Job, attempts: &[Attempt]) -> Option<Because> {
    if let Some(later) = job.joined_into {
        let text = format!("job {later}, a later message of its conversation, answers it too");
        return Some(Because::new(Code::Joined, text, ""));
    }
    let Some(Outcome::Fallback(reason)) = job.state.prepared().map(|prepared| prepared.outcome) else {
        return None;
    };
    let error = attempts.iter().rev().find(|attempt| attempt.stage == Stage::Handler);
    let error = error.and_then(|attempt| attempt.error.as_deref());
    let error = error.map(|error| format!(" ({error})")).unwrap_or_default();
    let text = format!("the bot gets the fallback, because {}{error}", reason.what());
    Some(Because::new(Code::Fallback, text, reason.advice()))
}

fn newer(job: &Job, context: &ExplainContext<'_>) -> Option<Because> {
    let newer = context.superseded_by.filter(|_| matches!(job.state, State::Delivering { .. }))?;
    let text = if context.was_sent {
        format!(
            "job {newer} came later with the same return_url, so this job is not sent again and ends as `gone`"
        )
    } else {
        format!("job {newer} came later with the same return_url, so this job is sent at most once")
    };
    Some(Because::new(Code::Superseded, text, ""))
}

fn running(job: &Job) -> Parts {
    let reason = Because::new(
        Code::Handler,
        "its handler runs",
        "no action needed: if the handler is too slow, the bot gets the fallback",
    );
    Parts {
        because: vec![reason.until(job.answer_by)],
        next: NextStep::at(FALLBACK_NEXT, Some(job.answer_by)),
        you_can: Vec::new(),
    }
}

fn awaiting(job: &Job) -> Parts {
    let reason = Because::new(
        Code::Callback,
        format!("handler `{}` accepted it and will call back", job.handler),
        "no action needed: without a callback in time, the bot gets the fallback; `jobs complete` answers it now",
    );
    Parts {
        because: vec![reason.until(job.answer_by)],
        next: NextStep::at(FALLBACK_NEXT, Some(job.answer_by)),
        you_can: Vec::new(),
    }
}

fn in_flight() -> Parts {
    let reason = Because::new(
        Code::Response,
        "its continue is in flight, or waits for a new token for its account",
        "no action needed: check again in a minute",
    );
    let next = NextStep::at("Kommo responds, or the bridge tries again", None);
    Parts { because: vec![reason], next, you_can: Vec::new() }
}

fn queued(job: &Job, wait: QueueWait, context: &ExplainContext<'_>) -> Parts {
    let handler = &job.handler;
    let fallback = NextStep::at(FALLBACK_NEXT, Some(job.answer_by));
    if !context.has_handler {
        let advice = format!(
            "add handlers.{handler} or register it, and restart; otherwise the bot gets the fallback"
        );
        let reason =
            Because::new(Code::NoHandler, format!("this program has no handler `{handler}`"), advice.clone());
        let because = vec![reason.since(job.received_at).until(job.answer_by)];
        return Parts { because, next: fallback, you_can: vec![Suggestion::act(advice)] };
    }
    match wait {
        QueueWait::Turn => in_line(job, context, fallback),
        QueueWait::Messages(due_at) if due_at > context.now => {
            let reason = Because::new(
                Code::Messages,
                "it waits for further messages of its conversation, to answer them together (handlers.NAME.coalesce)",
                "no action needed",
            );
            Parts {
                because: vec![reason.since(job.received_at).until(due_at)],
                next: NextStep::at("its handler runs, unless another message comes before", Some(due_at)),
                you_can: Vec::new(),
            }
        }
        QueueWait::Until(due_at) if due_at > context.now => handler_retry(job, due_at, context),
        QueueWait::Until(due_at) | QueueWait::Messages(due_at) => for_worker(job, due_at, context, fallback),
    }
}

fn in_line(job: &Job, context: &ExplainContext<'_>, fallback: Option<NextStep>) -> Parts {
    let handler = &job.handler;
    let text = match context.line {
        None => "an earlier job of its conversation is not answered yet (handlers.NAME.ordering)".to_owned(),
        Some(line) => {
            let jobs = match line.jobs {
                1 => "1 earlier job of its conversation is".to_owned(),
                jobs => format!(
                    "{jobs}{} earlier jobs of its conversation are",
                    if line.is_more { " or more" } else { "" }
                ),
            };
            format!("{jobs} not answered yet (handlers.NAME.ordering); the first one is {}", line.first)
        }
    };
    let reason = Because::new(
        Code::Conversation,
        text,
        format!(
            "no action needed if it takes only seconds; otherwise find out what holds up the earlier job of \
             handler `{handler}`; without an answer in time, the bot gets the fallback"
        ),
    );
    let first = context.line.map(|line| {
        Suggestion::run("find out what holds up the first one", &format!("jobs explain {}", line.first))
    });
    Parts {
        because: vec![reason.since(job.received_at).until(job.answer_by)],
        next: fallback,
        you_can: first.into_iter().collect(),
    }
}

fn handler_retry(job: &Job, due_at: Timestamp, context: &ExplainContext<'_>) -> Parts {
    let handler = &job.handler;
    let error = job.last_error.as_deref().unwrap_or("no result");
    let reason = Because::new(
        Code::HandlerRetry,
        format!(
            "attempt {} of its handler failed ({error}); the bridge will retry it",
            job.handler_attempts.max(1)
        ),
        format!("fix handler `{handler}`; without an answer in time, the bot gets the fallback"),
    );
    let mut because = vec![reason.until(due_at)];
    because.extend(context.load.and_then(|load| unreachable(job, load)));
    because.extend(many_awaiting(job, context));
    Parts {
        because,
        next: NextStep::at("the next attempt of its handler", Some(due_at)),
        you_can: vec![Suggestion::act(format!("fix handler `{handler}`"))],
    }
}

fn unreachable(job: &Job, load: HandlerLoad) -> Option<Because> {
    let until = load.unreachable_until?;
    let handler = &job.handler;
    let reason = Because::new(
        Code::HandlerUnreachable,
        format!("handler `{handler}` cannot be reached at its URL; one call a second checks it"),
        format!(
            "start the handler, or correct handlers.{handler}.url; `doctor` says why it cannot be reached; without an \
             answer in time, the bot gets the fallback"
        ),
    );
    Some(reason.until(until))
}

fn many_awaiting(job: &Job, context: &ExplainContext<'_>) -> Option<Because> {
    let (jobs, max) = context.awaiting.filter(|(jobs, max)| jobs >= max)?;
    let handler = &job.handler;
    let reason = Because::new(
        Code::MaxAwaiting,
        format!(
            "{jobs} jobs await a callback of handler `{handler}`, and handlers.{handler}.max_awaiting is {max}"
        ),
        format!(
            "find out why handler `{handler}` does not call back, or raise handlers.{handler}.max_awaiting"
        ),
    );
    Some(reason)
}

/// The job is due. The reasons are those that only the running bridge knows, or that it waits for a worker.
fn for_worker(
    job: &Job,
    due_at: Timestamp,
    context: &ExplainContext<'_>,
    fallback: Option<NextStep>,
) -> Parts {
    let handler = &job.handler;
    let unreachable = context.load.and_then(|load| unreachable(job, load));
    let is_unreachable = unreachable.is_some();
    let mut because: Vec<Because> = unreachable.map(|reason| reason.since(due_at)).into_iter().collect();
    if let Some(load) = context.load.filter(|load| !load.has_room) {
        let key = if load.is_shared {
            "workers.concurrency".to_owned()
        } else {
            format!("handlers.{handler}.concurrency")
        };
        let text = format!(
            "{} of {} permits of {key} are in use, and none is free for handler `{handler}`",
            load.in_use, load.limit
        );
        let advice = format!(
            "no action needed if it takes only seconds; otherwise raise {key} or make handler `{handler}` faster; without \
             an answer in time, the bot gets the fallback"
        );
        because.push(Because::new(Code::HandlerBusy, text, advice).since(due_at));
    }
    if because.is_empty() {
        let advice = format!(
            "no action needed if it takes only seconds; otherwise raise workers.concurrency or make handler `{handler}` faster; if \
             it is at a URL, `doctor` says whether it can be reached; without an answer in time, the bot gets the fallback"
        );
        because.push(Because::new(Code::Worker, "it waits for a free worker", advice).since(due_at));
    }
    because.extend(many_awaiting(job, context));
    let mut you_can = Vec::new();
    if is_unreachable {
        you_can.push(Suggestion::run("test the handler", &format!("handlers test {handler}")));
    }
    you_can.extend(because.iter().map(|reason| Suggestion::act(reason.advice.clone())));
    Parts { because, next: fallback, you_can }
}

fn undelivered(job: &Job, due_at: Timestamp, context: &ExplainContext<'_>) -> Parts {
    let origin = job.request.return_url.origin();
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    if let Some(wait) = context.account {
        // The job may wait longer than its account, because Kommo also refused the job in particular.
        let until = wait.until.map(|until| until.max(due_at)).or(Some(due_at));
        let until = until.filter(|until| *until > context.now);
        let text = format!("deliveries to {host} wait: {}", wait.why);
        let reason = Because {
            until,
            ..Because::new(Code::Account(wait.cause), text, wait.advice.as_str()).since(wait.since)
        };
        return Parts {
            because: vec![reason],
            next: NextStep::at(PROBE_NEXT, until),
            you_can: of_account(wait, host),
        };
    }
    if let Some(pause) = context.pause {
        let until = Some(pause.until.max(due_at)).filter(|until| *until > context.now);
        let text = format!("deliveries to {host} wait: {}", pause.cause.what());
        let reason = Because::new(Code::Account(pause.cause), text, pause.cause.advice());
        let next = NextStep::at(PROBE_NEXT, until);
        return Parts { because: vec![Because { until, ..reason }], next, you_can: Vec::new() };
    }
    if let Some(wait) = context.all_accounts {
        let until = wait.until.filter(|until| *until > context.now);
        let text = format!("deliveries of all accounts wait: {}", wait.why);
        let reason = Because {
            until,
            ..Because::new(Code::AllAccounts, text, wait.advice.as_str()).since(wait.since)
        };
        return Parts {
            because: vec![reason],
            next: NextStep::at(PROBE_NEXT, until),
            you_can: of_account(wait, host),
        };
    }
    if due_at > context.now {
        let error = job.last_error.as_deref().unwrap_or("no response");
        let text = format!("its last delivery failed ({error}); the bridge will retry it");
        // Such a job waits alone if its address now belongs to a different account, which does not wait.
        let not_connected = WaitCause::NotConnected;
        let advice = if error == not_connected.what() { not_connected.advice() } else { RETRY_ADVICE };
        let reason = Because::new(Code::DeliveryRetry, text, advice);
        let next = NextStep::at(DELIVERY_NEXT, Some(due_at));
        return Parts { because: vec![reason.until(due_at)], next, you_can: Vec::new() };
    }
    let mut because = Vec::new();
    if let Some(pace) = context.pace.filter(|pace| pace.used >= pace.limit) {
        let text = format!(
            "{} of {} calls per second to {host} are used (delivery.rate_per_account)",
            pace.used, pace.limit
        );
        let advice = "no action needed if it takes only seconds; otherwise check delivery.rate_per_account";
        let until = pace.next_at.filter(|until| *until > context.now);
        because.push(Because { until, ..Because::new(Code::Pace, text, advice).since(due_at) });
    }
    let others = context
        .waiting
        .filter(|waiting| *waiting > 1)
        .map(|waiting| format!(" ({waiting} wait for this account)"));
    because.push(
        Because::new(
            Code::Turn,
            format!(
                "it waits for its turn: other deliveries go first, at the rate limit of its account{}",
                others.unwrap_or_default()
            ),
            "no action needed if it takes only seconds; otherwise check delivery.rate_per_account and delivery.concurrency",
        )
        .since(due_at),
    );
    let at = because.first().and_then(|reason| reason.until);
    Parts { because, next: NextStep::at(DELIVERY_NEXT, at), you_can: Vec::new() }
}

/// What an operator can do about an account that waits.
fn of_account(wait: &AccountWait, host: &str) -> Vec<Suggestion> {
    let fix = match wait.cause {
        WaitCause::TooMany => return Vec::new(),
        // Not for an account whose token is in the configuration.
        WaitCause::Unauthorized | WaitCause::NotConnected if wait.advice.contains(AUTHORIZE) => Suggestion {
            command: wait.advice.split('`').find(|part| part.starts_with(AUTHORIZE)).map(str::to_owned),
            ..Suggestion::act(wait.advice.as_str())
        },
        _ => Suggestion::act(wait.advice.as_str()),
    };
    vec![fix, Suggestion::run("try the account now, after it is fixed", &format!("accounts resume {host}"))]
}
