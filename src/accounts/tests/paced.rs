//! Token calls pass the limiter like every other call, and new tokens are stored before anyone gets them.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use futures_util::future::BoxFuture;
use http::StatusCode;
use serde_json::json;

use super::*;
use kommo::pace::{CallKind, Cause, Pause, Source};

const HOUR: Duration = Duration::from_secs(3_600);

/// A simulated Kommo host that responds the same to every path.
struct Played {
    origin: String,
    calls: Arc<AtomicUsize>,
}

impl Played {
    /// `answer` gets the number of the call, from 0.
    async fn start(
        answer: impl Fn(usize) -> BoxFuture<'static, (u16, String)> + Send + Sync + 'static,
    ) -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let (counted, answer) = (calls.clone(), Arc::new(answer));
        let router = Router::new().fallback(move || {
            let answer = answer(counted.fetch_add(1, Ordering::SeqCst));
            async move {
                let (status, body) = answer.await;
                (StatusCode::from_u16(status).unwrap(), body)
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { origin, calls }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

fn tokens(name: &str, api_domain: &str) -> String {
    use base64::Engine;
    let claims = json!({"account_id": 7, "api_domain": api_domain, "name": name}).to_string();
    let access = format!("x.{}.y", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(claims));
    json!({"access_token": access, "refresh_token": name, "expires_in": 86_400}).to_string()
}

/// Makes Kommo ask for a pause of an hour.
async fn pause(accounts: &Accounts, origin: &str) {
    let mut permit = accounts.0.parts.limiter.acquire(origin, CallKind::Token, HOUR).await.unwrap();
    permit.pause(Pause { cause: Cause::TooMany, hint: Some(HOUR), source: Source::Token });
}

#[tokio::test]
async fn every_token_call_respects_the_pace() {
    let home = Home::new().await;
    let (_store, accounts) = home.connected().await;
    home.clock.advance(DAY);
    pause(&accounts, home.origin()).await;
    let before = home.simulator.oauth_calls().len();
    let refused = accounts.bearer(home.origin()).await.unwrap_err();
    assert!(matches!(refused, NoBearer::NotRenewed { .. }), "{refused}");
    let refused = accounts.connect(home.callback(&accounts)).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Unavailable(_)), "{refused}");
    assert_eq!(home.simulator.oauth_calls().len(), before, "a call was sent during the pause");
    home.clock.advance(HOUR);
    accounts.bearer(home.origin()).await.unwrap();
    assert_eq!(home.refreshes(), 1);
}

#[tokio::test]
async fn asking_for_an_accounts_address_respects_the_pace_of_that_host() {
    let mut home = Home::new().await;
    let api = Played::start(|_| Box::pin(async { (200, json!({"id": 8, "domain": "x"}).to_string()) })).await;
    let api_domain = host(&api.origin).to_owned();
    let account = Played::start(move |call| {
        let first = tokens("first", &api_domain);
        Box::pin(async move { if call == 0 { (200, first) } else { (401, "{}".to_owned()) } })
    })
    .await;
    home.allowed.extend([&api, &account].map(|played| host(&played.origin).to_owned()));
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    let callback = Callback { referer: host(&account.origin).to_owned(), ..home.callback(&accounts) };
    made(accounts.connect(callback).await);
    home.clock.advance(DAY);
    pause(&accounts, &api.origin).await;
    accounts.bearer(account.origin.as_str()).await.unwrap_err();
    assert_eq!((account.calls(), api.calls()), (2, 0), "a call was sent during the pause");
    home.clock.advance(HOUR);
    accounts.bearer(account.origin.as_str()).await.unwrap_err();
    assert_eq!((account.calls(), api.calls()), (3, 1));
}

#[tokio::test]
async fn a_renewed_token_is_not_used_before_it_is_stored() {
    let mut home = Home::new().await;
    let store = home.store(Role::Owner).await;
    let closing = store.clone();
    let kommo = Played::start(move |call| {
        let closing = closing.clone();
        Box::pin(async move {
            if call == 0 {
                return (200, tokens("first", "x"));
            }
            // Kommo has issued the new pair, and from now on nothing can be written.
            closing.close().await;
            (200, tokens("second", "x"))
        })
    })
    .await;
    home.allowed.push(host(&kommo.origin).to_owned());
    let accounts = home.accounts(&store).await;
    let callback = Callback { referer: host(&kommo.origin).to_owned(), ..home.callback(&accounts) };
    made(accounts.connect(callback).await);
    let first = accounts.bearer(kommo.origin.as_str()).await.unwrap();
    let refused = accounts.renewed(kommo.origin.as_str(), &first).await.unwrap_err();
    assert!(matches!(refused, NoBearer::NotRenewed { .. }), "{refused}");
    assert_eq!(kommo.calls(), 2);
    // Later callers do not get the new token either.
    let known = accounts.entry(kommo.origin.as_str()).unwrap();
    assert_eq!(known.open().unwrap().0.tokens.refresh.expose_secret(), "first");
    assert_eq!(token(&known.bearer().unwrap()), token(&first));
}
