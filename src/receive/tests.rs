//! The router with a real store, called without a socket.

mod accepts;
mod body_props;
mod hides;
mod refuses;
mod return_url_props;
mod slow;
mod token_props;

use axum::body::Body;
use axum::extract::Request;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::token::tests::{NOW, claims, hs512, signers};
use super::*;
use model::clock::ManualClock;
use model::{JobId, JobOrdering, WidgetRequest};
use store::{JobFilter, Role};

const RETURN_URL: &str = "https://example.kommo.com/api/v4/salesbot/12/continue/34";
const PATH: &str = "/widget_request/greet";

/// Creates a handler that is open to these integrations.
fn route(integrations: Option<&[&str]>) -> Route {
    let integrations = integrations.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    Route { answer_within: Duration::from_secs(50), ordering: JobOrdering::None, integrations }
}

/// A receiver with the handler `greet`, and its surroundings.
struct Bench {
    router: Router,
    store: Store,
    clock: ManualClock,
    draining: CancellationToken,
    _folder: TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Bench {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Receiver)) -> Self {
        Self::with_clock(|receiver, _| change(receiver)).await
    }

    async fn with_clock(change: impl FnOnce(&mut Receiver, ManualClock)) -> Self {
        test_log::prepare();
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(NOW);
        let url = format!("sqlite:{}", folder.path().join("bridge.db").display());
        let store = Store::open(&url, Role::Owner, clock.clock()).await.unwrap();
        let draining = CancellationToken::new();
        let random = std::sync::atomic::AtomicU64::new(1);
        let mut receiver = Receiver {
            handlers: HashMap::from([("greet".parse().unwrap(), route(None))]),
            signers: signers(),
            public_url: Some("https://bridge.example.com".parse().unwrap()),
            hosts: HostRules { allowed: ["*.kommo.com".parse().unwrap()].into(), insecure: false },
            max_body: 4096,
            read_timeout: Duration::from_secs(60),
            ack_deadline: Duration::from_secs(60),
            is_disabled: Arc::new(|_, _| false),
            on_account_seen: Arc::new(|_, _, _| {}),
            store: store.clone(),
            clock: clock.clock(),
            random: Arc::new(move || random.fetch_add(1, std::sync::atomic::Ordering::Relaxed).into()),
            notes: Notes { totals: Totals::default(), health: Health::new() },
            draining: draining.clone(),
        };
        change(&mut receiver, clock.clone());
        Self { router: router(receiver), store, clock, draining, _folder: folder }
    }

    async fn send(&self, method: Method, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 100_000).await.unwrap();
        let body = serde_json::from_slice(&body).unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn post(&self, body: impl Into<Body>) -> Answer {
        self.send(Method::POST, PATH, body).await
    }

    async fn jobs(&self) -> usize {
        self.store.jobs().list(&JobFilter { limit: 100, ..JobFilter::default() }).await.unwrap().jobs.len()
    }
}

/// Creates a valid token with these changes.
fn token(changes: Value) -> String {
    hs512(&claims(changes), "new")
}

/// Creates a body as Kommo sends it.
fn form(token: &str, return_url: &str) -> String {
    let return_url: String = url::form_urlencoded::byte_serialize(return_url.as_bytes()).collect();
    format!("token={token}&data%5Bname%5D=Ann&return_url={return_url}")
}
