//! A bridge on a thread and a runtime of its own, as a process has them: a test that blocks its thread does not stop it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use super::TEST_TIMEOUT;
use crate::bridge::{Bridge, Listeners};
use crate::shutdown::Shutdown;
use model::StateName;
use model::clock::Clock;
use model::filter::Condition;
use store::{JobFilter, Store, StoreError};

/// The most unfinished jobs of one state that are listed.
const MAX_LISTED: u32 = 100;

/// A bridge that was started.
pub(super) struct Running {
    pub(super) public: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) shutdown: Shutdown,
    /// The longest wait for the end; then the stop is forced.
    limit: Duration,
    thread: Option<BridgeThread>,
}

/// The thread of a bridge.
struct BridgeThread {
    handle: JoinHandle<Ended>,
    /// Disconnected when the thread ends. The standard library cannot join a thread with a time limit.
    end: Mutex<Receiver<Infallible>>,
}

/// How a bridge ended.
pub(super) struct Ended {
    error: Option<String>,
    unfinished: Vec<String>,
}

/// Forces a bridge to stop whose start the test no longer waits for.
struct StopUnlessStarted<'a>(Option<&'a Shutdown>);

impl Drop for StopUnlessStarted<'_> {
    fn drop(&mut self) {
        if let Some(shutdown) = self.0 {
            shutdown.force();
        }
    }
}

impl Running {
    /// Opens the ports and runs the bridge. It may not be ready yet, or fail to become ready.
    pub(super) async fn start(bridge: Bridge, limit: Duration) -> Self {
        let shutdown = Shutdown::manual();
        let mut guard = StopUnlessStarted(Some(&shutdown));
        let (send, opened) = oneshot::channel();
        let (ends, end) = channel();
        let handle = std::thread::spawn({
            let shutdown = shutdown.clone();
            move || {
                let _disconnected_at_the_end = ends;
                let runtime =
                    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
                runtime.expect("a runtime for the bridge").block_on(run(bridge, shutdown, send))
            }
        });
        let (public, admin) = match opened.await {
            Ok(addresses) => addresses,
            Err(_) => match handle.join() {
                Ok(ended) => panic!("the bridge cannot start: {}", ended.reason()),
                Err(panicked) => std::panic::resume_unwind(panicked),
            },
        };
        guard.0 = None;
        drop(guard);
        let thread = Some(BridgeThread { handle, end: Mutex::new(end) });
        Self { public, admin, shutdown, limit, thread }
    }

    /// Whether the bridge runs no longer.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(|thread| thread.handle.is_finished())
    }

    /// Whether the end was taken already.
    pub(super) const fn has_been_joined(&self) -> bool {
        self.thread.is_none()
    }

    /// Takes the bridge out: what is left has been joined.
    pub(super) fn take(&mut self) -> Self {
        Self { shutdown: self.shutdown.clone(), thread: self.thread.take(), ..*self }
    }

    /// Waits, and blocks this thread, until the bridge has ended. Forces the stop if the bridge does not end in time. Returns
    /// `None` if the end was returned before, or if the bridge panicked.
    pub(super) fn join(&mut self) -> Option<Ended> {
        let BridgeThread { handle, end } = self.thread.take()?;
        let end = end.into_inner().unwrap_or_else(PoisonError::into_inner);
        let has_ended = |limit| end.recv_timeout(limit) == Err(RecvTimeoutError::Disconnected);
        if has_ended(self.limit) {
            return handle.join().ok();
        }
        let limit = self.limit;
        self.shutdown.force();
        if !has_ended(TEST_TIMEOUT) {
            let error = format!(
                "it has not stopped within {limit:?}, nor within {TEST_TIMEOUT:?} after it was forced to"
            );
            return Some(Ended { error: Some(error), unfinished: Vec::new() });
        }
        let late = format!(
            "it has not stopped within {limit:?}, and the test has forced it to. With a manual clock, `workers.grace` ends only \
             if the test advances the clock"
        );
        handle.join().ok().map(|ended| Ended { error: Some(ended.error.unwrap_or(late)), ..ended })
    }

    /// Waits like [`join`](Self::join). Returns why the bridge ended although no one asked it to.
    pub(super) fn join_error(&mut self) -> String {
        self.join().map_or_else(|| "it panicked".to_owned(), Ended::reason)
    }
}

impl Ended {
    /// Why it ended although no one asked it to.
    fn reason(self) -> String {
        self.error.unwrap_or_else(|| "it stopped without an error".to_owned())
    }

    /// What went wrong; empty if nothing did.
    fn problems(&self) -> String {
        let error = self.error.iter().map(|error| format!("the bridge failed: {error}"));
        let jobs = (!self.unfinished.is_empty()).then(|| self.unfinished.join("\n  "));
        let jobs = jobs.map(|jobs| format!("the bridge has left unfinished jobs:\n  {jobs}"));
        error.chain(jobs).collect::<Vec<_>>().join("\n")
    }

    /// Asserts that the bridge ended well and, unless the test allows them, without unfinished jobs.
    #[track_caller]
    pub(super) fn check(&self, may_leave_jobs: bool) {
        assert!(self.error.is_none(), "{}", self.problems());
        assert!(
            may_leave_jobs || self.unfinished.is_empty(),
            "{}\nWait for them with `settled`, or accept them with `allow_unfinished_jobs`.",
            self.problems()
        );
    }
}

async fn run(bridge: Bridge, shutdown: Shutdown, opened: oneshot::Sender<(SocketAddr, SocketAddr)>) -> Ended {
    let store = bridge.config().store.url.clone();
    let failed =
        |error: &dyn std::fmt::Display| Ended { error: Some(error.to_string()), unfinished: Vec::new() };
    let listeners = match Listeners::bind(bridge.config()).await {
        Ok(listeners) => listeners,
        Err(error) => return failed(&error),
    };
    let address =
        |listener: &tokio::net::TcpListener| listener.local_addr().expect("a listener has an address");
    let (public, admin) = (address(&listeners.public), address(&listeners.admin));
    // A test that has failed no longer receives it.
    let _unheard = opened.send((public, admin));
    let bridge = bridge.callbacks_at(public);
    if let Err(error) = bridge.run(listeners, shutdown).await {
        return failed(&error);
    }
    match unfinished(&store).await {
        Ok(unfinished) => Ended { error: None, unfinished },
        Err(error) => failed(&error),
    }
}

/// The unfinished jobs of a store, as text.
async fn unfinished(url: &str) -> Result<Vec<String>, StoreError> {
    let Some(store) = Store::observe(url, Clock::system()).await? else { return Ok(Vec::new()) };
    let mut lines = Vec::new();
    for state in StateName::ALL {
        let filter =
            JobFilter { filter: Condition::State(state).into(), limit: MAX_LISTED, ..JobFilter::default() };
        let jobs = store.jobs().list(&filter).await?.jobs;
        for job in jobs.iter().filter(|job| job.finished_at.is_none()) {
            let error =
                job.last_error.as_ref().map(|error| format!(", last error: {error}")).unwrap_or_default();
            let (id, handler, attempts) = (job.id, &job.handler, job.handler_attempts);
            lines.push(format!("job {id} is {state}: handler {handler}, attempts {attempts}{error}"));
        }
    }
    store.close().await;
    Ok(lines)
}

#[cfg(test)]
mod tests;
