//! The sender: takes completions and posts each to its `return_url`, until Kommo has it.
//!
//! A delivery arrives in one of two ways: the commit that stored its completion hands it over from memory; or the sender
//! claims it from the store, after a wake-up. Either way the [limiter](CallLimiter) has to permit it: the pace of its account,
//! and the number of calls in flight. The sender claims for each lane (the origin of an account) separately, so an account
//! that is paused or slow delays no other; a lane that the limiter holds is parked until there is a reason to look. Within a
//! lane young jobs go first, and every fourth continue is one that has been due longest ([`schedule`]).
//!
//! What it promises: a claimed delivery is always reported on, and never sent faster than the account
//! takes it. What is done with an answer is in [`decide`].

mod account;
mod attempt;
mod claim;
mod decide;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod log;
mod schedule;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::Accounts;
use crate::health::Health;
use crate::job_log::JobLog;
use crate::stage::{StageRuntime, claim_together};
use kommo::HttpClient;
use kommo::pace::CallLimiter;
use model::clock::Clock;
use model::{CheckedCompletion, HandlerName, HandlerPolicy};
use store::{Slot, Store, StoreError};

use claim::AllHeld;
use schedule::LaneSchedule;

/// The time that a stop waits for deliveries to be handed back.
const HAND_BACK_TIMEOUT: Duration = Duration::from_secs(1);
/// Rounds of one step. The second one learns what holds a lane that may have more jobs than the first one claimed.
const MAX_ROUNDS_PER_STEP: usize = 2;

/// The settings of the sender.
#[derive(Clone, Copy, Debug)]
pub struct DeliverySettings {
    /// One call may take this long; the client enforces it.
    pub request_timeout: Duration,
    /// All calls of one delivery may take this long.
    pub give_up_after: Duration,
}

/// What the sender works with.
pub struct SenderParts {
    /// Where deliveries come from.
    pub store: Store,
    /// Sends them.
    pub kommo: HttpClient,
    /// Knows the bearer of each account.
    pub accounts: Accounts,
    /// Says when they may go.
    pub limiter: Arc<CallLimiter>,
    /// Fallback and goto of each handler.
    pub policies: HashMap<HandlerName, HandlerPolicy>,
    /// Notes what an account waits for.
    pub health: Health,
    /// Logs finished jobs.
    pub job_log: JobLog,
    /// The time.
    pub clock: Clock,
    /// Uniform in 0 to 1.
    pub random: fn() -> f64,
}

/// The sender. Cheap to clone; clones are the same sender.
#[derive(Clone)]
pub struct Sender(Arc<Inner>);

struct Inner {
    parts: SenderParts,
    settings: DeliverySettings,
    /// How the continues of each lane are shared between its young jobs and the others.
    schedules: Mutex<HashMap<Arc<str>, LaneSchedule>>,
    /// How often the limiter was asked.
    #[cfg(test)]
    asked: std::sync::atomic::AtomicUsize,
    runtime: StageRuntime,
    /// Holds a token for each delivery that has no call under way.
    between_calls: TaskTracker,
}

impl Sender {
    /// A sender; from now on the store hands deliveries over to it.
    pub fn new(parts: SenderParts, settings: DeliverySettings) -> Self {
        let runtime = StageRuntime::new(parts.clock.clone());
        let store = parts.store.clone();
        parts.limiter.on_freed(move |account| store.delivery().freed(account));
        let sender = Self(Arc::new(Inner {
            parts,
            settings,
            schedules: Mutex::default(),
            #[cfg(test)]
            asked: std::sync::atomic::AtomicUsize::default(),
            runtime,
            between_calls: TaskTracker::new(),
        }));
        let releaser = Arc::downgrade(&sender.0);
        sender.0.parts.limiter.on_account_resumed(move |origin| {
            if let Some(inner) = releaser.upgrade() {
                Self(inner).release(origin.into());
            }
        });
        let taker = Arc::downgrade(&sender.0);
        sender.0.parts.store.delivery().hand_over_to(Box::new(move |origin| {
            let sender = Self(taker.upgrade()?);
            if sender.0.runtime.is_draining() {
                return None;
            }
            let permit = sender.acquire(origin, sender.current_origin(origin).as_ref(), 1).ok()?.pop()?;
            Some(Slot { lease: sender.lease(), take: Box::new(move |job| sender.start(job, permit)) })
        }));
        sender
    }

    /// Sends until `stop`, then what may go at once, and lets what is in flight finish within `grace`. What
    /// is not answered by then is sent again by the next start.
    pub async fn run(&self, stop: CancellationToken, grace: Duration) {
        self.0.runtime.run_loop(self.0.parts.store.delivery(), &stop, || self.step()).await;
        // The handlers that ended last: their bots need not wait for the next start.
        if let Err(error) = self.step().await {
            tracing::warn!(%error, "no deliveries could be claimed; they wait in the store");
        }
        self.drain(grace).await;
    }

    /// Claims what is due and may go, and sends it, without waiting for an answer. Returns how long nothing more can
    /// go unless something changes, if it knows.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn step(&self) -> Result<Option<Duration>, StoreError> {
        let (lanes, clock) = (self.0.parts.store.delivery(), &self.0.parts.clock);
        for _ in 0..MAX_ROUNDS_PER_STEP {
            let (claims, all_held) = self.round();
            let perhaps_more = claim_together(claims).await?.contains(&true);
            if let Some(AllHeld { until }) = all_held {
                return Ok(until.map(|until| until.saturating_sub(clock.elapsed())));
            }
            if !perhaps_more {
                break;
            }
        }
        Ok(lanes.next_poll(clock.steady(), clock.elapsed()))
    }

    /// Waits until nothing is in flight.
    #[cfg(test)]
    pub async fn idle(&self) {
        self.0.runtime.idle().await;
    }

    async fn drain(&self, grace: Duration) {
        self.0.runtime.drain();
        if self.0.runtime.ended_within(grace).await {
            return;
        }
        self.hand_back().await;
        let jobs = self.0.runtime.running();
        if jobs > 0 {
            tracing::warn!(jobs, "continues are still in flight; the next start sends them again");
        }
    }

    /// Hands back the deliveries that wait for a token or a permit. None of their calls is under way, so the next start must
    /// not take an answer for lost. Returns when the store has them, or soon if it cannot be written.
    pub async fn hand_back(&self) {
        self.0.runtime.hand_back();
        self.0.between_calls.close();
        tokio::select! {
            () = self.0.between_calls.wait() => {}
            () = self.0.parts.clock.sleep(HAND_BACK_TIMEOUT) => {}
        }
    }

    /// What a bot of `handler` gets if there is no answer for it.
    pub fn fallback(&self, handler: &HandlerName) -> CheckedCompletion {
        let policy = self.0.parts.policies.get(handler);
        policy.map_or_else(|| HandlerPolicy::default().fallback, |policy| policy.fallback.clone())
    }

    /// Makes due what the account at `origin` refused and what waited alone for it, because the account takes calls again. That
    /// includes jobs that name an earlier address of the account.
    fn release(self, origin: Arc<str>) {
        let inner = self.0.clone();
        inner.runtime.spawn(async move {
            let SenderParts { store, accounts, .. } = &self.0.parts;
            for lane in accounts.moved_from(&origin).into_iter().chain([origin]) {
                if let Err(error) = store.jobs().release_refused(lane.clone()).await {
                    tracing::warn!(account = &*lane, %error, "refused deliveries were not made due; they go out later");
                }
            }
        });
    }
}

#[cfg(test)]
mod tests;
