//! The sender: takes completions and posts each to its `return_url`, until Kommo has it.
//!
//! A delivery gets here on one of two ways: handed over from memory by the commit that stored its
//! completion, when the gate is open; or claimed from the store, when a wake-up says that something is
//! due. Either way it passes the [gate](Gate): the pace of its account, and a place among the calls in flight.
//! Each lane (the origin of an account) is claimed for by itself, so an account that is paused or slow
//! delays nobody else; and first tries go before retries, except in every fourth claim.
//!
//! What it promises: a claimed delivery is always reported on, and never sent faster than the account
//! takes it. What is done with an answer is in [`judge`].

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod judge;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Position;

use crate::accounts::Accounts;
use crate::clock::Clock;
use crate::health::Health;
use crate::kommo::{Answer, Bearer, Kommo, NoBearer};
use crate::model::{
    AfterDelivery, Attempt, DeliveringJob, DeliveryReport, HandlerName, HandlerPolicy, Stage, whole_millis,
};
use crate::pace::{Gate, Pass};
use crate::store::{Slot, Store, StoreError, Written};

use judge::{Circumstances, Got, Judgement};

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

    async fn send(self, job: DeliveringJob, mut pass: Pass) {
        let Parts { clock, policies, random, .. } = &self.0.parts;
        let (started_at, begun) = (clock.now(), clock.elapsed());
        let got = self.call(&job, &mut pass).await;
        let (now, duration) = (clock.now(), clock.elapsed() - begun);
        let default_policy = HandlerPolicy::default();
        let circumstances = Circumstances {
            prepared: &job.prepared,
            delivery: job.delivery,
            policy: policies.get(&job.handler).unwrap_or(&default_policy),
            give_up_after: self.0.settings.give_up_after,
            now,
            jitter: random(),
        };
        let judgement = judge::judge(&got, circumstances);
        let status = match got {
            Got::Answer(Answer::Status { status, .. }) => Some(status),
            Got::Answer(_) | Got::NoBearer(_) | Got::NotItsTurn(_) | Got::Stranger => None,
        };
        self.tell(&job, &judgement, status, duration);
        self.pause_or_go_on(&job, &judgement, &mut pass);
        let Judgement { next, result, error, .. } = judgement;
        let attempt = result.map(|result| Attempt {
            stage: Stage::Delivery,
            number: job.attempts + 1,
            started_at,
            duration,
            result,
            status,
            error: error.clone(),
        });
        let (delivered, received_at) = (next == AfterDelivery::Delivered, job.received_at);
        // The place is for calls. While the store is slow, though, what waits to be written has to stay
        // bounded: then the place is kept until it is.
        let mut pass = Some(pass);
        let writing = self.0.writing.try_acquire().ok();
        if writing.is_some() {
            pass.take();
        }
        let written = self.report(DeliveryReport { job, attempt, next, error }).await;
        if delivered && written {
            metrics::histogram!("bridge_receipt_to_continue_seconds")
                .record(now.since(received_at).as_secs_f64());
        }
        drop((writing, pass));
    }

    /// Posts the continue; after a 401 once more, if another token can be had.
    async fn call(&self, job: &DeliveringJob, pass: &mut Pass) -> Got {
        let (accounts, whose) = (&self.0.parts.accounts, (job.return_url.origin(), job.account_id));
        let patience = self.0.settings.request_timeout;
        // Renewing passes the gate by itself: a ticket that is held meanwhile could be the one that it waits for.
        let at_hand = accounts.is_at_hand(whose);
        if !at_hand {
            pass.give_back();
        }
        let bearer = match accounts.bearer(whose).await {
            Ok(bearer) => bearer,
            Err(NoBearer::Unknown) if accounts.is_anothers(whose.0, whose.1) => return Got::Stranger,
            Err(none) => return Got::NoBearer(none),
        };
        if !at_hand && let Err(paused) = pass.renew(patience).await {
            return Got::NotItsTurn(paused);
        }
        let answer = self.post(job, &bearer, pass).await;
        if !matches!(answer, Answer::Status { status: 401, .. }) || bearer.is_long_lived() {
            return Got::Answer(answer);
        }
        pass.give_back();
        let bearer = match accounts.renewed(whose, &bearer).await {
            Ok(bearer) => bearer,
            Err(none) => return Got::NoBearer(none),
        };
        if let Err(paused) = pass.renew(patience).await {
            return Got::NotItsTurn(paused);
        }
        Got::Answer(self.post(job, &bearer, pass).await)
    }

    async fn post(&self, job: &DeliveringJob, bearer: &Bearer, pass: &mut Pass) -> Answer {
        let DeliveringJob { return_url, prepared, .. } = job;
        let (kommo, completion) = (&self.0.parts.kommo, &prepared.completion);
        pass.start();
        if *bearer.origin == *return_url.origin() {
            return kommo.continue_bot(return_url, &bearer.token, completion).await;
        }
        // Its account has moved: who has the old address today is a stranger.
        match return_url.at(&bearer.origin) {
            Ok(moved) => kommo.continue_bot(&moved, &bearer.token, completion).await,
            Err(error) => {
                Answer::NotSent(format!("the account has moved, and its new address is none: {error}"))
            }
        }
    }

    /// Passes for a lane. An account that has moved has two lanes, and one pace.
    fn enter(&self, origin: &str, wanted: usize) -> Vec<Pass> {
        let moved = self.0.parts.accounts.moved_to(origin);
        self.0.parts.gate.enter(moved.as_deref().unwrap_or(origin), wanted)
    }

    /// Says whether the report was written.
    async fn report(&self, report: DeliveryReport) -> bool {
        let (id, handler) = (report.job.id, report.job.handler.clone());
        match self.0.parts.store.sent(report).await {
            Ok(Written::Done) => return true,
            Ok(Written::Stale) => {
                tracing::warn!(job.id = %id, %handler, "the job was cancelled or taken over meanwhile; this answer is dropped");
            }
            Err(error) => {
                tracing::error!(job.id = %id, %handler, %error, "what Kommo answered could not be stored; the continue is sent again");
            }
        }
        false
    }

    fn pause_or_go_on(&self, job: &DeliveringJob, judgement: &Judgement, pass: &mut Pass) {
        let health = &self.0.parts.health;
        // With its port, where it has one: two accounts of one host are two accounts.
        let host = &job.return_url.url()[Position::BeforeHost..Position::AfterPort];
        if judgement.account_is_fine {
            if pass.fine() {
                tracing::info!(account.host = host, "deliveries to this account go on");
            }
            health.account_goes_on(host);
        }
        let Some(pause) = judgement.pause else { return };
        // None: a pause that began after this call is in force, and has been told.
        let Some(length) = pass.pause(pause) else { return };
        let (pause_ms, why) = (whole_millis(length), judgement.error.as_deref().unwrap_or_default());
        if pause.cause.ends_by_itself() {
            tracing::info!(account.host = host, pause_ms, why, "deliveries wait");
        } else if health.account_waits(host, why) {
            tracing::warn!(account.host = host, pause_ms, why, "deliveries wait for a person");
        }
    }

    fn tell(&self, job: &DeliveringJob, judgement: &Judgement, status: Option<u16>, duration: Duration) {
        let (id, handler, attempt) = (job.id, &job.handler, job.attempts + 1);
        let duration_ms = whole_millis(duration);
        let error = judgement.error.as_deref().unwrap_or_default();
        let outcome = match &judgement.next {
            AfterDelivery::Delivered => "delivered",
            AfterDelivery::Gone => "gone",
            AfterDelivery::Dead { .. } => "dead",
            AfterDelivery::Retry { .. } => "retry",
            AfterDelivery::Wait { .. } => "wait",
            AfterDelivery::Replace { .. } => "replaced",
        };
        metrics::counter!("bridge_delivery_attempts_total", "outcome" => outcome).increment(1);
        match &judgement.next {
            AfterDelivery::Delivered => {
                tracing::debug!(job.id = %id, %handler, attempt, status, duration_ms, "the bot was continued");
            }
            AfterDelivery::Gone => {
                tracing::info!(job.id = %id, %handler, attempt, status, duration_ms, error, "nobody waits for this continue any more");
            }
            AfterDelivery::Retry { due_at, .. } => {
                tracing::warn!(job.id = %id, %handler, attempt, status, duration_ms, error, %due_at, "the continue failed and is sent again");
            }
            AfterDelivery::Replace { .. } => {
                tracing::warn!(job.id = %id, %handler, attempt, status, duration_ms, error, "Kommo refused the completion; another is sent");
            }
            AfterDelivery::Dead { .. } => {
                tracing::error!(job.id = %id, %handler, attempt, status, duration_ms, error, "the continue could not be delivered; a person can retry it");
            }
            // Told once for the account, not once for each of its jobs.
            AfterDelivery::Wait { .. } => {
                tracing::debug!(job.id = %id, %handler, status, duration_ms, error, "the delivery waits for its account");
            }
        }
    }

    fn lease(&self) -> Duration {
        self.0.settings.request_timeout * CALLS + self.0.parts.accounts.patience() * BEARERS + LEASE_MARGIN
    }
}

#[cfg(test)]
mod tests;
