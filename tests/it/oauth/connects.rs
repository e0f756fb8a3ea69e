//! Accounts that an operator or a widget connects.

use serde_json::json;

use super::*;
use crate::played::{calls_for, kommo};
use crate::setup::host;

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_waits_for_the_authorization_and_goes_out_automatically() {
    let kommo = kommo().await;
    let bridge = setup(&[&kommo]).start().await;
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "echo").await;
    let why = bridge.waiting(host(&kommo)).await;
    assert!(why.contains("accounts authorize"), "{why}");
    bridge.in_state(&id, "delivering").await;
    assert!(calls_for(&kommo, &bot).is_empty(), "there is no bearer to call with");

    let callback = follow(&link(&bridge, &kommo)).await;
    let request = bridge.client.get(at(&bridge, &callback)).header("accept", "text/html");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let page = response.text().await.unwrap();
    let number = kommo.options().account_id.to_string();
    for word in [host(&kommo), &number, "main", "The account is connected"] {
        assert!(page.contains(word), "{word} in\n{page}");
    }
    continued(&bot).await;
    bridge.in_state(&id, "delivered").await;
    bridge.until("the end of all waits", || async { bridge.ready().await.1["waiting"] == json!([]) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_connects_without_a_link_if_a_bot_has_asked() {
    let kommo = kommo().await;
    let bridge = setup(&[&kommo]).config("integrations.main.install_without_link = true").start().await;
    let (status, body) = call_back(&bridge, &kommo.install_callback_url().unwrap()).await;
    assert_eq!((status, &body["state"]), (202, &json!("unconfirmed")), "{body}");
    assert!(kommo.oauth_calls().is_empty());

    let bot = bot(&kommo);
    bridge.ask(&bot, "echo").await;
    let (status, body) = call_back(&bridge, &kommo.install_callback_url().unwrap()).await;
    let expected =
        json!({ "account_id": kommo.options().account_id, "host": host(&kommo), "state": "active" });
    assert_eq!((status, body), (200, expected));
    continued(&bot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_installation_is_completed_when_a_bot_asks() {
    let kommo = kommo().await;
    let bridge = setup(&[&kommo]).config("integrations.main.install_without_link = true").start().await;
    let (status, body) = call_back(&bridge, &kommo.install_callback_url().unwrap()).await;
    assert_eq!(status, 202, "{body}");
    let listed = accounts(&bridge, &["list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["installations"][0]["host"], host(&kommo), "{listed}");
    let bot = bot(&kommo);
    bridge.ask(&bot, "echo").await;
    continued(&bot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_resumes_when_a_user_with_more_rights_authorizes_it() {
    let kommo = kommo().await;
    let bridge = setup(&[&kommo]).start().await;
    connect(&bridge, &kommo).await;
    kommo.set_administrator(false);
    let bot = bot(&kommo);
    bridge.ask(&bot, "echo").await;
    let why = bridge.waiting(host(&kommo)).await;
    assert!(why.contains("administrator"), "{why}");
    kommo.set_administrator(true);
    let (status, body) = call_back(&bridge, &follow(&link(&bridge, &kommo)).await).await;
    assert_eq!(status, 200, "{body}");
    continued(&bot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connected_account_survives_a_restart() {
    let kommo = kommo().await;
    let bridge = setup(&[&kommo]).start().await;
    connect(&bridge, &kommo).await;
    let folder = bridge.stop().await;
    let bridge = setup(&[&kommo]).folder(&folder).start().await;
    check_continue(&bridge, &kommo).await;
    assert_eq!(kommo.oauth_calls().len(), 1, "it was connected once");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_of_the_public_listener_is_a_problem() {
    let kommo = kommo().await;
    let bridge = setup(&[&kommo]).start().await;
    for (method, path, status) in [
        ("GET", "/oauth", 404),
        ("GET", "/", 404),
        ("POST", "/oauth/callback", 405),
        ("HEAD", "/oauth/revoked", 405),
        ("GET", "/widget_request/echo", 405),
    ] {
        let url = format!("http://{}{path}", bridge.address());
        let response = bridge.client.request(method.parse().unwrap(), url).send().await.unwrap();
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{method} {path}");
    }
}
