//! A store with jobs in any state a test needs, created the way the rooms create them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::{AccountsView, Fallback, HandlerSettings, ListedAccounts, Live, StoreSettings, TestedHandler};
use model::clock::ManualClock;
use model::{
    AccountId, AccountPace, AccountPause, AfterDelivery, AfterHandler, Attempt, AttemptResult,
    CheckedCompletion, DeliveringJob, Delivery, DeliveryReport, Entity, EntityKind, FallbackReason,
    HandlerLoad, HandlerName, HandlerReport, JobId, JobOrdering, NewJob, Outcome, PreparedCompletion, Stage,
    StateName, Timestamp, WidgetRequest,
};
use store::{Role, Store, Written};

const LEASE: Duration = Duration::from_secs(60);

/// Returns the same fallback for every handler.
pub(crate) fn fallback() -> Fallback {
    let fallback = CheckedCompletion::from_json(r#"{"data":{"status":"sorry"}}"#).unwrap();
    Arc::new(move |_| fallback.clone())
}

/// A running bridge that knows only the handler `echo`, which has no limits.
pub(crate) fn live() -> Arc<dyn Live> {
    Arc::new(NoLive)
}

struct NoLive;

impl Live for NoLive {
    fn load(&self, handler: &HandlerName) -> Option<HandlerLoad> {
        let limits =
            HandlerLoad { in_use: 3, limit: 64, is_shared: true, has_room: true, unreachable_until: None };
        (handler.as_str() == "echo").then_some(limits)
    }

    fn max_awaiting(&self, _: &HandlerName) -> Option<u64> {
        None
    }

    fn pace(&self, _: &str) -> Option<AccountPace> {
        None
    }

    fn pause(&self, _: &str) -> Option<AccountPause> {
        None
    }

    fn handlers(&self) -> Vec<HandlerSettings> {
        vec![HandlerSettings {
            name: "echo".parse().unwrap(),
            kind: "echo".into(),
            url: None,
            max_attempts: 10,
            attempt_timeout_ms: 30_000,
            answer_within_ms: 50_000,
            ordering: "none",
            coalesce_ms: 0,
        }]
    }

    fn accounts(&self) -> ListedAccounts<'_> {
        Box::pin(async { Ok(AccountsView::default()) })
    }

    fn give_up_after(&self) -> Duration {
        Duration::from_secs(3_600)
    }

    fn accounts_in_trouble(&self) -> usize {
        0
    }

    fn test_handler(&self, _: &HandlerName, _: serde_json::Value) -> Option<TestedHandler<'_>> {
        None
    }

    fn backups(&self) -> Option<crate::admin::BackupsState> {
        None
    }

    fn back_up_now(&self, _: store::Actor) {}

    fn store(&self) -> StoreSettings {
        let day = Duration::from_secs(86_400);
        StoreSettings {
            url: "sqlite:/nowhere/bridge.db".into(),
            retention: day * 14,
            body_retention: day,
            backup_folder: None,
        }
    }

    fn public_url(&self) -> Option<&str> {
        Some("https://bots.example.com")
    }
}

/// A store, its clock and its folder, which is deleted with it.
pub(crate) struct Jobs {
    pub(crate) store: Store,
    pub(crate) clock: ManualClock,
    pub(crate) url: String,
    made: AtomicU32,
    _folder: TempDir,
}

impl Jobs {
    pub(crate) async fn new() -> Self {
        test_log::prepare();
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite:{}", folder.path().join("bridge.db").display());
        let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
        let store = Store::open(&url, Role::Owner, clock.clock()).await.unwrap();
        Self { store, clock, url, made: AtomicU32::new(0), _folder: folder }
    }

    /// Creates a job of `handler` in `state`. It is a second younger than the previous one. Its account and bot ids
    /// are the number of jobs created so far, from 1. No other job of the handler may be queued.
    pub(crate) async fn make(&self, handler: &str, state: StateName) -> JobId {
        self.clock.advance(Duration::from_secs(1));
        let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        let id = self.accept(handler, number, Duration::from_secs(50)).await;
        match state {
            StateName::Queued => {}
            StateName::Cancelled => self.store.jobs().cancel(id).await.unwrap(),
            _ => self.work(handler, id, number, state).await,
        }
        id
    }

    /// Creates a job in `dead` with this data, whose deliveries failed this often with this error.
    pub(crate) async fn make_dead(&self, data: serde_json::Value, error: &str, deliveries: u32) -> JobId {
        self.clock.advance(Duration::from_secs(1));
        let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        let job = self.new_job("echo", number, format!("jti-{number}"), Duration::from_secs(50));
        let job = NewJob { request: WidgetRequest { data: data.clone(), ..job.request }, ..job };
        let id = self.store.jobs().accept(job, LEASE).await.unwrap().id;
        let job = self.store.jobs().claim_work("echo".into(), 1, LEASE).await.unwrap().remove(0);
        let completion = serde_json::json!({ "data": { "echo": data } }).to_string();
        let completion = CheckedCompletion::from_json(&completion).unwrap();
        let next = AfterHandler::Deliver(PreparedCompletion { completion, outcome: Outcome::Handler });
        let attempt = Some(self.attempt(Stage::Handler, AttemptResult::Ok, None));
        let report = HandlerReport { job, attempt, next, error: None };
        assert_eq!(self.store.jobs().handled(report).await.unwrap(), Written::Done);
        for delivery in 1..=deliveries {
            let job = self.claim_delivery(number).await;
            let attempt = self.attempt(Stage::Delivery, AttemptResult::Retry, Some(504));
            let attempt = Some(Attempt { number: delivery, error: Some(error.to_owned()), ..attempt });
            let next = if delivery < deliveries {
                AfterDelivery::Retry { due_at: self.clock.now(), delivery: Delivery::default() }
            } else {
                AfterDelivery::Dead { answer_lost: false }
            };
            let report = DeliveryReport { job, attempt, next, error: Some(error.to_owned()) };
            assert_eq!(self.store.jobs().sent(report).await.unwrap(), Written::Done);
        }
        id
    }

    /// Adds this many groups of errors: the first has the newest error, and each hundredth is new.
    pub(crate) async fn many_errors(&self, groups: u32) {
        self.store.errors().add_groups(groups).await;
    }

    /// Creates two queued jobs at the same moment, the older first: their ids differ only in the last digits.
    pub(crate) async fn make_two(&self, handler: &str) -> (JobId, JobId) {
        self.clock.advance(Duration::from_secs(1));
        let number = self.made.fetch_add(2, Ordering::SeqCst) + 1;
        let within = Duration::from_secs(50);
        (self.accept(handler, number, within).await, self.accept(handler, number + 1, within).await)
    }

    /// Creates a job in `delivering` whose bot gets the fallback.
    pub(crate) async fn make_fallback(&self, handler: &str, reason: FallbackReason) -> JobId {
        self.clock.advance(Duration::from_secs(1));
        let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        let id = self.accept(handler, number, Duration::from_secs(50)).await;
        let job = self.store.jobs().claim_work(handler.into(), 1, LEASE).await.unwrap().remove(0);
        let prepared = PreparedCompletion {
            completion: CheckedCompletion::failed(),
            outcome: Outcome::Fallback(reason),
        };
        let attempt = Some(self.attempt(Stage::Handler, AttemptResult::Fail, None));
        let report = HandlerReport {
            job,
            attempt,
            next: AfterHandler::Deliver(prepared),
            error: Some("no such lead".into()),
        };
        assert_eq!(self.store.jobs().handled(report).await.unwrap(), Written::Done);
        id
    }

    /// Creates an unclaimed job of `handler` with this time to answer.
    pub(crate) async fn accept_for(&self, handler: &str, answer_within: Duration) -> JobId {
        let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        self.accept(handler, number, answer_within).await
    }

    /// Creates a job in `dead` because Kommo refused first its completion and then its fallback.
    pub(crate) async fn refused_twice(&self, handler: &str) -> JobId {
        let id = self.make(handler, StateName::Delivering).await;
        let fallback = CheckedCompletion::from_json(r#"{"data":{"status":"fail"}}"#).unwrap();
        let prepared =
            PreparedCompletion { completion: fallback, outcome: Outcome::Fallback(FallbackReason::Refused) };
        let next = AfterDelivery::Replace { prepared, delivery: Delivery::default() };
        for next in [next, AfterDelivery::Dead { answer_lost: false }] {
            let job = self.claim_delivery(self.made.load(Ordering::SeqCst)).await;
            self.store.jobs().sent(DeliveryReport { job, attempt: None, next, error: None }).await.unwrap();
        }
        id
    }

    /// Creates another request of the last job's bot; its job waits for a worker.
    pub(crate) async fn next_question(&self, handler: &str) -> JobId {
        let number = self.made.load(Ordering::SeqCst);
        self.clock.advance(Duration::from_secs(1));
        self.accept_keyed(handler, number, format!("jti-{number}-next"), Duration::from_secs(50)).await
    }

    /// Claims the delivery of the job with this number.
    pub(crate) async fn claim_delivery(&self, number: u32) -> DeliveringJob {
        let origin = format!("https://a{number}.kommo.com");
        let longest_due = store::LongestDue::default();
        self.store.jobs().claim_deliveries(origin.into(), 1, longest_due, LEASE).await.unwrap().remove(0)
    }

    async fn accept(&self, handler: &str, number: u32, answer_within: Duration) -> JobId {
        self.accept_keyed(handler, number, format!("jti-{number}"), answer_within).await
    }

    async fn accept_keyed(
        &self,
        handler: &str,
        number: u32,
        idempotency_key: String,
        answer_within: Duration,
    ) -> JobId {
        let job = self.new_job(handler, number, idempotency_key, answer_within);
        self.store.jobs().accept(job, LEASE).await.unwrap().id
    }

    fn new_job(
        &self,
        handler: &str,
        number: u32,
        idempotency_key: String,
        answer_within: Duration,
    ) -> NewJob {
        let now = self.clock.now();
        let url = format!("https://a{number}.kommo.com/api/v4/salesbot/{number}/continue/c{number}");
        NewJob {
            id: JobId::new(now, number.into()),
            handler: handler.parse().unwrap(),
            request: WidgetRequest {
                account_id: AccountId(number.into()),
                entity: Some(Entity { kind: EntityKind::Lead, id: 7 }),
                return_url: url.parse().unwrap(),
                data: serde_json::json!({ "message": format!("hello {number}") }),
                earlier: Vec::new(),
            },
            idempotency_key,
            token_expires_at: now + LEASE,
            received_at: now,
            answer_by: now + answer_within,
            ordering: JobOrdering::None,
        }
    }

    async fn work(&self, handler: &str, id: JobId, number: u32, state: StateName) {
        let job = self.store.jobs().claim_work(handler.into(), 1, LEASE).await.unwrap().remove(0);
        assert_eq!(job.id, id, "another job of this handler was queued");
        if state == StateName::Running {
            return;
        }
        if state == StateName::AwaitingCallback {
            let attempt = Some(self.attempt(Stage::Handler, AttemptResult::Accepted, None));
            let report = HandlerReport { job, attempt, next: AfterHandler::AwaitCallback, error: None };
            assert_eq!(self.store.jobs().handled(report).await.unwrap(), Written::Done);
            return;
        }
        let completion = CheckedCompletion::from_json(r#"{"data":{"reply":"hi"}}"#).unwrap();
        let next = AfterHandler::Deliver(PreparedCompletion { completion, outcome: Outcome::Handler });
        let attempt = Some(self.attempt(Stage::Handler, AttemptResult::Ok, None));
        let report = HandlerReport { job, attempt, next, error: None };
        assert_eq!(self.store.jobs().handled(report).await.unwrap(), Written::Done);
        let (next, result, status) = match state {
            StateName::Delivered => (AfterDelivery::Delivered, AttemptResult::Ok, 202),
            StateName::Gone => (AfterDelivery::Gone, AttemptResult::Gone, 404),
            StateName::Dead => (AfterDelivery::Dead { answer_lost: false }, AttemptResult::Fail, 400),
            _ => return,
        };
        let job = self.claim_delivery(number).await;
        let error = (status == 400).then(|| "Kommo refused it:\n\u{1b}[31mTooLong".to_owned());
        let attempt =
            Some(Attempt { error: error.clone(), ..self.attempt(Stage::Delivery, result, Some(status)) });
        let report = DeliveryReport { job, attempt, next, error };
        assert_eq!(self.store.jobs().sent(report).await.unwrap(), Written::Done);
    }

    fn attempt(&self, stage: Stage, result: AttemptResult, status: Option<u16>) -> Attempt {
        let duration = Duration::from_millis(12);
        Attempt { stage, number: 1, started_at: self.clock.now(), duration, result, status, error: None }
    }
}
