//! The sender: takes completions and posts each to its `return_url`, until Kommo has it.
//!
//! A delivery gets here on one of two ways: handed over from memory by the commit that stored its
//! completion, when the gate is open; or claimed from the store, when a wake-up says that something is
//! due. Either way it passes the [gate](Gate): the pace of its account, and a place among the calls in flight.
//! Each lane (the origin of an account) is claimed for by itself, so an account that is paused or slow
//! delays nobody else; and first tries go before retries, except in every fourth claim.
//!
//! What it promises: a claimed delivery is always reported on, and never sent faster than the account
//! takes it. What is done with an answer is in [`judge`], and whom a refusal is about in [`blame`].

mod attempt;
mod blame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod judge;
mod log;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::Accounts;
use crate::clock::Clock;
use crate::health::Health;
use crate::kommo::Kommo;
use crate::model::{DeliveringJob, HandlerName, HandlerPolicy};
use crate::pace::{Gate, Pass};
use crate::store::{Slot, Store, StoreError};

/// Calls of one attempt, or turns that are waited for: each takes at most the timeout of a request.
const CALLS: u32 = 4;
/// Bearers of one attempt that are waited for: one before the call, and one after its 401.
const BEARERS: u32 = 2;
/// What a lease lasts beyond the calls: time to write the report.
const LEASE_MARGIN: Duration = Duration::from_secs(60);
/// The most deliveries of one lane in one claim, so that the next lane gets its turn.
const CLAIM: usize = 64;
/// Answers that may wait to be written: a few transactions full.
const WRITING: usize = 1_024;
/// In every so many claims of a lane, retries come first.
const RETRIES_FIRST: usize = 4;

/// What the sender is told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// One call may take this long; the client enforces it.
    pub request_timeout: Duration,
    /// All calls of one delivery may take this long.
    pub give_up_after: Duration,
}

/// What the sender works with.
pub struct Parts {
    /// Where deliveries come from.
    pub store: Store,
    /// How they are sent.
    pub kommo: Kommo,
    /// Whose token they carry.
    pub accounts: Accounts,
    /// When they may go.
    pub gate: Arc<Gate>,
    /// Fallback and goto of each handler.
    pub policies: HashMap<HandlerName, HandlerPolicy>,
    /// Where it is noted that an account waits for a person.
    pub health: Health,
    /// The time.
    pub clock: Clock,
    /// Uniform in 0 to 1.
    pub random: fn() -> f64,
}

/// The sender. Cheap to clone; clones are the same sender.
#[derive(Clone)]
pub struct Sender(Arc<Inner>);

struct Inner {
    parts: Parts,
    settings: Settings,
    steps: AtomicUsize,
    /// Claims of each lane, up to [`RETRIES_FIRST`].
    claims: Mutex<HashMap<Arc<str>, usize>>,
    tasks: TaskTracker,
    /// Answers that may wait to be written without holding a place.
    writing: Semaphore,
    /// Nothing new is taken.
    draining: CancellationToken,
}

impl Sender {
    /// A sender; from now on the store hands deliveries over to it.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        let store = parts.store.clone();
        parts.gate.on_freed(move || store.delivery().wake_if_waiting());
        let sender = Self(Arc::new(Inner {
            parts,
            settings,
            steps: AtomicUsize::new(0),
            claims: Mutex::default(),
            tasks: TaskTracker::new(),
            writing: Semaphore::new(WRITING),
            draining: CancellationToken::new(),
        }));
        let releaser = Arc::downgrade(&sender.0);
        sender.0.parts.gate.on_account_went_on(move |origin| {
            if let Some(inner) = releaser.upgrade() {
                Self(inner).release(origin.into());
            }
        });
        let taker = Arc::downgrade(&sender.0);
        sender.0.parts.store.delivery().hand_over_to(Box::new(move |origin| {
            let sender = Self(taker.upgrade()?);
            if sender.0.draining.is_cancelled() {
                return None;
            }
            let pass = sender.enter(origin, 1).pop()?;
            Some(Slot { lease: sender.lease(), take: Box::new(move |job| sender.start(job, pass)) })
        }));
        sender
    }

    /// Sends until `stop`, then what may go at once, and lets what is in flight finish within `grace`. What
    /// is not answered by then is sent again by the next start.
    pub async fn run(&self, stop: CancellationToken, grace: Duration) {
        self.0.parts.store.delivery().attend(&self.0.parts.clock, &stop, || self.step()).await;
        // The handlers that ended last: their bots need not wait for the next start.
        if let Err(error) = self.step().await {
            tracing::warn!(%error, "no deliveries could be claimed; they wait in the store");
        }
        self.drain(grace).await;
    }

    /// Claims what is due and may go, and sends it off; waits for no answer. Says how long nothing more can
    /// go unless something changes, if it knows.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn step(&self) -> Result<Option<Duration>, StoreError> {
        let (lanes, clock) = (self.0.parts.store.delivery(), &self.0.parts.clock);
        let step = self.0.steps.fetch_add(1, Ordering::Relaxed);
        let mut due = lanes.due(clock.now());
        let first = step.checked_rem(due.len()).unwrap_or(0);
        due.rotate_left(first);
        let (mut claims, mut wait) = (Vec::new(), None);
        for origin in due {
            let passes = self.enter(&origin, CLAIM);
            if passes.is_empty() {
                // Zero: there is no place, and whoever frees one wakes us.
                let moved = self.0.parts.accounts.moved_to(&origin);
                let next = self
                    .0
                    .parts
                    .gate
                    .wait(moved.as_deref().unwrap_or(&origin))
                    .filter(|next| !next.is_zero());
                wait = wait.into_iter().chain(next).min();
            } else {
                let retries_first = self.retries_first(&origin);
                claims.push(self.claim(origin, passes, retries_first));
            }
        }
        // Together, so that many lanes share one transaction; and each to its end, because a claim that is
        // not waited for is a claim whose jobs nobody has.
        let mut more = None;
        for claimed in futures_util::future::join_all(claims).await {
            // After a full claim there may be more, and places for it.
            more = more.or((claimed? == CLAIM).then_some(Duration::ZERO));
        }
        let now = clock.now();
        let next_due = lanes.next_due(now).map(|next| next.since(now));
        Ok(wait.into_iter().chain(next_due).chain(more).min())
    }

    async fn claim(
        &self,
        origin: Arc<str>,
        passes: Vec<Pass>,
        retries_first: bool,
    ) -> Result<usize, StoreError> {
        let store = &self.0.parts.store;
        let jobs = store.claim_deliveries(origin, passes.len(), retries_first, self.lease()).await?;
        let claimed = jobs.len();
        jobs.into_iter().zip(passes).for_each(|(job, pass)| self.start(job, pass));
        Ok(claimed)
    }

    /// Counted by lane: by step, a lane that is claimed for in step with the count would never get to its retries.
    fn retries_first(&self, origin: &Arc<str>) -> bool {
        let mut claims = self.0.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let claim = claims.entry(origin.clone()).or_default();
        *claim = (*claim + 1) % RETRIES_FIRST;
        *claim == 0
    }

    /// Waits until nothing is in flight any more.
    #[cfg(test)]
    pub async fn idle(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.0.tasks.reopen();
    }

    async fn drain(&self, grace: Duration) {
        self.0.draining.cancel();
        self.0.tasks.close();
        tokio::select! {
            () = self.0.tasks.wait() => {}
            () = self.0.parts.clock.sleep(grace) => {
                let jobs = self.0.tasks.len();
                tracing::warn!(jobs, "continues are still in flight; the next start sends them again");
            }
        }
    }

    fn start(&self, job: DeliveringJob, pass: Pass) {
        self.0.tasks.spawn(self.clone().send(job, pass));
    }

    /// The account at `origin` takes calls again: what it refused, and what waited alone for that, may go.
    fn release(self, origin: Arc<str>) {
        let tasks = self.0.tasks.clone();
        tasks.spawn(async move {
            if let Err(error) = self.0.parts.store.release_refused(origin.clone()).await {
                tracing::warn!(account = &*origin, %error, "refused deliveries were not made due; they go out later");
            }
        });
    }

    /// Passes for a lane. An account that has moved has two lanes, and one pace.
    fn enter(&self, origin: &str, wanted: usize) -> Vec<Pass> {
        let moved = self.0.parts.accounts.moved_to(origin);
        self.0.parts.gate.enter(moved.as_deref().unwrap_or(origin), wanted)
    }

    fn lease(&self) -> Duration {
        self.0.settings.request_timeout * CALLS + self.0.parts.accounts.patience() * BEARERS + LEASE_MARGIN
    }
}

#[cfg(test)]
mod tests;
