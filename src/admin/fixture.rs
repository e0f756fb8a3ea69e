//! A store with jobs in whatever state a test needs, made the way the rooms make them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::clock::ManualClock;
use crate::model::{
    AccountId, AfterDelivery, AfterHandler, Attempt, AttemptResult, CheckedCompletion, DeliveryReport,
    Entity, EntityKind, FallbackReason, HandlerReport, JobId, NewJob, Outcome, Prepared, Stage, StateName,
    Timestamp, WidgetRequest,
};
use crate::store::{Purpose, Store, Written};

const LEASE: Duration = Duration::from_secs(60);

/// The store, its clock and its folder, which goes with it.
pub(crate) struct Jobs {
    pub(crate) store: Store,
    pub(crate) clock: ManualClock,
    pub(crate) url: String,
    made: AtomicU32,
    _folder: TempDir,
}

impl Jobs {
    pub(crate) async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite:{}", folder.path().join("bridge.db").display());
        let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
        let store = Store::open(&url, Purpose::Serve, clock.clock()).await.unwrap();
        Self { store, clock, url, made: AtomicU32::new(0), _folder: folder }
    }

    /// A job of `handler` in `state`. It is a second younger than the one before, and its account and
    /// bot bear the number of jobs made so far, from 1. No other job of the handler may be queued.
    pub(crate) async fn make(&self, handler: &str, state: StateName) -> JobId {
        self.clock.advance(Duration::from_secs(1));
        let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        let id = self.accept(handler, number).await;
        match state {
            StateName::Queued => {}
            StateName::Cancelled => self.store.cancel(id).await.unwrap(),
            _ => self.work(handler, id, number, state).await,
        }
        id
    }

    /// A job whose bot gets the fallback, in `delivering`.
    pub(crate) async fn make_fallback(&self, handler: &str, reason: FallbackReason) -> JobId {
        self.clock.advance(Duration::from_secs(1));
        let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        let id = self.accept(handler, number).await;
        let job = self.store.claim_work(handler.into(), 1, LEASE).await.unwrap().remove(0);
        let prepared =
            Prepared { completion: CheckedCompletion::failed(), outcome: Outcome::Fallback(reason) };
        let attempt = Some(self.attempt(Stage::Handler, AttemptResult::Fail, None));
        let report = HandlerReport {
            job,
            attempt,
            next: AfterHandler::Deliver(prepared),
            error: Some("no such lead".into()),
        };
        assert_eq!(self.store.handled(report).await.unwrap(), Written::Done);
        id
    }

    async fn accept(&self, handler: &str, number: u32) -> JobId {
        let now = self.clock.now();
        let url = format!("https://a{number}.kommo.com/api/v4/salesbot/{number}/continue/c{number}");
        let job = NewJob {
            id: JobId::new(now, number.into()),
            handler: handler.parse().unwrap(),
            request: WidgetRequest {
                account_id: AccountId(number.into()),
                entity: Some(Entity { kind: EntityKind::Lead, id: 7 }),
                return_url: url.parse().unwrap(),
                data: serde_json::json!({ "message": format!("hello {number}") }),
            },
            idempotency_key: format!("jti-{number}"),
            token_expires_at: now + LEASE,
            received_at: now,
            answer_by: now + Duration::from_secs(50),
        };
        self.store.accept(job, LEASE).await.unwrap().id
    }

    async fn work(&self, handler: &str, id: JobId, number: u32, state: StateName) {
        let job = self.store.claim_work(handler.into(), 1, LEASE).await.unwrap().remove(0);
        assert_eq!(job.id, id, "another job of this handler was queued");
        if state == StateName::Running {
            return;
        }
        let completion = CheckedCompletion::from_json(r#"{"data":{"reply":"hi"}}"#).unwrap();
        let next = AfterHandler::Deliver(Prepared { completion, outcome: Outcome::Handler });
        let attempt = Some(self.attempt(Stage::Handler, AttemptResult::Ok, None));
        let report = HandlerReport { job, attempt, next, error: None };
        assert_eq!(self.store.handled(report).await.unwrap(), Written::Done);
        let (next, result, status) = match state {
            StateName::Delivered => (AfterDelivery::Delivered, AttemptResult::Ok, 202),
            StateName::Gone => (AfterDelivery::Gone, AttemptResult::Gone, 404),
            StateName::Dead => (AfterDelivery::Dead { answer_lost: false }, AttemptResult::Fail, 400),
            _ => return,
        };
        let origin = format!("https://a{number}.kommo.com");
        let job = self
            .store
            .claim_deliveries(origin.into(), 1, crate::store::LongestDue::default(), LEASE)
            .await
            .unwrap()
            .remove(0);
        let error = (status == 400).then(|| "Kommo refused it:\n\u{1b}[31mTooLong".to_owned());
        let attempt =
            Some(Attempt { error: error.clone(), ..self.attempt(Stage::Delivery, result, Some(status)) });
        let report = DeliveryReport { job, attempt, next, error };
        assert_eq!(self.store.sent(report).await.unwrap(), Written::Done);
    }

    fn attempt(&self, stage: Stage, result: AttemptResult, status: Option<u16>) -> Attempt {
        let duration = Duration::from_millis(12);
        Attempt { stage, number: 1, started_at: self.clock.now(), duration, result, status, error: None }
    }
}
