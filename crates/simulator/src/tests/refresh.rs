//! Refreshes: rotation, lost responses, races, expiry, and faults of the token endpoint.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Fault, Options, Simulator};
use super::{adjustable_clock, client, ordinary, refresh, simulator, status_with};

fn pair(answer: &(u16, Value)) -> (String, String) {
    assert_eq!(answer.0, 200, "{}", answer.1);
    let text = |key: &str| answer.1[key].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

fn is_revoked(answer: &(u16, Value)) -> bool {
    answer.0 == 401 && answer.1["hint"] == "Token has been revoked"
}

#[tokio::test]
async fn old_refresh_token_works_until_the_new_pair_is_used() {
    let kommo = simulator().await;
    let old = kommo.issue_tokens();
    let (lost_access, lost) = pair(&refresh(&kommo, &old.refresh_token).await);
    assert_ne!(lost, old.refresh_token);
    assert_eq!(
        status_with(&kommo, &old.access_token).await,
        200,
        "the old access token stays valid, and using it does not count as use of the new pair"
    );

    let (access, new) = pair(&refresh(&kommo, &old.refresh_token).await);
    assert!(is_revoked(&refresh(&kommo, &lost).await), "the unused pair was replaced");
    assert_eq!(status_with(&kommo, &lost_access).await, 401);
    assert_eq!(status_with(&kommo, &access).await, 200);
    assert!(is_revoked(&refresh(&kommo, &old.refresh_token).await));
    pair(&refresh(&kommo, &new).await);
}

#[tokio::test]
async fn call_that_meets_a_fault_does_not_count_as_use_of_its_token() {
    let kommo = simulator().await;
    let old = kommo.issue_tokens();
    let (access, _) = pair(&refresh(&kommo, &old.refresh_token).await);
    kommo.queue_api_faults([Fault::Status(500)]);
    assert_eq!(status_with(&kommo, &access).await, 500);
    pair(&refresh(&kommo, &old.refresh_token).await);
}

#[tokio::test]
async fn one_of_two_concurrent_refreshes_is_refused_as_revoked() {
    let token_latency = Duration::from_millis(300);
    let kommo = Simulator::start(Options { token_latency, ..Options::default() }).await.unwrap();
    let old = kommo.issue_tokens();
    let (one, two) = tokio::join!(refresh(&kommo, &old.refresh_token), refresh(&kommo, &old.refresh_token));
    let (winner, loser) = if one.0 == 200 { (one, two) } else { (two, one) };
    assert!(is_revoked(&loser), "{loser:?}");
    let (access, _) = pair(&winner);
    assert_eq!(status_with(&kommo, &access).await, 200);
}

#[tokio::test]
async fn old_refresh_token_still_works_after_a_lost_response() {
    let kommo = simulator().await;
    let old = kommo.issue_tokens();
    kommo.queue_oauth_faults([Fault::AnswerLost, Fault::Status(503)]);
    let url = format!("{}/oauth2/access_token", kommo.base_url());
    let options = kommo.options();
    let body = json!({ "client_id": options.client_uuid, "client_secret": options.client_secret,
        "redirect_uri": options.redirect_uri, "grant_type": "refresh_token", "refresh_token": old.refresh_token });
    assert!(client().post(url).json(&body).send().await.unwrap_err().is_request());
    assert_eq!(kommo.issued_secrets().len(), 4, "it was rotated");
    assert_eq!(refresh(&kommo, &old.refresh_token).await.0, 503);
    pair(&refresh(&kommo, &old.refresh_token).await);
    let statuses: Vec<_> = kommo.oauth_calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [None, Some(503), Some(200)]);
}

#[tokio::test]
async fn outage_of_the_token_endpoint_does_not_affect_the_api() {
    let kommo = simulator().await;
    let old = kommo.issue_tokens();
    kommo.set_oauth_outage(Some(Fault::HtmlForbidden));
    for _ in 0..2 {
        assert_eq!(refresh(&kommo, &old.refresh_token).await.0, 403);
    }
    assert_eq!(status_with(&kommo, &old.access_token).await, 200);
    kommo.set_oauth_outage(None);
    pair(&refresh(&kommo, &old.refresh_token).await);
}

#[tokio::test]
async fn expired_access_token_is_refused_until_a_refresh() {
    let (clock, seconds) = adjustable_clock();
    let access_token_lifetime = Duration::from_secs(60);
    let kommo =
        Simulator::start(Options { clock, access_token_lifetime, ..Options::default() }).await.unwrap();
    let first = kommo.issue_tokens();
    seconds.fetch_add(59, Ordering::Relaxed);
    assert_eq!(status_with(&kommo, &first.access_token).await, 200);
    seconds.fetch_add(1, Ordering::Relaxed);
    assert_eq!(status_with(&kommo, &first.access_token).await, 401);
    let answer = refresh(&kommo, &first.refresh_token).await;
    assert_eq!(answer.1["expires_in"], 60);
    let (access, second) = pair(&answer);
    assert_eq!(status_with(&kommo, &access).await, 200);
    kommo.expire_access_tokens();
    assert_eq!(status_with(&kommo, &access).await, 401);
    let (access, last) = pair(&refresh(&kommo, &second).await);
    seconds.fetch_add(90 * 24 * 3600, Ordering::Relaxed);
    assert_eq!(status_with(&kommo, &access).await, 401);
    let (status, problem) = refresh(&kommo, &last).await;
    assert_eq!((status, &problem["hint"]), (401, &json!("Token has expired")));
}

#[tokio::test]
async fn revoking_tokens_spares_the_long_lived_token() {
    let kommo = simulator().await;
    let tokens = kommo.issue_tokens();
    kommo.revoke_tokens();
    assert_eq!(status_with(&kommo, &tokens.access_token).await, 401);
    assert!(is_revoked(&refresh(&kommo, &tokens.refresh_token).await));
    let (status, problem) = refresh(&kommo, "guessed").await;
    assert_eq!((status, &problem["hint"]), (401, &json!("Cannot decrypt the refresh token")));
    assert_eq!(status_with(&kommo, &kommo.options().access_token).await, 200);
}

#[tokio::test]
async fn oauth_access_token_continues_bots() {
    let kommo = simulator().await;
    let bot = kommo.bot(ordinary());
    let tokens = kommo.issue_tokens();
    let request = client().post(bot.return_url()).bearer_auth(&tokens.access_token);
    assert_eq!(request.json(&json!({ "data": {} })).send().await.unwrap().status(), 202);
    assert!(kommo.calls()[0].authorized);
}
