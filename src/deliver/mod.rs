//! The sender: takes completions and posts each to its `return_url`, until Kommo has it.
//!
//! A delivery gets here on one of two ways: handed over from memory by the commit that stored its
//! completion, when the gate is open; or claimed from the store, when a wake-up says that something is
//! due. Either way it passes the [gate](CallLimiter): the pace of its account, and a place among the calls in flight.
//! Each lane (the origin of an account) is claimed for by itself, so an account that is paused or slow
//! delays no other; a lane that the gate holds is parked until there is a reason to look. Within a lane young jobs go
//! first, and every fourth continue is one that has been due longest ([`turns`]).
//!
//! What it promises: a claimed delivery is always reported on, and never sent faster than the account
//! takes it. What is done with an answer is in [`decide`].

mod attempt;
mod decide;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod log;
mod turns;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::Accounts;
use crate::health::Health;
use crate::job_log::JobLog;
use kommo::Kommo;
use kommo::pace::{CallLimiter, Hold, Permit};
use model::clock::Clock;
use model::{CheckedCompletion, DeliveringJob, HandlerName, HandlerPolicy};
use store::{LongestDue, Slot, Store, StoreError};

use turns::Turns;

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
/// What a stop gives deliveries that wait to be given back.
const HAND_BACK: Duration = Duration::from_secs(1);
/// Rounds of one step: the second one learns what holds a lane that may have more than the first one claimed.
const ROUNDS: usize = 2;

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
    pub gate: Arc<CallLimiter>,
    /// Fallback and goto of each handler.
    pub policies: HashMap<HandlerName, HandlerPolicy>,
    /// Where it is noted what an account waits for.
    pub health: Health,
    /// What the log says of finished jobs.
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
    parts: Parts,
    settings: Settings,
    /// How the continues of each lane are shared between its young jobs and the others.
    turns: Mutex<HashMap<Arc<str>, Turns>>,
    /// How often the gate was asked.
    #[cfg(test)]
    asked: std::sync::atomic::AtomicUsize,
    tasks: TaskTracker,
    /// Answers that may wait to be written without holding a place.
    writing: Semaphore,
    /// Nothing new is taken.
    draining: CancellationToken,
    /// A token for each delivery of which no call is under way.
    between_calls: TaskTracker,
    /// No call is begun any more.
    handing_back: CancellationToken,
}

/// Nothing can go to any account, until then by the elapsed time; `None`: not before another event.
struct All {
    until: Option<Duration>,
}

impl Sender {
    /// A sender; from now on the store hands deliveries over to it.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        let store = parts.store.clone();
        parts.gate.on_freed(move |account| store.delivery().freed(account));
        let sender = Self(Arc::new(Inner {
            parts,
            settings,
            turns: Mutex::default(),
            #[cfg(test)]
            asked: std::sync::atomic::AtomicUsize::default(),
            tasks: TaskTracker::new(),
            writing: Semaphore::new(WRITING),
            draining: CancellationToken::new(),
            between_calls: TaskTracker::new(),
            handing_back: CancellationToken::new(),
        }));
        let releaser = Arc::downgrade(&sender.0);
        sender.0.parts.gate.on_account_resumed(move |origin| {
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
            let pass = sender.enter(origin, sender.moved(origin).as_ref(), 1).ok()?.pop()?;
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

    /// Claims what is due and may go, and sends it off; waits for no answer. Returns how long nothing more can
    /// go unless something changes, if it knows.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn step(&self) -> Result<Option<Duration>, StoreError> {
        let (lanes, clock) = (self.0.parts.store.delivery(), &self.0.parts.clock);
        for _ in 0..ROUNDS {
            let (claims, all_held) = self.round();
            let mut perhaps_more = false;
            // Together, so that many lanes share one transaction; and each to its end, because a claim that is
            // not waited for is a claim whose jobs nobody has.
            for filled in futures_util::future::join_all(claims).await {
                perhaps_more |= filled?;
            }
            if let Some(All { until }) = all_held {
                return Ok(until.map(|until| until.saturating_sub(clock.elapsed())));
            }
            if !perhaps_more {
                break;
            }
        }
        Ok(lanes.next_look(clock.steady(), clock.elapsed()))
    }

    /// Goes through the line once: claims for the lanes that may go, parks those that may not, and stops where none may.
    fn round(&self) -> (Vec<impl Future<Output = Result<bool, StoreError>>>, Option<All>) {
        let (lanes, clock) = (self.0.parts.store.delivery(), &self.0.parts.clock);
        let mut claims = Vec::new();
        lanes.begin(clock.steady(), clock.elapsed());
        while let Some(lane) = lanes.take() {
            let moved = self.moved(&lane);
            if let Some(account) = &moved {
                lanes.ask_as(&lane, account);
            }
            match self.enter(&lane, moved.as_ref(), CLAIM) {
                Ok(passes) => claims.push(self.claim(lane, passes)),
                Err(Hold::Account(until)) => lanes.park(&lane, until, clock.elapsed()),
                Err(Hold::Share) => lanes.park_for_place(&lane, clock.elapsed()),
                Err(Hold::All(until)) => {
                    lanes.put_back(&lane);
                    return (claims, Some(All { until }));
                }
            }
        }
        (claims, None)
    }

    /// Claims as many jobs as there are passes, and sends them off. Returns whether there were as many.
    async fn claim(&self, origin: Arc<str>, passes: Vec<Permit>) -> Result<bool, StoreError> {
        let limit = passes.len();
        let longest_due = if passes.iter().any(Permit::is_probe) {
            // Jobs that were refused come last then: one that is refused for its own sake would prolong the pause.
            LongestDue::default()
        } else {
            self.turns(&origin, |turns| turns.longest_due(limit))
        };
        let store = &self.0.parts.store;
        let jobs = store.claim_deliveries(origin.clone(), limit, longest_due, self.lease()).await?;
        let claimed = jobs.len();
        self.turns(&origin, |turns| turns.claimed(claimed));
        jobs.into_iter().zip(passes).for_each(|(job, pass)| self.start(job, pass));
        Ok(claimed == limit)
    }

    fn turns<R>(&self, origin: &Arc<str>, then: impl FnOnce(&mut Turns) -> R) -> R {
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        then(turns.entry(origin.clone()).or_default())
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
                self.hand_back().await;
                let jobs = self.0.tasks.len();
                if jobs > 0 {
                    tracing::warn!(jobs, "continues are still in flight; the next start sends them again");
                }
            }
        }
    }

    /// Gives back the deliveries that wait for a token or for their turn: no call of them is under way, so the next start must
    /// not take an answer for lost. Returns when the store has them, or soon if it cannot be written.
    pub async fn hand_back(&self) {
        self.0.draining.cancel();
        self.0.handing_back.cancel();
        self.0.between_calls.close();
        tokio::select! {
            () = self.0.between_calls.wait() => {}
            () = self.0.parts.clock.sleep(HAND_BACK) => {}
        }
    }

    /// What the bot of `handler` gets when there is no answer for it.
    pub fn fallback(&self, handler: &HandlerName) -> CheckedCompletion {
        let policy = self.0.parts.policies.get(handler);
        policy.map_or_else(|| HandlerPolicy::default().fallback, |policy| policy.fallback.clone())
    }

    fn start(&self, job: DeliveringJob, pass: Permit) {
        self.0.tasks.spawn(self.clone().send(job, pass));
    }

    /// The account at `origin` takes calls again: what it refused, and what waited alone for that, may go, also what names an
    /// address that the account had before.
    fn release(self, origin: Arc<str>) {
        let tasks = self.0.tasks.clone();
        tasks.spawn(async move {
            let Parts { store, accounts, .. } = &self.0.parts;
            for lane in accounts.moved_from(&origin).into_iter().chain([origin]) {
                if let Err(error) = store.release_refused(lane.clone()).await {
                    tracing::warn!(account = &*lane, %error, "refused deliveries were not made due; they go out later");
                }
            }
        });
    }

    /// Passes for a lane, or why there is none. An account that has moved has two lanes, and one pace.
    fn enter(&self, lane: &str, moved: Option<&Arc<str>>, wanted: usize) -> Result<Vec<Permit>, Hold> {
        #[cfg(test)]
        self.0.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.0.parts.gate.try_acquire(moved.map_or(lane, |account| account), wanted)
    }

    /// Where the account of a lane is now, if it has moved.
    fn moved(&self, lane: &str) -> Option<Arc<str>> {
        self.0.parts.accounts.moved_to(lane)
    }

    fn lease(&self) -> Duration {
        self.0.settings.request_timeout * CALLS + self.0.parts.accounts.patience() * BEARERS + LEASE_MARGIN
    }
}

#[cfg(test)]
mod tests;
