//! The worker pool: takes queued jobs, runs their handlers, and reports the results to the store.
//!
//! A job reaches the pool in one of two ways. If a permit is free, the commit that stored the job hands it over from
//! memory. Otherwise the pool claims it from the store after a wake-up. All handlers share the permits fairly
//! ([`permits`]), so slow handlers of one name do not starve another.
//!
//! The pool guarantees that every claimed job leaves `running`: with a completion, with a time for its next attempt,
//! with the fallback, or, if the bridge stops, back to the queue.

mod attempt;
mod decide;
mod log;
mod permits;
mod registry;
mod threads;
mod undecodable;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::job_log::JobLog;
use crate::stage::{LEASE_MARGIN, StageRuntime, claim_together};
use kommo::ClientFactory;
use model::FairSemaphore;
use model::clock::Clock;
use store::{Slot, Store, StoreError};

use decide::AttemptOutcome;

pub use registry::Registry;
#[cfg(any(test, feature = "testing"))]
pub use registry::{ReceivedAt, decode_and_handle, request_with};
pub use threads::HandlerThreads;

/// How long a stop waits for jobs to be handed back, which takes one commit.
const HAND_BACK_TIMEOUT: Duration = Duration::from_secs(5);
/// Overdue jobs in one claim; each gets its fallback.
const MAX_OVERDUE_PER_CLAIM: usize = 256;

/// The worker pool. Cheap to clone; clones are the same pool.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    store: Store,
    registry: Registry,
    threads: HandlerThreads,
    clients: Arc<ClientFactory>,
    job_log: JobLog,
    clock: Clock,
    random: fn() -> f64,
    semaphore: Mutex<FairSemaphore>,
    /// The lane of the last claim.
    last_claimed: Mutex<Arc<str>>,
    runtime: StageRuntime,
}

impl Pool {
    /// Creates a pool with `concurrency` permits and registers it with the store, which hands jobs over from then on.
    /// Handlers run on `threads` and call their accounts through `clients`. `random` is uniformly distributed between 0
    /// and 1.
    pub fn new(
        store: Store,
        registry: Registry,
        threads: HandlerThreads,
        clients: Arc<ClientFactory>,
        concurrency: usize,
        clock: Clock,
        random: fn() -> f64,
    ) -> Self {
        let names = registry.iter().map(|(name, _)| Arc::from(name.as_str()));
        let semaphore = Mutex::new(FairSemaphore::among_known(concurrency, names));
        let runtime = StageRuntime::new(clock.clone());
        let pool = Self(Arc::new(Inner {
            store,
            registry,
            threads,
            clients,
            job_log: JobLog::new(clock.clone()),
            clock,
            random,
            semaphore,
            last_claimed: Mutex::new(Arc::from("")),
            runtime,
        }));
        let taker = Arc::downgrade(&pool.0);
        pool.0.store.work().hand_over_to(Box::new(move |name| {
            let pool = Self(taker.upgrade()?);
            let permit = pool.permits(name, 1).pop()?;
            Some(Slot { lease: pool.lease(name), take: Box::new(move |job| pool.start(job, permit)) })
        }));
        pool
    }

    /// Runs until `stop`. Then lets handlers finish until [`interrupt`](Self::interrupt), and hands the rest back.
    pub async fn run(&self, stop: CancellationToken) {
        self.0.runtime.run_loop(self.0.store.work(), &stop, || self.step()).await;
        self.drain().await;
    }

    /// Claims and starts what is due, without waiting for a handler. Returns the time until more is due; `None` if that
    /// is unknown.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn step(&self) -> Result<Option<Duration>, StoreError> {
        let (store, now) = (&self.0.store, self.0.clock.steady());
        if store.work().deadline().is_some_and(|deadline| deadline <= now) {
            for job in store.jobs().claim_overdue(MAX_OVERDUE_PER_CLAIM, LEASE_MARGIN).await? {
                let known = self.0.registry.get(job.handler.as_str()).is_some();
                let outcome = if known { AttemptOutcome::Overdue } else { AttemptOutcome::NoHandler };
                self.0.runtime.spawn(self.clone().finish(job, outcome, self.0.runtime.begin()));
            }
        }
        // Jobs whose name has no handler wait until they are overdue and get their fallback.
        let due = self.rotated(store.work().due(now));
        let due = due.into_iter().filter(|name| self.0.registry.get(name).is_some());
        claim_together(due.map(|name| self.claim(name))).await?;
        let now = self.0.clock.steady();
        let next = store.work().next_due(now).into_iter().chain(store.work().deadline()).min();
        Ok(next.map(|next| next.since(now)))
    }

    async fn claim(&self, name: Arc<str>) -> Result<(), StoreError> {
        let mut permits = self.permits(&name, usize::MAX);
        if permits.is_empty() {
            return Ok(());
        }
        *self.0.last_claimed.lock().unwrap_or_else(PoisonError::into_inner) = name.clone();
        let lease = self.lease(&name);
        for job in self.0.store.jobs().claim_work(name, permits.len(), lease).await? {
            if let Some(permit) = permits.pop() {
                self.start(job, permit);
            }
        }
        Ok(())
    }

    /// Rotates the lanes so that the one after the last claim comes first. Without this, the same lane would always come
    /// first when permits are scarce or the store fails for one lane.
    fn rotated(&self, mut lanes: Vec<Arc<str>>) -> Vec<Arc<str>> {
        lanes.sort_unstable();
        let last = self.0.last_claimed.lock().unwrap_or_else(PoisonError::into_inner);
        let next = lanes.partition_point(|lane| *lane <= *last);
        lanes.rotate_left(next);
        lanes
    }

    /// Waits until no attempt runs.
    #[cfg(test)]
    pub async fn idle(&self) {
        self.0.runtime.idle().await;
    }

    async fn drain(&self) {
        let running = self.0.runtime.drain();
        if running > 0 {
            tracing::info!(jobs = running, "waiting for running handlers");
        }
        tokio::select! {
            () = self.0.runtime.ended() => {}
            () = self.0.runtime.handing_back().cancelled() => {}
        }
        self.0.runtime.hand_back();
        // Without a disk the pool cannot write the hand-back. The next start recovers the jobs anyway.
        if !self.0.runtime.ended_within(HAND_BACK_TIMEOUT).await {
            let jobs = self.0.runtime.running();
            tracing::warn!(jobs, "could not hand back jobs; the next start recovers them");
        }
    }

    /// Ends running attempts, claims nothing more, and hands the jobs back to the queue. Returns how many attempts were
    /// running.
    pub fn interrupt(&self) -> usize {
        let running = self.0.runtime.running();
        self.0.runtime.hand_back();
        running
    }

    fn lease(&self, name: &str) -> Duration {
        let attempt = self.0.registry.get(name).map_or(Duration::ZERO, |known| known.policy.attempt_timeout);
        attempt + LEASE_MARGIN
    }
}

#[cfg(test)]
mod tests;
