//! The router with real accounts on a real store, called without a socket. Kommo is a simulated token endpoint that
//! responds as a test specifies.

mod callback;
mod log;
mod refusals;
mod revoked;

use std::sync::Mutex;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method, Request};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tower::ServiceExt;
use url::Url;

use super::*;
use crate::accounts::{self, EncryptionKeys, LINK_LIFE, OAuthIntegration};
use crate::health::Health;
use kommo::HttpClient;
use kommo::pace::{CallLimiter, CallLimits};
use model::clock::ManualClock;
use model::{AccountId, AccountState, HostRules, Timestamp};
use store::{Role, Store};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const SECRET: &str = "the-secret-of-the-integration";
const BROWSER: &str = "text/html,application/xhtml+xml";

/// The responses of the simulated token endpoint, and the calls it got.
#[derive(Clone)]
struct Played {
    answer: Arc<Mutex<(u16, Value)>>,
    asked: Arc<Mutex<Vec<Value>>>,
}

struct Bench {
    router: Router,
    accounts: Accounts,
    integration: OAuthIntegration,
    store: Store,
    clock: ManualClock,
    draining: CancellationToken,
    kommo: Played,
    /// Its address.
    host: String,
    _folder: TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

fn pair(account_id: i64) -> Value {
    let claims = BASE64_URL_SAFE_NO_PAD.encode(json!({ "account_id": account_id }).to_string());
    let (access_token, refresh_token) = (format!("head.{claims}.issued-access"), "issued-refresh");
    json!({ "token_type": "Bearer", "expires_in": 86400, "access_token": access_token, "refresh_token": refresh_token })
}

impl Bench {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut accounts::AccountsParts)) -> Self {
        test_log::prepare();
        let kommo = Played { answer: Arc::new(Mutex::new((200, pair(7)))), asked: Arc::default() };
        let host = play(kommo.clone()).await;
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(NOW);
        let url = format!("sqlite:{}", folder.path().join("bridge.db").display());
        let store = Store::open(&url, Role::Owner, clock.clock()).await.unwrap();
        let hosts = HostRules { allowed: [host.parse().unwrap()].into(), insecure: true };
        let integration = OAuthIntegration {
            name: "main".into(),
            client_uuid: "id-of-main".into(),
            client_secret: SECRET.into(),
            previous_client_secret: None,
            redirect_uri: Some("https://bridge.example.com/oauth/callback".parse().unwrap()),
            install_without_link: true,
        };
        let mut parts = accounts::AccountsParts {
            long_lived: Vec::new(),
            integrations: vec![integration.clone()],
            keys: Some(EncryptionKeys { current: Arc::new([7; 32]), previous: None }),
            store: Some(store.clone()),
            kommo: HttpClient::direct(hosts.clone(), Duration::from_secs(20)).unwrap(),
            hosts,
            limiter: CallLimiter::new(
                CallLimits { rate_per_account: 1000, rate_total: None, concurrency: 100 },
                clock.clock(),
            ),
            health: Health::new(),
            request_timeout: Duration::from_secs(20),
            clock: clock.clock(),
            random: fastrand::f64,
            secret_random: |bytes| {
                bytes.fill_with(|| fastrand::u8(..));
                true
            },
        };
        change(&mut parts);
        let accounts = Accounts::open(parts).await.unwrap();
        let draining = CancellationToken::new();
        let router =
            router(Oauth { accounts: accounts.clone(), draining: draining.clone(), clock: clock.clock() });
        Self { router, accounts, integration, store, clock, draining, kommo, host, _folder: folder }
    }

    async fn send(&self, method: Method, path: &str, accept: &str) -> Answer {
        let request = Request::builder().method(method).uri(path).header("accept", accept);
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 100_000).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.send(Method::GET, path, "*/*").await;
        (answer.status.as_u16(), serde_json::from_str(&answer.text).unwrap())
    }

    /// Returns the status of a refusal and the end of its `type`.
    async fn refused(&self, path: &str) -> (u16, String) {
        let (status, body) = self.get(path).await;
        (status, body["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned())
    }

    fn state(&self) -> String {
        let site: Url = "https://www.kommo.com".parse().unwrap();
        let link = self.accounts.authorization_link(&site, &self.integration).unwrap();
        link.query_pairs().find(|(key, _)| key == "state").unwrap().1.into_owned()
    }

    /// Returns a callback URL with these parameters replacing the default ones; an empty value removes a parameter.
    fn callback(&self, changes: &[(&str, &str)]) -> String {
        let state = self.state();
        let usual =
            [("code", "the-code"), ("referer", &*self.host), ("client_id", "id-of-main"), ("state", &*state)];
        let kept = usual.iter().filter(|(key, _)| !changes.iter().any(|(other, _)| other == key));
        let pairs = kept.chain(changes).filter(|(_, value)| !value.is_empty());
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        format!("/oauth/callback?{query}")
    }

    /// Records that a bot of account 7 has sent a request before.
    fn becomes_known(&self) {
        self.accounts.was_seen("id-of-main", &format!("http://{}", self.host), AccountId(7));
    }

    /// Makes Kommo refuse the account's tokens, as after a disconnection.
    fn kommo_forgets(&self) {
        self.kommo_says(401, json!({ "hint": "Token has been revoked" }));
    }

    fn kommo_says(&self, status: u16, body: Value) {
        *self.kommo.answer.lock().unwrap() = (status, body);
    }

    fn asked(&self) -> Vec<Value> {
        self.kommo.asked.lock().unwrap().clone()
    }

    async fn state_of_account(&self) -> Option<AccountState> {
        self.accounts.list().await.unwrap().first().map(|listed| listed.state)
    }
}

/// Serves for as long as the test runs.
async fn play(played: Played) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let router = Router::new().route(
        "/oauth2/access_token",
        post(async move |Json(body): Json<Value>| {
            played.asked.lock().unwrap().push(body);
            let (status, body) = played.answer.lock().unwrap().clone();
            (StatusCode::from_u16(status).unwrap(), Json(body))
        }),
    );
    tokio::spawn(async move { axum::serve(listener, router).await });
    host
}

fn revocation(account_id: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let signed = mac.chain_update(format!("id-of-main|{account_id}")).finalize().into_bytes();
    format!("/oauth/revoked?account_id={account_id}&client_uuid=id-of-main&signature={}", hex::encode(signed))
}
