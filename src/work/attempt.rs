//! One attempt of a handler: it runs in a task and on a thread of its own, so that a panic, or code that blocks
//! its thread, stops neither the worker nor the clock that watches it.

use tokio_util::sync::CancellationToken;

use crate::handler::Context;
use kommo::Client;
use model::RunningJob;
use model::clock::Clock;

use super::decide::Ended;
use super::registry::{Received, Registered};
use super::threads::{HandlerThreads, Ran};

/// Crashes in a row after which a job is not run again.
pub(super) const CRASH_BUDGET: u32 = 3;

/// The longest text of an error that is kept, in characters: it goes into the store, the log and tables.
const MOST_TEXT: usize = 2_000;

/// Runs the handler on `job`, on `threads`, until it ends, its time is over, or `interrupt` fires. It may ask
/// the account by `kommo`.
pub(super) async fn run(
    registered: &Registered,
    job: &RunningJob,
    kommo: Client,
    threads: &HandlerThreads,
    clock: &Clock,
    interrupt: &CancellationToken,
) -> Ended {
    if job.crashes >= CRASH_BUDGET {
        return Ended::Crashed(job.crashes);
    }
    let now = clock.steady();
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
        deadline: clock.now() + limit,
        remaining: limit,
        // A child: a handler that cancels it ends its own tasks, and not the attempt.
        cancelled: cancelled.child_token(),
        kommo: kommo.with_patience(limit),
    };
    let (handler, request, received) = (registered.handler.clone(), job.request.clone(), job.received_at);
    let work = async move {
        let result = handler.run(&request, Received(received), context).await;
        // Here, because writing an error out and dropping it is the author's code too, which may panic.
        result.map_err(|error| error.as_text(shortened))
    };
    let handler = threads.spawn(work, cancelled);
    let ended = tokio::select! {
        biased;
        finished = handler => match finished {
            Ok(Ran::Ended(result)) => Ended::Returned(result),
            Ok(Ran::Panicked(said)) => Ended::Panicked(shortened(said)),
            // Only threads that are going down end it otherwise.
            Ok(Ran::Cancelled) | Err(_) => Ended::Interrupted,
        },
        () = clock.sleep(limit) => Ended::TimedOut,
        () = interrupt.cancelled() => Ended::Interrupted,
    };
    drop(over);
    ended
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MOST_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}
