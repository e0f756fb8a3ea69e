//! Tests of the public interface, independent of the engine: no test here names a table, a file or SQL. Each store has
//! its own folder, and its clock moves only when a test moves it.
//!
//! Each engine runs them: it provides a [`Place`] for the store of a test, and the hooks in `crate::testing`. Tests that fit
//! only one engine are beside that engine.

pub(crate) mod accept;
pub(crate) mod accounts;
pub(crate) mod actions;
pub(crate) mod ages;
pub(crate) mod bodies;
pub(crate) mod budget;
pub(crate) mod bulk;
pub(crate) mod callbacks;
pub(crate) mod claims;
pub(crate) mod commit;
pub(crate) mod erase;
pub(crate) mod errors;
pub(crate) mod filters;
pub(crate) mod free;
pub(crate) mod hand_over;
pub(crate) mod handled;
pub(crate) mod jumps;
pub(crate) mod keep;
pub(crate) mod lanes;
pub(crate) mod lists;
pub(crate) mod oauth;
pub(crate) mod operator;
pub(crate) mod outcomes;
pub(crate) mod pages;
pub(crate) mod random;
pub(crate) mod read;
pub(crate) mod release;
pub(crate) mod retry;
pub(crate) mod search;
pub(crate) mod sent;
pub(crate) mod stale;
pub(crate) mod supersede;
pub(crate) mod surroundings;
pub(crate) mod turns;
pub(crate) mod unfinished;
pub(crate) mod waits;

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::time::Duration;

pub(crate) use serde_json::json;
pub(crate) use tempfile::TempDir;

pub(crate) use super::Place;
pub(crate) use crate::testing::Ticks;
pub(crate) use crate::time::{Cutoff, Moment, ServiceTime};
pub(crate) use crate::*;
pub(crate) use model::clock::ManualClock;
pub(crate) use model::filter::Condition;
pub(crate) use model::*;
pub(crate) use std::sync::Arc;
pub(crate) use tokio::sync::oneshot;

pub(crate) const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// Shorter than a request's time to answer, so that a job with an expired lease is not overdue.
pub(crate) const LEASE: Duration = Duration::from_secs(40);
/// How long a test waits for a commit before it fails.
pub(crate) const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);
pub(crate) const ORIGIN: &str = "https://one.kommo.com";

/// A place for a store, a folder, and the store's clock.
pub(crate) struct Home {
    pub(crate) place: Place,
    #[allow(dead_code, reason = "only a file needs it")]
    pub(crate) folder: TempDir,
    pub(crate) clock: ManualClock,
    pub(crate) serial: AtomicU64,
}

/// Claims all due deliveries.
pub(crate) async fn due_deliveries(store: &Store) -> Vec<DeliveringJob> {
    store.jobs().claim_deliveries(ORIGIN.into(), 100, LongestDue::default(), LEASE).await.unwrap()
}

impl Home {
    pub(crate) fn new() -> Self {
        test_log::prepare();
        let folder = TempDir::new().unwrap();
        let place = Place::new(folder.path());
        Self { place, folder, clock: ManualClock::new(START), serial: AtomicU64::new(0) }
    }

    pub(crate) fn url(&self) -> String {
        self.place.url()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn steady(&self) -> Timestamp {
        self.clock.clock().steady()
    }

    /// Sets the calendar to `now`, at which the next process starts its steady clock.
    pub(crate) fn restart(&self, now: Timestamp) {
        self.clock.restart(now);
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.clock.advance(span);
    }

    pub(crate) async fn open(&self, role: Role) -> Result<Store, StoreError> {
        Store::open(&self.url(), role, self.clock.clock()).await
    }

    pub(crate) async fn serve(&self) -> Store {
        self.open(Role::Owner).await.unwrap()
    }

    /// Returns a request that differs from all others of this home.
    pub(crate) fn request(&self) -> NewJob {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        NewJob {
            id: JobId::new(self.now(), u128::from(serial) << 8),
            handler: handler("greet"),
            request: WidgetRequest {
                account_id: AccountId(7),
                entity: Some(Entity { kind: EntityKind::Lead, id: 5 }),
                return_url: return_url(ORIGIN, serial),
                data: json!({ "name": "Ann" }),
                earlier: Vec::new(),
            },
            idempotency_key: format!("jti-{serial}"),
            token_expires_at: self.now() + Duration::from_secs(600),
            received_at: self.now(),
            answer_by: self.steady() + Duration::from_secs(50),
            ordering: JobOrdering::None,
        }
    }

    /// Returns a request with the token of `first`.
    pub(crate) fn repeated(&self, first: &NewJob) -> NewJob {
        let (idempotency_key, token_expires_at) = (first.idempotency_key.clone(), first.token_expires_at);
        NewJob { idempotency_key, token_expires_at, ..self.request() }
    }

    /// Adds a job in `queued`.
    pub(crate) async fn queued(&self, store: &Store) -> JobId {
        accept(store, self.request()).await
    }

    /// Adds a job in `running`. Returns its claim.
    pub(crate) async fn running(&self, store: &Store) -> RunningJob {
        let id = self.queued(store).await;
        let claimed = store.jobs().claim_work("greet".into(), 100, LEASE).await.unwrap();
        claimed.into_iter().find(|job| job.id == id).unwrap()
    }

    /// Adds an unclaimed job in `delivering`.
    pub(crate) async fn waiting(&self, store: &Store) -> JobId {
        let job = self.running(store).await;
        let id = job.id;
        let report = handled(job, AfterHandler::Deliver(prepared("hi")));
        assert_eq!(store.jobs().handled(report).await.unwrap(), Written::Done);
        id
    }

    /// Adds a job in `delivering`. Returns its claim.
    pub(crate) async fn delivering(&self, store: &Store) -> DeliveringJob {
        let id = self.waiting(store).await;
        due_deliveries(store).await.into_iter().find(|job| job.id == id).unwrap()
    }

    /// Adds a job in `dead`.
    pub(crate) async fn dead(&self, store: &Store) -> JobId {
        let job = self.delivering(store).await;
        let id = job.id;
        assert_eq!(
            store.jobs().sent(sent(job, AfterDelivery::Dead { answer_lost: false })).await.unwrap(),
            Written::Done
        );
        id
    }
}

pub(crate) fn handler(name: &str) -> HandlerName {
    name.parse().unwrap()
}

/// Returns the filter that people write like this.
pub(crate) fn wanted(text: &str) -> Filter {
    let context = model::filter::FilterContext { now: START, account: &|_| None };
    Filter::parse(text, &context).unwrap()
}

/// Returns the URL at which the bot of a request waits. Each serial number gives another URL.
pub(crate) fn return_url(origin: &str, serial: u64) -> ReturnUrl {
    format!("{origin}/api/v4/salesbot/12/continue/34_{serial}").parse().unwrap()
}

pub(crate) fn prepared(reply: &str) -> PreparedCompletion {
    let completion = Completion::success().data("reply", reply).check().unwrap();
    PreparedCompletion { completion, outcome: Outcome::Handler }
}

pub(crate) async fn accept(store: &Store, job: NewJob) -> JobId {
    let id = job.id;
    assert_eq!(store.jobs().accept(job, COMMIT_TIMEOUT).await.unwrap(), Accepted { id, duplicate: false });
    id
}

pub(crate) fn attempt(stage: Stage, number: u32, result: AttemptResult) -> Attempt {
    let duration = Duration::from_millis(12);
    Attempt { stage, number, started_at: START, duration, result, status: None, error: None }
}

/// Returns a worker's report that charges an attempt.
pub(crate) fn handled(job: RunningJob, next: AfterHandler) -> HandlerReport {
    let attempt = attempt(Stage::Handler, job.attempts + 1, AttemptResult::Ok);
    HandlerReport { attempt: Some(attempt), next, error: None, job }
}

/// Returns a report of the sender that charges an attempt.
pub(crate) fn sent(job: DeliveringJob, next: AfterDelivery) -> DeliveryReport {
    let attempt = attempt(Stage::Delivery, job.attempts + 1, AttemptResult::Ok);
    DeliveryReport { attempt: Some(attempt), next, error: None, job }
}

/// Returns the cutoff for jobs that finished before `at`, in a store that has been served since [`START`].
pub(crate) fn cutoff(at: Timestamp) -> Cutoff {
    Cutoff { calendar: at, service: ServiceTime::from_millis(at.as_millis() - START.as_millis()) }
}

/// Returns the cutoff for everything that has expired by now.
pub(crate) fn over(store: &Store) -> Cutoff {
    store.0.moment().cutoff(Duration::ZERO)
}

pub(crate) async fn stored_job(store: &Store, id: JobId) -> Job {
    store.jobs().get(id).await.unwrap().unwrap().0.whole().unwrap()
}

pub(crate) async fn state(store: &Store, id: JobId) -> StateName {
    stored_job(store, id).await.state.name()
}

pub(crate) async fn attempts(store: &Store, id: JobId) -> Vec<Attempt> {
    store.jobs().get(id).await.unwrap().unwrap().1
}

pub(crate) async fn count(store: &Store, state: StateName) -> u64 {
    store.jobs().stats().await.unwrap().jobs[&state]
}

/// Holds the writer until a `send` on the returned sender. Operations sent in the meantime then share one transaction.
pub(crate) async fn hold(store: &Store) -> oneshot::Sender<()> {
    store.0.hold().await
}

/// Waits until `operations` operations wait for the writer. More than a hundred must be sent `unconstrained`, because
/// tokio counts a slot of the channel as taken before it is filled.
pub(crate) async fn gathered(store: &Store, operations: usize) {
    store.0.gathered(operations).await;
}
