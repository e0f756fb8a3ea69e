//! Callbacks that do not connect an account.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::played::{account, kommo, manual_clock};
use crate::setup::host;

fn slug(body: &Value) -> &str {
    body["type"].as_str().unwrap().rsplit(':').next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_not_ours_or_too_old_sends_nothing_to_kommo() {
    let (kommo, clock) = (kommo().await, manual_clock());
    let bridge = setup(&[&kommo]).clock(clock.clock()).start().await;
    let good = follow(&link(&bridge, &kommo)).await;
    for (callback, status, expected) in [
        (kommo.callback_url("forged").unwrap(), 403, "state-refused"),
        (changed(&good, "state", ""), 403, "state-refused"),
        (changed(&good, "client_id", "another"), 403, "unknown-integration"),
        (changed(&good, "code", ""), 400, "no-oauth-callback"),
    ] {
        let (got, body) = call_back(&bridge, &callback).await;
        assert_eq!((got, slug(&body)), (status, expected), "{body}");
    }
    // The command uses the system's clock, and the machine may be slow, so advance far.
    clock.advance(Duration::from_secs(2 * 3_600));
    let (status, body) = call_back(&bridge, &good).await;
    assert_eq!((status, slug(&body)), (403, "state-refused"));
    assert!(body["detail"].as_str().unwrap().contains("older than an hour"), "{body}");
    assert!(kommo.oauth_calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_goes_only_to_allowed_hosts() {
    let (kommo, stranger) = (kommo().await, account(2).await);
    let bridge = setup(&[&kommo]).start().await;
    let good = follow(&link(&bridge, &kommo)).await;
    let url = format!("http://{}", host(&stranger));
    for referer in [host(&stranger), &url, &format!("{}/{}", host(&kommo), host(&stranger))] {
        let (status, body) = call_back(&bridge, &changed(&good, "referer", referer)).await;
        assert_eq!((status, slug(&body)), (403, "referer-refused"), "{referer}: {body}");
        assert!(!body.to_string().contains(host(&stranger)), "the answer repeats a stranger's text: {body}");
    }
    assert!(stranger.oauth_calls().is_empty() && kommo.oauth_calls().is_empty());
    let (status, body) = call_back(&bridge, &good).await;
    assert_eq!(status, 200, "the code was used up: {body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_authorization_changes_nothing() {
    let kommo = kommo().await;
    let bridge = setup(&[&kommo]).start().await;
    connect(&bridge, &kommo).await;
    let callback = follow(&format!("{}&deny=1", link(&bridge, &kommo))).await;
    assert_eq!(call_back(&bridge, &callback).await, (200, json!({ "state": "denied" })));
    check_continue(&bridge, &kommo).await;
    assert_eq!(kommo.oauth_calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_once_and_repeating_it_is_harmless() {
    let kommo = kommo().await;
    let bridge = setup(&[&kommo]).start().await;
    let callback = follow(&link(&bridge, &kommo)).await;
    assert_eq!(call_back(&bridge, &callback).await.0, 200);
    let (status, body) = call_back(&bridge, &callback).await;
    assert_eq!((status, &body["state"]), (200, &json!("active")), "{body}");
    let (status, body) = call_back(&bridge, &changed(&callback, "code", "another")).await;
    assert_eq!((status, slug(&body)), (403, "state-refused"), "{body}");
    assert_eq!(kommo.oauth_calls().len(), 1);
    check_continue(&bridge, &kommo).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_secret_that_kommo_refuses_is_reported_as_a_fault_of_the_bridge() {
    let kommo = kommo().await;
    let wrong = setup(&[&kommo]).config("integrations.main.client_secret = \"another\"");
    let bridge = wrong.start().await;
    let (status, body) = call_back(&bridge, &follow(&link(&bridge, &kommo)).await).await;
    assert_eq!((status, slug(&body)), (502, "integration-refused"));
    assert!(body["detail"].as_str().unwrap().contains("client_secret"), "{body}");
}
