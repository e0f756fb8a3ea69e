//! Which callbacks connect an account, and which do not.

use super::*;
use model::Authorization;
use store::NewConnection;

#[tokio::test]
async fn a_code_connects_its_account() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    let bearer = accounts.bearer(home.origin()).await.unwrap();
    assert!(home.accepts(&accounts, &bearer).await);
    let record = store.accounts().all().await.unwrap().remove(0);
    assert_eq!(record.key.account_id.0, home.simulator.options().account_id);
    assert_eq!(record.origin.as_deref(), Some(home.origin()));
    let again = made(accounts.connect(home.callback(&accounts)).await);
    assert_eq!((again.was, again.integration.as_str()), (Some(AccountState::Active), "main"));
    assert_eq!(store.accounts().all().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_foreign_callback_is_refused_before_the_secret_is_sent() {
    let home = Home::new().await;
    let stranger = Simulator::start(options(&home.clock)).await.unwrap();
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    let good = || home.callback(&accounts);
    let foreign = ConnectError::State(StateError::Foreign);
    let referer = |text: &str| Callback { referer: text.to_owned(), ..good() };
    for (callback, expected) in [
        (Callback { state: None, ..good() }, Some(ConnectError::State(StateError::Missing))),
        (Callback { state: Some("x".into()), ..good() }, Some(foreign.clone())),
        (Callback { state: Some("x".into()), from_widget: true, ..good() }, Some(foreign)),
        (Callback { client_id: Some("x".into()), ..good() }, Some(ConnectError::UnknownIntegration)),
        (referer(host(stranger.base_url())), None),
        (referer("evil.example"), None),
        (referer(&format!("evil.example@{}", host(home.origin()))), None),
        (referer(&format!("{}/x", host(home.origin()))), None),
        (referer(""), None),
    ] {
        let error = accounts.connect(callback).await.unwrap_err();
        match expected {
            Some(expected) => assert_eq!(error, expected),
            None => assert!(matches!(error, ConnectError::Referer(_)), "{error}"),
        }
    }
    assert!(home.simulator.oauth_calls().is_empty() && stranger.oauth_calls().is_empty());
    let late = good();
    home.clock.advance(link::LINK_LIFE);
    assert_eq!(accounts.connect(late).await, Err(ConnectError::State(StateError::Expired)));
    assert!(store.accounts().all().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_account_that_cannot_be_stored_is_not_connected() {
    let home = Home::new().await;
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    store.close().await;
    let error = accounts.connect(home.callback(&accounts)).await.unwrap_err();
    assert_eq!(error, ConnectError::Store(StoreError::Closed));
    assert_eq!(accounts.bearer(home.origin()).await.unwrap_err(), NoBearer::Unknown);
}

/// Starts a host that returns tokens of account 2 to everyone. Asked which account is there, it responds with `status`
/// and `body`.
async fn host_of_account_2(status: u16, body: &'static str) -> String {
    use axum::routing::{get, post};
    use axum::{Json, Router};
    use base64::Engine;
    use http::StatusCode;
    use serde_json::json;

    let claims = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(r#"{"account_id":2}"#);
    let tokens =
        json!({ "access_token": format!("x.{claims}.y"), "refresh_token": "r", "expires_in": 86_400 });
    let router = Router::new()
        .route("/oauth2/access_token", post(async move || Json(tokens)))
        .route("/api/v4/account", get(async move || (StatusCode::from_u16(status).unwrap(), body)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test]
async fn no_account_replaces_one_that_is_still_at_the_address() {
    enum Expected {
        Made,
        Taken,
        Blocked,
    }
    for (status, body, expected) in [
        (200, r#"{"id":1}"#, Expected::Taken),
        (200, r#"{"id":2}"#, Expected::Made),
        (401, "{}", Expected::Taken),
        // A blocked address says nothing about the account.
        (403, "<html>", Expected::Blocked),
    ] {
        let mut home = Home::new().await;
        let origin = host_of_account_2(status, body).await;
        home.allowed.push(host(&origin).to_owned());
        let (store, accounts) = home.connected().await;
        // Account 1 is connected there.
        let mine = accounts.entry(home.origin()).unwrap().record.key.clone();
        let sealed = store.accounts().all().await.unwrap().remove(0);
        let Authorization::Active(tokens) = sealed.authorization else { panic!("it was connected") };
        let one = AccountKey { account_id: AccountId(1), ..mine };
        let origin_of_one = origin.as_str().into();
        let new = NewConnection {
            key: one,
            origin: origin_of_one,
            tokens,
            moves_from: None,
            state: None,
            by: None,
        };
        store.accounts().connect(new).await.unwrap();
        accounts.reload().await.unwrap();
        let callback = Callback { referer: host(&origin).to_owned(), ..home.callback(&accounts) };
        let connected = accounts.connect(callback).await;
        match expected {
            Expected::Made => assert_eq!(made(connected).account_id, AccountId(2)),
            Expected::Taken => assert_eq!(connected, Err(ConnectError::Taken)),
            Expected::Blocked => {
                assert!(matches!(connected, Err(ConnectError::Blocked(_))), "{connected:?}");
            }
        }
    }
}
