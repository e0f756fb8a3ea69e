//! Granting access: the page, the codes and the first token pair; disabling the integration.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::{Options, Simulator};
use super::{adjustable_clock, client, simulator, status_with, tokens};

fn query(url: &str) -> HashMap<String, String> {
    url::Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

/// The status of the page, and the URL to which it redirects the browser.
async fn page(kommo: &Simulator, query: &str) -> (u16, String) {
    let url = format!("{}/oauth?client_id={}{query}", kommo.base_url(), kommo.options().client_uuid);
    let response = client().get(url).send().await.unwrap();
    let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), location.unwrap_or_default())
}

fn code(url: &str) -> String {
    query(url)["code"].clone()
}

async fn exchange(kommo: &Simulator, code: &str) -> (u16, Value) {
    tokens(kommo, json!({ "grant_type": "authorization_code", "code": code })).await
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn code_from_the_page_can_be_exchanged_for_tokens() {
    let (clock, _) = adjustable_clock();
    let kommo = Simulator::start(Options { clock, ..Options::default() }).await.unwrap();
    kommo.set_redirect_uri("http://bridge.test/oauth/callback?a=b");
    let (status, location) = page(&kommo, "&state=s%20t&mode=post_message").await;
    assert_eq!(status, 302);
    assert!(location.starts_with("http://bridge.test/oauth/callback?a=b&code="), "{location}");
    let back = query(&location);
    let host = kommo.base_url().strip_prefix("http://").unwrap();
    assert_eq!((back["referer"].as_str(), back["state"].as_str()), (host, "s t"));
    assert_eq!(back["client_id"], kommo.options().client_uuid);

    let grant = json!({ "grant_type": "authorization_code", "code": back["code"],
        "redirect_uri": "http://bridge.test/oauth/callback?a=b" });
    let (status, pair) = tokens(&kommo, grant.clone()).await;
    assert_eq!(status, 200);
    assert_eq!((&pair["token_type"], &pair["expires_in"]), (&json!("Bearer"), &json!(86_400)));
    assert_eq!(pair["server_time"], 1_700_000_000_i64);
    let access = pair["access_token"].as_str().unwrap();
    let claims = claims(access);
    let options = kommo.options();
    let expected = [
        ("aud", json!(options.client_uuid)),
        ("account_id", json!(options.account_id)),
        ("base_domain", json!(host)),
        ("api_domain", json!(host)),
        ("iat", json!(1_700_000_000_i64)),
        ("nbf", json!(1_700_000_000_i64)),
        ("exp", json!(1_700_086_400_i64)),
    ];
    for (key, value) in expected {
        assert_eq!(claims[key], value, "{key}");
    }
    assert!(claims["jti"].is_string() && claims["sub"].is_string() && claims["scopes"].is_array());
    assert_eq!(status_with(&kommo, access).await, 200);
    assert_eq!(status_with(&kommo, &access[..access.len() - 1]).await, 401, "a truncated token");

    let (status, problem) = tokens(&kommo, grant).await;
    assert_eq!((status, &problem["hint"]), (400, &json!("Authorization code has been revoked")));
    let secrets = kommo.issued_secrets();
    for secret in [&back["code"], access, pair["refresh_token"].as_str().unwrap()] {
        assert!(secrets.iter().any(|known| known == secret));
    }
    let calls = kommo.oauth_calls();
    let seen: Vec<_> = calls.iter().map(|call| (call.grant_type.as_deref(), call.status)).collect();
    assert_eq!(seen, [(Some("authorization_code"), Some(200)), (Some("authorization_code"), Some(400))]);
}

#[tokio::test]
async fn user_can_refuse_and_an_unknown_client_gets_no_page() {
    let kommo = simulator().await;
    let (status, location) = page(&kommo, "&state=s&deny=1").await;
    let back = query(&location);
    assert_eq!((status, back["error"].as_str(), back["state"].as_str()), (302, "access_denied", "s"));
    assert!(!back.contains_key("code"));
    let url = format!("{}/oauth?client_id=other", kommo.base_url());
    assert_eq!(client().get(url).send().await.unwrap().status(), 400);
    assert!(!query(&page(&kommo, "").await.1).contains_key("state"));
}

#[tokio::test]
async fn code_expires_after_twenty_minutes() {
    let (clock, seconds) = adjustable_clock();
    let kommo = Simulator::start(Options { clock, ..Options::default() }).await.unwrap();
    let [young, old] = [(); 2].map(|()| code(&kommo.callback_url("s").unwrap()));
    seconds.fetch_add(1199, Ordering::Relaxed);
    assert_eq!(exchange(&kommo, &young).await.0, 200);
    seconds.fetch_add(1, Ordering::Relaxed);
    let (status, problem) = exchange(&kommo, &old).await;
    assert_eq!((status, &problem["hint"]), (400, &json!("Authorization code has expired")));
}

#[tokio::test]
async fn each_invalid_token_request_gets_its_own_hint() {
    let kommo = simulator().await;
    let code = code(&kommo.callback_url("s").unwrap());
    let rows = [
        (json!({}), 400, "Check the `grant_type` parameter"),
        (json!({ "grant_type": "password" }), 400, "Check the `grant_type` parameter"),
        (json!({ "grant_type": "authorization_code" }), 400, "Check the `code` parameter"),
        (json!({ "grant_type": "refresh_token" }), 400, "Check the `refresh_token` parameter"),
        (json!({ "client_id": null }), 400, "Check the `client_id` parameter"),
        (json!({ "client_secret": "x" }), 401, "Client authentication failed"),
        (json!({ "client_id": "x" }), 401, "Client authentication failed"),
        (json!({ "redirect_uri": "http://evil.test/" }), 400, "Check the `redirect_uri` parameter"),
        (json!({ "code": "guessed" }), 400, "Cannot decrypt the authorization code"),
    ];
    for (with, status, hint) in rows {
        let mut body = json!({ "grant_type": "authorization_code", "code": code });
        if with == json!({}) || with.get("grant_type").is_some() {
            body = with.clone();
        }
        body.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        let (got, problem) = tokens(&kommo, body).await;
        assert_eq!((got, problem["hint"].as_str().unwrap()), (status, hint), "{with}");
        assert_eq!(problem["status"], status, "{with}");
        assert!(problem["title"].is_string() && problem["type"].is_string() && problem["detail"].is_string());
    }
    assert_eq!(exchange(&kommo, &code).await.0, 200, "none of them used the code");
}

#[tokio::test]
async fn installing_a_widget_calls_back_without_a_state() {
    let (kommo, bridge) = (simulator().await, simulator().await);
    kommo.set_redirect_uri(format!("{}/oauth/callback", bridge.base_url()));
    let back = query(&kommo.install_callback_url().unwrap());
    assert_eq!(back["from_widget"], "1");
    assert!(!back.contains_key("state") && back.contains_key("referer"));
    assert_eq!(kommo.send_install_callback().await.unwrap().status, 404, "the path is not served");
    let grant = json!({ "grant_type": "authorization_code", "code": back["code"],
        "redirect_uri": format!("{}/oauth/callback", bridge.base_url()) });
    assert_eq!(tokens(&kommo, grant).await.0, 200);
}

/// The expected signature comes from `printf 'uuid|id' | openssl dgst -sha256 -hmac secret`.
#[tokio::test]
async fn disabling_revokes_the_tokens_and_calls_the_signed_hook() {
    let options = Options {
        client_uuid: "9b2cf3a5-0c1e-4d57-8c6e-2f6f3f1f0d11".into(),
        client_secret: "secret".into(),
        account_id: 31_000_001,
        ..Options::default()
    };
    let (kommo, bridge) = (Simulator::start(options).await.unwrap(), simulator().await);
    let tokens = kommo.issue_tokens();
    let url = kommo.revoke_url("http://bridge.test/");
    assert_eq!(
        url,
        "http://bridge.test/oauth/revoked?account_id=31000001\
         &client_uuid=9b2cf3a5-0c1e-4d57-8c6e-2f6f3f1f0d11\
         &signature=5ff5acfaa84a8c0e4963913f505a0aa59fbdb62c41a200fd2c9066f6b5e2c12d"
    );
    assert_eq!(status_with(&kommo, &tokens.access_token).await, 200);
    assert_eq!(kommo.disable(bridge.base_url()).await.unwrap().status, 404);
    assert_eq!(status_with(&kommo, &tokens.access_token).await, 401);
    assert_eq!(status_with(&kommo, &kommo.options().access_token).await, 200);
}
