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

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::handler::{CallbackUrls, HandlerError, Notes};
use crate::job_log::JobLog;
use crate::stage::{LEASE_MARGIN, StageRuntime, claim_together};
use kommo::ClientFactory;
use model::clock::Clock;
use model::{HandlerLoad, HandlerName, HandlerPolicy, JobId, RunningJob, StateName};
use store::{AwaitingClaim, Slot, Store, StoreError};

use decide::AttemptOutcome;
use permits::Permits;

pub use registry::Registry;
pub use threads::HandlerThreads;

/// How long a stop waits for jobs to be handed back, which takes one commit.
const HAND_BACK_TIMEOUT: Duration = Duration::from_secs(5);
/// Overdue jobs in one claim; each gets its fallback.
const MAX_OVERDUE_PER_CLAIM: usize = 256;

/// The worker pool. Cheap to clone; clones are the same pool.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

/// What handlers use.
pub struct HandlerTools {
    /// Where handlers run.
    pub threads: HandlerThreads,
    /// Their clients for calls to Kommo.
    pub clients: Arc<ClientFactory>,
    /// The URLs at which they may answer later.
    pub callbacks: Arc<CallbackUrls>,
}

/// What became of an error that a handler reported by a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalledBack {
    /// The wait is over; the job is in this state.
    Ended(StateName),
    /// The attempt still runs, so the job may await a callback soon. Nothing changed.
    NotYet,
    /// The job, in this state, awaits no callback, or not of this attempt. Nothing changed.
    NotAwaiting(StateName),
}

struct Inner {
    store: Store,
    registry: Registry,
    threads: HandlerThreads,
    clients: Arc<ClientFactory>,
    job_log: JobLog,
    attempts: log::AttemptCounters,
    clock: Clock,
    random: fn() -> f64,
    callbacks: Arc<CallbackUrls>,
    notes: Notes,
    permits: Mutex<Permits>,
    /// The lane of the last claim.
    last_claimed: Mutex<Arc<str>>,
    runtime: StageRuntime,
}

impl Pool {
    /// Creates a pool with `concurrency` permits and registers it with the store, which hands jobs over from then on.
    /// `random` is uniformly distributed between 0 and 1.
    pub fn new(
        store: Store,
        registry: Registry,
        tools: HandlerTools,
        concurrency: usize,
        clock: Clock,
        random: fn() -> f64,
    ) -> Self {
        let HandlerTools { threads, clients, callbacks } = tools;
        let permits = Mutex::new(Permits::new(concurrency, &registry));
        let notes = {
            let store = store.clone();
            Notes::new(move |job, text| store.callbacks().note_soon(job, text))
        };
        let runtime = StageRuntime::new(clock.clone());
        let pool = Self(Arc::new(Inner {
            store,
            registry,
            threads,
            clients,
            job_log: JobLog::new(clock.clone()),
            attempts: log::attempt_counters(),
            clock,
            random,
            callbacks,
            notes,
            permits,
            last_claimed: Mutex::new(Arc::from("")),
            runtime,
        }));
        let taker = Arc::downgrade(&pool.0);
        pool.0.store.work().hand_over_to(Box::new(move |name| {
            let pool = Self(taker.upgrade()?);
            let permit = pool.permits(name, pool.admitted(name).ok()?.min(1)).pop()?;
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
            let overdue = store.jobs().claim_overdue(MAX_OVERDUE_PER_CLAIM, LEASE_MARGIN).await?;
            for job in overdue.awaiting {
                self.spawn_finish(job, AttemptOutcome::NotCalledBack);
            }
            for job in overdue.queued {
                let known = self.0.registry.get(job.handler.as_str()).is_some();
                let outcome = if known { AttemptOutcome::Overdue } else { AttemptOutcome::NoHandler };
                self.spawn_finish(job, outcome);
            }
        }
        // Jobs whose name has no handler wait until they are overdue and get their fallback.
        let due = self.rotated(store.work().due(now));
        let due = due.into_iter().filter(|name| self.0.registry.get(name).is_some());
        let (mut claims, mut held) = (Vec::new(), None);
        for name in due {
            match self.admitted(&name) {
                Ok(most) => claims.push(self.claim(name, most)),
                Err(wait) => held = held.into_iter().chain([wait]).min(),
            }
        }
        claim_together(claims).await?;
        let now = self.0.clock.steady();
        let next = store.work().next_due(now).into_iter().chain(store.work().deadline()).min();
        Ok(next.map(|next| next.since(now)).into_iter().chain(held).min())
    }

    fn spawn_finish(&self, job: RunningJob, outcome: AttemptOutcome) {
        let (pool, started) = (self.clone(), self.0.runtime.begin());
        self.0.runtime.spawn(async move {
            let _state = pool.finish(job, outcome, started).await;
        });
    }

    /// How many attempts of the handler `name` may begin now, apart from its permits; or the time until one may.
    fn admitted(&self, name: &str) -> Result<usize, Duration> {
        self.0.registry.get(name).map_or(Ok(usize::MAX), |known| permits::admitted(&*known.handler))
    }

    async fn claim(&self, name: Arc<str>, most: usize) -> Result<(), StoreError> {
        let mut permits = self.permits(&name, most);
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

    /// Ends a job that awaits a callback: its handler reports an error, perhaps only if `attempt` is its last attempt. The
    /// job is retried, or gets its fallback, as after an attempt.
    ///
    /// # Errors
    /// There is no such job, or the store cannot be written.
    pub async fn called_back(
        &self,
        id: JobId,
        attempt: Option<u32>,
        error: HandlerError,
    ) -> Result<CalledBack, StoreError> {
        let claimed = self.0.store.callbacks().claim_awaiting(id, attempt, LEASE_MARGIN).await?;
        Ok(match claimed {
            AwaitingClaim::NotYet => CalledBack::NotYet,
            AwaitingClaim::NotAwaiting(state) => CalledBack::NotAwaiting(state),
            AwaitingClaim::Claimed(job) => {
                let outcome = AttemptOutcome::CalledBack(error);
                CalledBack::Ended(self.clone().finish(*job, outcome, self.0.runtime.begin()).await)
            }
        })
    }

    /// What the handler `name` does at the moment; `None` if there is no such handler.
    pub fn load(&self, name: &str) -> Option<HandlerLoad> {
        let handler = &self.0.registry.get(name)?.handler;
        let unreachable_until = handler.unreachable_for().map(|left| self.0.clock.now() + left);
        Some(HandlerLoad { unreachable_until, ..self.permits_of(name) })
    }

    /// The policies of all handlers.
    pub fn policies(&self) -> impl Iterator<Item = (&HandlerName, &HandlerPolicy)> {
        self.0.registry.iter()
    }

    /// How many jobs may await a callback of the handler `name`; `None` if any number may.
    pub fn max_awaiting(&self, name: &str) -> Option<usize> {
        self.0.registry.get(name)?.handler.max_awaiting()
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
