//! The sender: posts each completion to its `return_url`, and retries until the job is finished.
//!
//! A delivery reaches the sender in one of two ways. The commit that stored the completion hands it over from memory, or
//! the sender claims it from the store after a wake-up. Both need a permit from the [limiter](CallLimiter), which
//! enforces the pace of each account and bounds the number of calls in flight. The sender claims for each lane (the
//! origin of an account) separately, so a paused or slow account delays no other. If the limiter holds a lane, the
//! sender parks it until there is a reason to look again. Within a lane, young jobs go first, but every fourth continue
//! goes to the job that has been due longest ([`schedule`]).
//!
//! The sender reports on every delivery that it claims, unless the process ends before the response: then the next start
//! sends the continue again. It never sends faster than the account's limits allow. [`decide`] says what follows from
//! each response.

mod account;
mod attempt;
mod claim;
mod decide;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod log;
mod schedule;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::Accounts;
use crate::health::Health;
use crate::job_log::JobLog;
use crate::stage::{StageRuntime, claim_together};
use kommo::HttpClient;
use kommo::pace::{CallLimiter, Outage};
use model::clock::Clock;
use model::maps::HashMap;
use model::{CheckedCompletion, HandlerName, HandlerPolicy};
use store::{Slot, Store, StoreError};

use claim::AllHeld;
use schedule::LaneSchedule;

/// How long a stop waits for deliveries to be handed back.
const HAND_BACK_TIMEOUT: Duration = Duration::from_secs(1);
/// Rounds in one step. After the first, a lane may have more jobs than were claimed; the second finds what holds it.
const MAX_ROUNDS_PER_STEP: usize = 2;

/// The settings of the sender.
#[derive(Clone, Copy, Debug)]
pub struct DeliverySettings {
    /// The limit for one call; the client enforces it.
    pub request_timeout: Duration,
    /// The time budget of one delivery, over all its calls.
    pub give_up_after: Duration,
}

/// What the sender works with.
pub struct SenderParts {
    /// Where deliveries come from.
    pub store: Store,
    /// Sends them.
    pub kommo: HttpClient,
    /// Supplies each account's bearer.
    pub accounts: Accounts,
    /// Decides when a delivery may go out.
    pub limiter: Arc<CallLimiter>,
    /// Fallback and goto of each handler.
    pub policies: HashMap<HandlerName, HandlerPolicy>,
    /// Records what an account waits for.
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
    /// The policy of a handler that the configuration no longer names.
    default_policy: HandlerPolicy,
    /// How the continues of each lane are shared between its young jobs and the others.
    schedules: Mutex<HashMap<Arc<str>, LaneSchedule>>,
    /// How many times the sender asked the limiter for permits.
    #[cfg(test)]
    limiter_queries: std::sync::atomic::AtomicUsize,
    runtime: StageRuntime,
    meters: log::DeliveryMeters,
    /// Holds a token for each delivery that has no call under way.
    between_calls: TaskTracker,
}

impl Sender {
    /// Creates a sender and registers it with the store, which hands deliveries over from then on.
    pub fn new(parts: SenderParts, settings: DeliverySettings) -> Self {
        let runtime = StageRuntime::new(parts.clock.clone());
        let store = parts.store.clone();
        parts.limiter.on_freed(move |account| store.delivery().freed(account));
        let sender = Self(Arc::new(Inner {
            parts,
            settings,
            default_policy: HandlerPolicy::default(),
            schedules: Mutex::default(),
            #[cfg(test)]
            limiter_queries: std::sync::atomic::AtomicUsize::default(),
            runtime,
            meters: log::DeliveryMeters::new(),
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

    /// Sends until `stop`. Then sends the deliveries that the limiter permits at once, and lets calls in flight finish
    /// within `grace`. The next start repeats the continues that have no response by then.
    pub async fn run(&self, stop: CancellationToken, grace: Duration) {
        self.0.runtime.run_loop(self.0.parts.store.delivery(), &stop, || self.step()).await;
        // Sends the completions of the handlers that ended last. Otherwise their bots would wait for the next start.
        if let Err(error) = self.step().await {
            tracing::warn!(%error, "could not claim deliveries; they wait in the store");
        }
        self.drain(grace).await;
    }

    /// Claims and sends what is due and permitted, without waiting for responses. Returns the time until more can be
    /// sent, unless an event comes earlier; `None` if only an event can change that.
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
        if !self.0.runtime.ended_within(grace).await {
            self.hand_back().await;
        }
    }

    /// Hands back the deliveries that wait for a token or a permit. None of them has a call under way, so the next start
    /// must not assume that a response was lost. Returns when the store has them, or after `HAND_BACK_TIMEOUT`. Logs how many
    /// continues are in flight then.
    pub async fn hand_back(&self) {
        self.0.runtime.hand_back();
        self.0.between_calls.close();
        tokio::select! {
            () = self.0.between_calls.wait() => {}
            () = self.0.parts.clock.sleep(HAND_BACK_TIMEOUT) => {}
        }
        let jobs = self.0.runtime.running();
        if jobs > 0 {
            tracing::warn!(jobs, "continues are still in flight; the next start sends them again");
        }
    }

    /// The completion that a bot of `handler` gets if the handler fails for good.
    pub fn fallback(&self, handler: &HandlerName) -> CheckedCompletion {
        self.policy(handler).fallback.clone()
    }

    fn policy(&self, handler: &HandlerName) -> &HandlerPolicy {
        self.0.parts.policies.get(handler).unwrap_or(&self.0.default_policy)
    }

    /// Makes deliveries due again because the account at `origin` takes calls again: those that it refused, and those
    /// that waited alone for it. Includes jobs that name an earlier address of the account.
    fn release(self, origin: Arc<str>) {
        let inner = self.0.clone();
        inner.runtime.spawn(async move {
            let SenderParts { store, accounts, .. } = &self.0.parts;
            for lane in accounts.moved_from(&origin).into_iter().chain([origin]) {
                if let Err(error) = store.jobs().release_refused(lane.clone()).await {
                    tracing::warn!(account = &*lane, %error, "could not make refused deliveries due; they are retried later");
                }
            }
        });
    }

    /// Makes deliveries due because an outage of the account at `origin` has ended: those that failed only during it need
    /// not wait for the rest of their backoff. The limiter still sets the pace.
    fn release_failed(self, origin: Arc<str>, outage: Outage) {
        let inner = self.0.clone();
        inner.runtime.spawn(async move {
            let SenderParts { store, accounts, .. } = &self.0.parts;
            for lane in accounts.moved_from(&origin).into_iter().chain([origin]) {
                if let Err(error) = store.jobs().release_failed(lane.clone(), outage.since).await {
                    tracing::warn!(account = &*lane, %error, "could not make failed deliveries due; they are retried later");
                }
            }
        });
    }
}

#[cfg(test)]
mod tests;
