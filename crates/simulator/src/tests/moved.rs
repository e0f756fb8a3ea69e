//! An account that moves to another host, and how a caller finds it.

use serde_json::{Value, json};

use super::super::{MovedAnswer, Options, Simulator};
use super::{client, refresh, simulator, status_with};

/// Asks the simulator for the host of the account that this refresh token belongs to.
async fn host_of(kommo: &Simulator, token: &str) -> (u16, Value) {
    let url = format!("{}/oauth2/account/current/subdomain", kommo.base_url());
    let response = client().get(url).header("X-Refresh-Token", token).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn moved_account_is_found_by_its_refresh_token_and_works_at_the_new_host() {
    for (answer, status) in [(MovedAnswer::Unauthorized, 401), (MovedAnswer::NotFound, 404)] {
        let old = simulator().await;
        let new =
            Simulator::start(Options { subdomain: "elsewhere".into(), ..Options::default() }).await.unwrap();
        let tokens = old.issue_tokens();
        old.move_to(&new, answer);

        assert_eq!(refresh(&old, &tokens.refresh_token).await.0, status);
        for bearer in [&tokens.access_token, &old.options().access_token] {
            assert_eq!(status_with(&old, bearer).await, 401);
        }
        let host = new.base_url().strip_prefix("http://").unwrap();
        let expected = json!({ "id": new.options().account_id, "subdomain": "elsewhere", "domain": host,
            "top_level_domain": "1" });
        assert_eq!(host_of(&old, &tokens.refresh_token).await, (200, expected));
        let (found, pair) = refresh(&new, &tokens.refresh_token).await;
        assert_eq!(found, 200);
        assert_eq!(status_with(&new, pair["access_token"].as_str().unwrap()).await, 200);
        assert_eq!(host_of(&old, &tokens.refresh_token).await.0, 401, "its successor was used");
        assert_eq!(host_of(&old, pair["refresh_token"].as_str().unwrap()).await.0, 200);
    }
}

#[tokio::test]
async fn account_that_has_not_moved_returns_its_own_host() {
    let kommo = simulator().await;
    let tokens = kommo.issue_tokens();
    let (status, body) = host_of(&kommo, &tokens.refresh_token).await;
    assert_eq!((status, body["domain"].as_str()), (200, kommo.base_url().strip_prefix("http://")));
    let (status, problem) = host_of(&kommo, "guessed").await;
    assert_eq!((status, &problem["hint"]), (401, &json!("Token has been revoked")));
}
