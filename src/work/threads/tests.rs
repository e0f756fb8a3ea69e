//! Tests of the handler threads. A test steps the watcher and its clock, unless it is about the watcher's thread.

mod blocked;
mod work;

use std::sync::{Condvar, Mutex};

use tokio::sync::{mpsc, oneshot};

use super::watch::{NextCheck, check};
use super::*;
use model::Timestamp;
use model::clock::ManualClock;

/// Threads whose watcher a test steps.
struct Stepped {
    threads: HandlerThreads,
    clock: ManualClock,
    /// The handlers that were found to block.
    blocking: Arc<Mutex<Vec<String>>>,
}

impl Stepped {
    /// At most `threads` threads on a machine with two cores.
    fn new(threads: usize) -> Self {
        Self::with(Limits { threads, cores: 2, keep_idle: KEEP_IDLE_THREAD }, MAX_SIDE_THREADS)
    }

    fn with(limits: Limits, side_threads: usize) -> Self {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let blocking = Arc::new(Mutex::new(Vec::new()));
        let named = blocking.clone();
        let on_blocked = move |name: &HandlerName| named.lock().unwrap().push(name.to_string());
        let threads =
            HandlerThreads::without_watcher(limits, side_threads, clock.clock(), on_blocked).unwrap();
        Self { threads, clock, blocking }
    }

    /// Starts work of the handler `name`. Returns the first news about it.
    fn start_as<T: Send + 'static>(
        &self,
        name: &str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> oneshot::Receiver<Progress<T>> {
        start_on(&self.threads, name, work)
    }

    fn start<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> oneshot::Receiver<Progress<T>> {
        self.start_as("any", work)
    }

    /// Lets `millis` pass and checks once.
    fn after(&self, millis: u64) -> NextCheck {
        self.clock.advance(Duration::from_millis(millis));
        check(&self.threads.queue)
    }

    /// Waits until no thread polls. An attempt is reported shortly before its poll is over.
    async fn no_poll(&self) {
        while self.threads.queue.lock().polls.iter().flatten().next().is_some() {
            tokio::task::yield_now().await;
        }
    }

    /// The number of threads.
    fn count(&self) -> usize {
        self.threads.queue.lock().threads()
    }

    /// The number of blocked threads.
    fn blocked(&self) -> usize {
        self.threads.queue.lock().blocked
    }
}

fn start_on<T: Send + 'static>(
    threads: &HandlerThreads,
    name: &str,
    work: impl Future<Output = T> + Send + 'static,
) -> oneshot::Receiver<Progress<T>> {
    let (sender, news) = oneshot::channel();
    threads.spawn(name.parse().unwrap(), work, |progress| drop(sender.send(progress)));
    news
}

async fn outcome<T: Send + 'static>(news: oneshot::Receiver<Progress<T>>) -> TaskOutcome<T> {
    match news.await.unwrap() {
        Progress::Ended(outcome) => outcome,
        Progress::Running(running) => running.await,
    }
}

/// Blocks threads until it opens.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn block(&self) {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
    }
}

/// Work that reports its start and then blocks its thread until the gate opens.
fn blocks(gate: &Gate, entered: &mpsc::UnboundedSender<()>) -> impl Future<Output = ()> + Send + 'static {
    let (gate, entered) = (gate.clone(), entered.clone());
    async move {
        entered.send(()).unwrap();
        gate.block();
    }
}
