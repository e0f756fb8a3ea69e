//! The watcher: a thread that adds threads for attempts that wait, and finds out who blocks. It looks every [`TICK`] while
//! attempts run, and sleeps while none does.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::queue::{Queue, State, blocked_threads};

/// The time between two checks.
const TICK: Duration = Duration::from_millis(5);
/// The wait after which an attempt may get another thread.
pub(super) const LONG_WAIT: Duration = Duration::from_millis(5);
/// A poll that takes this long counts as blocked. An attempt that waits this long is overdue.
pub(super) const BLOCKED_AFTER: Duration = Duration::from_millis(20);

/// When the watcher looks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextCheck {
    /// After [`TICK`].
    Soon,
    /// When an attempt is pushed.
    OnPush,
    /// Never.
    Never,
}

/// How busy the threads are.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    /// Threads that run attempts or are about to, without the blocked ones.
    working: usize,
    /// Those of them whose current poll takes long already.
    slow: usize,
    /// How long the oldest ready attempt has waited; zero if there is none.
    oldest_wait: Duration,
    /// Ready attempts that are overdue.
    overdue: usize,
}

/// Starts the watcher of `queue`.
///
/// # Errors
/// The system cannot create a thread.
pub(super) fn start(queue: &Arc<Queue>) -> io::Result<()> {
    let watched = queue.clone();
    let watcher = thread::Builder::new().name("handler-watch".to_owned()).spawn(move || {
        loop {
            match check(&watched) {
                NextCheck::Soon => thread::park_timeout(TICK),
                NextCheck::OnPush => thread::park(),
                NextCheck::Never => return,
            }
        }
    })?;
    // Nothing was pushed yet.
    let _first = queue.watcher.set(watcher.thread().clone());
    Ok(())
}

/// Adds threads if attempts wait, reports attempts that are not quick, and names the handlers that block.
pub(super) fn check(queue: &Arc<Queue>) -> NextCheck {
    let now = queue.clock.elapsed();
    let mut state = queue.lock();
    if state.stopping {
        return NextCheck::Never;
    }
    let mut blocked = Vec::new();
    for poll in state.polls.iter_mut().flatten() {
        if !poll.blocked && now.saturating_sub(poll.since) >= BLOCKED_AFTER {
            poll.blocked = true;
            blocked.push(poll.task.clone());
        }
    }
    state.blocked += blocked.len();
    let mut overdue = Vec::new();
    for ready in state.ready.iter_mut() {
        if now.saturating_sub(ready.since) < BLOCKED_AFTER {
            break;
        }
        if !std::mem::replace(&mut ready.reported, true) {
            overdue.push(ready.task.clone());
        }
    }
    let wanted = threads_to_add(load(&state, now), queue.limits.cores);
    let added = state.add(wanted, &queue.limits);
    // Once more after the last attempt: it costs less than being woken for each of many single attempts.
    let runs = !state.ready.is_empty() || state.polls.iter().flatten().any(|poll| !poll.blocked);
    state.watched = std::mem::take(&mut state.pushed) || runs;
    let next = if state.watched { NextCheck::Soon } else { NextCheck::OnPush };
    drop(state);
    queue.begin(added);
    for task in blocked {
        blocked_threads().increment(1.0);
        (queue.on_blocked)(task.handler());
        task.report_running();
    }
    for task in overdue {
        task.report_running();
    }
    next
}

fn load(state: &State, now: Duration) -> Load {
    let age = |since: Duration| now.saturating_sub(since);
    let polls = state.polls.iter().flatten().filter(|poll| !poll.blocked);
    Load {
        working: state.working(),
        slow: polls.filter(|poll| age(poll.since) >= LONG_WAIT).count(),
        oldest_wait: state.ready.front().map_or(Duration::ZERO, |ready| age(ready.since)),
        overdue: state.ready.iter().take_while(|ready| age(ready.since) >= BLOCKED_AFTER).count(),
    }
}

/// How many threads the waiting attempts need in addition.
///
/// Up to the number of cores, a thread helps as soon as an attempt waits. Beyond that, threads help only if handlers block.
/// If every thread is in a long poll, each overdue attempt gets its own. Otherwise the queue moves, so one thread per check
/// is enough, and a long queue of quick attempts does not start hundreds.
fn threads_to_add(load: Load, cores: usize) -> usize {
    if load.oldest_wait < LONG_WAIT {
        return 0;
    }
    let below_cores = usize::from(load.working < cores);
    let moves = load.slow < load.working;
    let for_overdue = if moves { load.overdue.min(1) } else { load.overdue };
    for_overdue.max(below_cores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_added_for_attempts_that_wait() {
        let wait = Duration::from_millis;
        // Working, slow ones among them, the oldest wait, overdue attempts; threads to add with two cores.
        for (working, slow, oldest_wait, overdue, added) in [
            (0, 0, wait(0), 0, 0),
            (1, 1, wait(0), 0, 0),
            (1, 0, wait(4), 0, 0),
            // Fewer threads than cores.
            (1, 0, wait(5), 0, 1),
            (1, 1, wait(5), 0, 1),
            (0, 0, wait(5), 0, 1),
            // As many threads as cores: only overdue attempts count.
            (2, 2, wait(19), 0, 0),
            (2, 2, wait(20), 9, 9),
            (0, 0, wait(20), 199, 199),
            // The queue moves.
            (2, 1, wait(20), 9, 1),
            (2, 0, wait(90), 10_000, 1),
            (30, 29, wait(21), 9, 1),
        ] {
            let load = Load { working, slow, oldest_wait, overdue };
            assert_eq!(threads_to_add(load, 2), added, "{load:?}");
        }
    }
}
