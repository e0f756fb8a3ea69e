//! Undocumented responses of the token endpoint, and values that Kommo compares character for character.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::post;
use serde_json::json;

use super::*;

/// Starts a simulated Kommo host whose token endpoint returns these bodies one after the other.
async fn host_with_responses(bodies: Vec<Vec<u8>>) -> String {
    let bodies = Arc::new(Mutex::new(bodies.into_iter()));
    let answer = async move || bodies.lock().unwrap().next().unwrap_or_default();
    let router = Router::new().route("/oauth2/access_token", post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn access(claims: &serde_json::Value) -> String {
    use base64::Engine;
    format!("x.{}.y", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
}

#[tokio::test]
async fn an_odd_response_to_a_code_or_a_renewal_keeps_the_tokens() {
    let mut home = Home::new().await;
    let claims = json!({"account_id": "7", "iat": 1_600_000_000, "exp": 1_600_043_200});
    let first = json!({"token_type": "bearer", "expires_in": "86400", "access_token": access(&claims), "refresh_token": "r"});
    // No lifetime, no new refresh token, half a character.
    let second = format!("{{\"access_token\":\"{}\",\"note\":\"\\ud83d\"}}", access(&claims));
    let first = format!("\u{feff}\r\n{first}\n").into_bytes();
    let origin = host_with_responses(vec![first, second.into_bytes()]).await;
    home.allowed.push(host(&origin).to_owned());
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    let callback = Callback { referer: host(&origin).to_owned(), ..home.callback(&accounts) };
    assert_eq!(made(accounts.connect(callback).await).account_id, AccountId(7));
    let tokens = |accounts: &Accounts| {
        let entry = accounts.entry(origin.as_str()).unwrap();
        let (open, _) = entry.open().unwrap();
        (open.tokens.expires_at.since(home.clock.now()), open.tokens.refresh.expose_secret().to_owned())
    };
    assert_eq!(tokens(&accounts), (DAY, "r".to_owned()));
    home.clock.advance(DAY);
    accounts.bearer(origin.as_str()).await.unwrap();
    assert_eq!(tokens(&accounts), (DAY / 2, "r".to_owned()), "the lifetime in the token");
}

#[tokio::test]
async fn a_blocked_address_is_not_blamed_on_the_secret_and_uses_up_no_code() {
    let home = Home::new().await;
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    home.simulator.queue_oauth_faults([Fault::HtmlForbidden]);
    let again = home.callback(&accounts);
    let callback = Callback { code: again.code.clone(), state: again.state.clone(), ..read("http://x/") };
    let callback =
        Callback { referer: again.referer.clone(), client_id: again.client_id.clone(), ..callback };
    let error = accounts.connect(callback).await.unwrap_err();
    assert!(matches!(error, ConnectError::Blocked(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains("blocks the bridge's IP address") && !text.contains("client_secret"), "{text}");
    made(accounts.connect(again).await);
    // A renewal reports it too.
    home.clock.advance(DAY);
    home.simulator.queue_oauth_faults([Fault::HtmlForbidden]);
    let error = accounts.bearer(home.origin()).await.unwrap_err().to_string();
    assert!(error.contains("blocks the bridge's IP address"), "{error}");
}

#[tokio::test]
async fn a_web_page_instead_of_the_token_endpoint_is_not_blamed_on_the_integration() {
    let home = Home::new().await;
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    for fault in [Fault::HtmlNotFound, Fault::HtmlOk, Fault::Redirect("https://example.org/".to_owned())] {
        home.simulator.queue_oauth_faults([fault.clone()]);
        let error = accounts.connect(home.callback(&accounts)).await.unwrap_err();
        assert!(matches!(error, ConnectError::Unavailable(_)), "{fault}: {error}");
        assert!(!error.to_string().contains("client_secret"), "{fault}: {error}");
    }
}

#[tokio::test]
async fn the_redirect_uri_is_sent_as_written() {
    for written in [
        "http://Bridge.Test:80/oauth/../oauth/callback",
        "HTTPS://bridge.test:443/oauth/callback",
        "https://bücher.example/oauth/callback",
        "https://bridge.test",
    ] {
        let mut home = Home::new().await;
        home.redirect_uri = written.to_owned();
        home.simulator.set_redirect_uri(written);
        let (_store, accounts) = home.connected().await;
        home.clock.advance(DAY);
        let renewed = accounts.bearer(home.origin()).await.unwrap();
        assert!(home.accepts(&accounts, &renewed).await, "{written}");
        assert_eq!(home.refreshes(), 1);
    }
}
