//! One attempt of a handler: it runs in a task and on threads of its own, so that a panic, or code that blocks
//! its thread, stops neither the worker nor the clock that watches it.

use std::any::Any;

use tokio::runtime::Handle;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::handler::Context;
use crate::kommo::Client;
use crate::model::RunningJob;

use super::registry::{Received, Registered};
use super::verdict::Ended;

/// Crashes in a row after which a job is not run again.
pub(super) const CRASH_BUDGET: u32 = 3;

/// Runs the handler on `job`, on `threads`, until it ends, its time is over, or `interrupt` fires. It may ask
/// the account by `kommo`.
pub(super) async fn run(
    registered: &Registered,
    job: &RunningJob,
    kommo: Client,
    threads: &Handle,
    clock: &Clock,
    interrupt: &CancellationToken,
) -> Ended {
    if job.crashes >= CRASH_BUDGET {
        return Ended::Crashed(job.crashes);
    }
    let now = clock.now();
    if now >= job.answer_by {
        return Ended::Overdue;
    }
    let limit = registered.policy.attempt_timeout.min(job.answer_by.since(now));
    // Whatever ends the attempt, the handler's own tasks hear of it.
    let cancelled = CancellationToken::new();
    let over = cancelled.clone().drop_guard();
    let context = Context {
        job_id: job.id,
        attempt: job.attempts + 1,
        deadline: now + limit,
        remaining: limit,
        cancelled,
        kommo: kommo.with_patience(limit),
    };
    let mut handler = threads.spawn({
        let (handler, request, received) = (registered.handler.clone(), job.request.clone(), job.received_at);
        async move { handler.run(&request, Received(received), context).await }
    });
    let ended = tokio::select! {
        biased;
        finished = &mut handler => match finished {
            Ok(result) => Ended::Returned(result),
            Err(error) => panicked(error),
        },
        () = clock.sleep(limit) => Ended::TimedOut,
        () = interrupt.cancelled() => Ended::Interrupted,
    };
    handler.abort();
    drop(over);
    ended
}

fn panicked(error: JoinError) -> Ended {
    match error.try_into_panic() {
        Ok(payload) => Ended::Panicked(message(&*payload)),
        // Only a runtime that is going down cancels the task.
        Err(_) => Ended::Interrupted,
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it said nothing")
        .to_owned()
}
