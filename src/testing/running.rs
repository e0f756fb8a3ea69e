//! A bridge on a thread and a runtime of its own, as a process has them: a test that blocks its thread does not stop it.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::bridge::{Bridge, Listeners};
use crate::shutdown::Shutdown;
use model::StateName;
use model::clock::Clock;
use store::{JobFilter, Store, StoreError};

/// The most unfinished jobs of one state that are listed.
const MAX_LISTED: u32 = 100;

/// A bridge that was started.
pub(super) struct Running {
    pub(super) public: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) shutdown: Shutdown,
    thread: Option<JoinHandle<Ended>>,
}

/// How a bridge ended.
pub(super) struct Ended {
    error: Option<String>,
    unfinished: Vec<String>,
}

impl Running {
    /// Opens the ports and runs the bridge. It may not be ready yet, or fail to become ready.
    pub(super) async fn start(bridge: Bridge) -> Self {
        let shutdown = Shutdown::manual();
        let (send, opened) = oneshot::channel();
        let thread = std::thread::spawn({
            let shutdown = shutdown.clone();
            move || {
                let runtime =
                    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
                runtime.expect("a runtime for the bridge").block_on(run(bridge, shutdown, send))
            }
        });
        let (public, admin) = match opened.await {
            Ok(addresses) => addresses,
            Err(_) => match thread.join() {
                Ok(ended) => panic!("the bridge cannot start: {}", ended.reason()),
                Err(panicked) => std::panic::resume_unwind(panicked),
            },
        };
        Self { public, admin, shutdown, thread: Some(thread) }
    }

    /// Whether the bridge runs no longer.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Whether the end was taken already.
    pub(super) const fn has_been_joined(&self) -> bool {
        self.thread.is_none()
    }

    /// Takes the bridge out: what is left has been joined.
    pub(super) fn take(&mut self) -> Self {
        Self { shutdown: self.shutdown.clone(), thread: self.thread.take(), ..*self }
    }

    /// Waits, and blocks this thread, until the bridge has ended. Returns `None` if that was returned before, or if the bridge
    /// panicked.
    pub(super) fn join(&mut self) -> Option<Ended> {
        self.thread.take()?.join().ok()
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

    /// Asserts that the bridge ended well and, unless the test allows them, without unfinished jobs.
    #[track_caller]
    pub(super) fn check(&self, may_leave_jobs: bool) {
        if let Some(error) = &self.error {
            panic!("the bridge failed: {error}");
        }
        assert!(
            may_leave_jobs || self.unfinished.is_empty(),
            "the bridge has left unfinished jobs:\n  {}\nWait for them with `settled`, or accept them with `allow_unfinished_jobs`.",
            self.unfinished.join("\n  ")
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
    // A test that has failed no longer receives it.
    let _unheard = opened.send((address(&listeners.public), address(&listeners.admin)));
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
        let filter = JobFilter { state: Some(state), limit: MAX_LISTED, ..JobFilter::default() };
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
