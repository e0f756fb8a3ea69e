//! The worker pool: takes queued jobs, runs their handlers, and writes down what comes of it.
//!
//! A job gets here on one of two ways: handed over from memory by the commit that stored it, when a
//! place is free; or claimed from the store, when a wake-up says that something is due. Places are
//! shared between handlers ([`FairSemaphore`]), so that slow ones of one name do not starve another.
//!
//! What it promises: a claimed job always leaves `running`: with a completion, with a time for the next
//! attempt, with the fallback, or, when the bridge stops, back in the queue.

mod attempt;
mod decide;
mod registry;
mod threads;
mod undecodable;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::job_log::{AttemptLine, JobLog};
use kommo::Clients;
use model::clock::Clock;
use model::{
    AfterHandler, Attempt, AttemptResult, FairSemaphore, HandlerName, HandlerPolicy, HandlerReport, Outcome,
    RunningJob, Stage, Timestamp, whole_millis,
};
use store::{Slot, Store, StoreError, Written};

pub use registry::Registry;
pub use threads::HandlerThreads;

use decide::{Circumstances, Ended, Verdict};

/// What a lease lasts beyond the attempt: time to write the report.
const LEASE_MARGIN: Duration = Duration::from_secs(60);
/// Handing back takes one commit; waiting longer is in vain.
const HAND_BACK: Duration = Duration::from_secs(5);
/// Results that may wait to be written: a few transactions full.
const WRITING: usize = 1_024;
/// Overdue jobs that get their fallback in one go.
const OVERDUE: usize = 256;

/// The worker pool. Cheap to clone; clones are the same pool.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    store: Store,
    registry: Registry,
    threads: HandlerThreads,
    clients: Arc<Clients>,
    job_log: JobLog,
    clock: Clock,
    random: fn() -> f64,
    shares: Mutex<FairSemaphore>,
    /// The lane that was claimed for last.
    last: Mutex<Arc<str>>,
    tasks: TaskTracker,
    /// Results that may wait to be written without holding a place.
    writing: Semaphore,
    /// Nothing new is taken.
    draining: CancellationToken,
    /// What runs is interrupted.
    interrupt: CancellationToken,
}

impl Pool {
    /// A pool of `concurrency` places whose handlers run on `threads` and ask their accounts by `clients`; from now on
    /// the store hands jobs over to it. `random` is uniform in 0 to 1.
    pub fn new(
        store: Store,
        registry: Registry,
        threads: HandlerThreads,
        clients: Arc<Clients>,
        concurrency: usize,
        clock: Clock,
        random: fn() -> f64,
    ) -> Self {
        let names = registry.iter().map(|(name, _)| Arc::from(name.as_str()));
        let shares = Mutex::new(FairSemaphore::among_known(concurrency, names));
        let pool = Self(Arc::new(Inner {
            store,
            registry,
            threads,
            clients,
            job_log: JobLog::new(clock.clone()),
            clock,
            random,
            shares,
            last: Mutex::new(Arc::from("")),
            tasks: TaskTracker::new(),
            writing: Semaphore::new(WRITING),
            draining: CancellationToken::new(),
            interrupt: CancellationToken::new(),
        }));
        let taker = Arc::downgrade(&pool.0);
        pool.0.store.work().hand_over_to(Box::new(move |name| {
            let pool = Self(taker.upgrade()?);
            let place = pool.places(name, 1).pop()?;
            Some(Slot { lease: pool.lease(name), take: Box::new(move |job| pool.start(job, place)) })
        }));
        pool
    }

    /// Works until `stop`, then lets what runs finish until [`interrupt`](Self::interrupt), and hands back the rest.
    pub async fn run(&self, stop: CancellationToken) {
        self.0.store.work().attend(&self.0.clock, &stop, || self.step()).await;
        self.drain().await;
    }

    /// Takes what is due and starts it; waits for no handler. Says how long nothing more is due, if it knows.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn step(&self) -> Result<Option<Duration>, StoreError> {
        let (store, now) = (&self.0.store, self.0.clock.steady());
        if store.work().deadline().is_some_and(|deadline| deadline <= now) {
            for job in store.claim_overdue(OVERDUE, LEASE_MARGIN).await? {
                let known = self.0.registry.get(job.handler.as_str()).is_some();
                let ended = if known { Ended::Overdue } else { Ended::NoHandler };
                self.0.tasks.spawn(self.clone().finish(job, ended, self.begin()));
            }
        }
        // A name without a handler is left until its jobs are overdue and get their fallback.
        let due = self.in_turn(store.work().due(now));
        let due = due.into_iter().filter(|name| self.0.registry.get(name).is_some());
        // Together, so that many names share one transaction; and each to its end, because a claim that is
        // not waited for is a claim whose jobs nobody has.
        for claimed in futures_util::future::join_all(due.map(|name| self.claim(name))).await {
            claimed?;
        }
        let now = self.0.clock.steady();
        let next = store.work().next_due(now).into_iter().chain(store.work().deadline()).min();
        Ok(next.map(|next| next.since(now)))
    }

    async fn claim(&self, name: Arc<str>) -> Result<(), StoreError> {
        let mut places = self.places(&name, usize::MAX);
        if places.is_empty() {
            return Ok(());
        }
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = name.clone();
        let lease = self.lease(&name);
        for job in self.0.store.claim_work(name, places.len(), lease).await? {
            if let Some(place) = places.pop() {
                self.start(job, place);
            }
        }
        Ok(())
    }

    /// The lanes, the one after the last that was claimed for first: where places are few, or the store fails
    /// for one of them, the first would otherwise be first for ever.
    fn in_turn(&self, mut lanes: Vec<Arc<str>>) -> Vec<Arc<str>> {
        lanes.sort_unstable();
        let last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        let next = lanes.partition_point(|lane| *lane <= *last);
        lanes.rotate_left(next);
        lanes
    }

    /// Waits until nothing runs any more.
    #[cfg(test)]
    pub async fn idle(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.0.tasks.reopen();
    }

    async fn drain(&self) {
        self.0.draining.cancel();
        self.0.tasks.close();
        let running = self.0.tasks.len();
        if running > 0 {
            tracing::info!(jobs = running, "waiting for running handlers");
        }
        tokio::select! {
            () = self.0.tasks.wait() => {}
            () = self.0.interrupt.cancelled() => {}
        }
        self.0.interrupt.cancel();
        tokio::select! {
            () = self.0.tasks.wait() => {}
            // Without a disk a hand-back cannot be written; the next start finds the jobs all the same.
            () = self.0.clock.sleep(HAND_BACK) => {
                tracing::warn!(jobs = self.0.tasks.len(), "jobs could not be handed back; the next start does it");
            }
        }
    }

    /// Ends what runs, takes nothing more, and hands the jobs back to the queue. Says how many handlers ran.
    pub fn interrupt(&self) -> usize {
        let running = self.0.tasks.len();
        // First, or a job that is handed back is taken again.
        self.0.draining.cancel();
        self.0.interrupt.cancel();
        running
    }

    fn start(&self, job: RunningJob, place: Place) {
        let pool = self.clone();
        self.0.tasks.spawn(async move {
            let begun = pool.begin();
            let ended = match pool.0.registry.get(job.handler.as_str()) {
                _ if pool.0.draining.is_cancelled() => Ended::Interrupted,
                Some(registered) => {
                    let kommo =
                        pool.0.clients.of_account(job.request.return_url.origin(), job.request.account_id);
                    let (threads, clock) = (&pool.0.threads, &pool.0.clock);
                    attempt::run(registered, &job, kommo, threads, clock, &pool.0.interrupt).await
                }
                None => Ended::NoHandler,
            };
            // The place is for running. While the store is slow, though, what waits to be written has to
            // stay bounded: then the place is kept until it is.
            let mut place = Some(place);
            let writing = pool.0.writing.try_acquire().ok();
            if writing.is_some() {
                place.take();
            }
            pool.clone().finish(job, ended, begun).await;
            drop((writing, place));
        });
    }

    fn begin(&self) -> Begun {
        Begun { at: self.0.clock.now(), elapsed: self.0.clock.elapsed() }
    }

    async fn finish(self, job: RunningJob, ended: Ended, begun: Begun) {
        let now = self.0.clock.steady();
        let duration = self.0.clock.elapsed().saturating_sub(begun.elapsed);
        let number = job.attempts + 1;
        let fallback = HandlerPolicy::default();
        let policy =
            self.0.registry.get(job.handler.as_str()).map_or(&fallback, |registered| &registered.policy);
        let jitter = (self.0.random)();
        let verdict = decide::judge(
            ended,
            Circumstances { policy, attempts: number, now, answer_by: job.answer_by, jitter },
        );
        self.log_outcome(&job, number, &verdict, duration);
        let Verdict { next, result, error, .. } = verdict;
        let fallback = match &next {
            AfterHandler::Deliver(prepared) => prepared.outcome.fallback_reason(),
            AfterHandler::Retry { .. } | AfterHandler::HandBack => None,
        };
        let why = error.clone().filter(|_| fallback.is_some()).unwrap_or_default();
        let attempt = result.map(|result| Attempt {
            stage: Stage::Handler,
            number,
            started_at: begun.at,
            duration,
            result,
            status: None,
            error: error.clone(),
        });
        let (id, name) = (job.id, job.handler.clone());
        match self.0.store.handled(HandlerReport { job, attempt, next, error }).await {
            Ok(Written::Done) => {
                if let Some(reason) = fallback {
                    let line =
                        AttemptLine { job: id, handler: &name, attempt: number, duration, error: &why };
                    self.0.job_log.fell_back(reason, line);
                }
            }
            Ok(Written::Stale) => {
                tracing::warn!(job.id = %id, handler = %name, "the job was cancelled or taken over meanwhile; this result is dropped");
            }
            Err(error) => {
                tracing::error!(job.id = %id, handler = %name, %error, "the result of the handler could not be stored; the job is run again");
            }
        }
    }

    /// Logs and counts what came of one attempt. A fallback is logged once it is written.
    fn log_outcome(&self, job: &RunningJob, attempt: u32, verdict: &Verdict, duration: Duration) {
        let (id, handler): (_, &HandlerName) = (job.id, &job.handler);
        let outcome = match (&verdict.next, verdict.result) {
            (AfterHandler::HandBack, _) => "handed_back",
            (_, Some(result)) => result.as_str(),
            (_, None) => "not_run",
        };
        metrics::counter!("bridge_handler_attempts_total", "handler" => handler.to_string(), "outcome" => outcome)
            .increment(1);
        match (&verdict.next, verdict.result) {
            (AfterHandler::Deliver(prepared), _) if prepared.outcome == Outcome::Handler => {
                let duration_ms = whole_millis(duration);
                tracing::debug!(job.id = %id, %handler, attempt, duration_ms, "handled");
            }
            (AfterHandler::Retry { due_at }, Some(result)) => {
                let error = verdict.error.as_deref().unwrap_or_default();
                let line = AttemptLine { job: id, handler, attempt, duration, error };
                self.0.job_log.retries(result, *due_at, line);
            }
            (AfterHandler::HandBack, _) => {
                tracing::info!(job.id = %id, %handler, attempt, "handed back to the queue");
            }
            (AfterHandler::Deliver(_) | AfterHandler::Retry { .. }, _) => {}
        }
        if !verdict.empty_values.is_empty() && verdict.result == Some(AttemptResult::Ok) {
            let keys = verdict.empty_values.join(", ");
            tracing::warn!(job.id = %id, %handler, keys, "empty values: the customer would see the placeholder {{{{json.KEY}}}} itself");
        }
    }

    fn places(&self, name: &str, wanted: usize) -> Vec<Place> {
        if self.0.draining.is_cancelled() {
            return Vec::new();
        }
        let got = self.shares().try_acquire(name, wanted);
        (0..got).map(|_| Place { pool: self.clone(), name: name.into() }).collect()
    }

    fn lease(&self, name: &str) -> Duration {
        let attempt = self.0.registry.get(name).map_or(Duration::ZERO, |known| known.policy.attempt_timeout);
        attempt + LEASE_MARGIN
    }

    fn shares(&self) -> std::sync::MutexGuard<'_, FairSemaphore> {
        self.0.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When an attempt began: for people, and for measuring.
#[derive(Clone, Copy)]
struct Begun {
    at: Timestamp,
    elapsed: Duration,
}

/// A place in the pool; dropping it gives it back and wakes the pool.
struct Place {
    pool: Pool,
    name: Arc<str>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pool.shares().release(&self.name);
        self.pool.0.store.work().wake_if_waiting();
    }
}

#[cfg(test)]
mod tests;
