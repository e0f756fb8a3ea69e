//! The outcomes of a revocation, and requests that change nothing.

use super::*;

#[tokio::test]
async fn a_signed_revocation_disconnects_and_any_other_changes_nothing() {
    let bench = Bench::new().await;
    bench.get(&bench.callback(&[])).await;
    let good = revocation("7");
    let (head, signature) = good.rsplit_once('=').unwrap();
    for (path, status, slug) in [
        (format!("{head}={}", "0".repeat(64)), 403, "revocation-signature"),
        (format!("{head}=no-hex"), 403, "revocation-signature"),
        (good.replace("account_id=7", "account_id=8"), 403, "revocation-signature"),
        (good.replace("id-of-main", "another"), 403, "revocation-signature"),
        (revocation("seven"), 400, "no-revocation"),
        (revocation("-7"), 400, "no-revocation"),
        (head.rsplit_once('&').unwrap().0.to_owned(), 400, "no-revocation"),
        (format!("{good}&signature={signature}"), 400, "no-revocation"),
    ] {
        assert_eq!(bench.refused(&path).await, (status, slug.to_owned()), "{path}");
        assert_eq!(bench.state_of_account().await, Some(AccountState::Active), "{path}");
    }
    bench.kommo_forgets();
    assert_eq!(bench.get(&good).await, (200, json!({ "cancelled": 0 })));
    assert!(bench.accounts.is_disabled(AccountId(7), "id-of-main"));
    bench.kommo_says(200, pair(7));
    bench.get(&bench.callback(&[])).await;
    assert!(!bench.accounts.is_disabled(AccountId(7), "id-of-main"));
    // The same call does not work a second time: Kommo accepts the account's token.
    assert_eq!(bench.refused(&good).await, (409, "still-connected".into()));
    assert_eq!(bench.state_of_account().await, Some(AccountState::Active));
}

#[tokio::test]
async fn a_revocation_waits_while_kommo_cannot_be_reached() {
    let bench = Bench::new().await;
    bench.get(&bench.callback(&[])).await;
    bench.kommo_says(503, json!({}));
    assert_eq!(bench.get(&revocation("7")).await, (202, json!({ "state": "pending" })));
    assert_eq!(bench.state_of_account().await, Some(AccountState::Active));
    bench.kommo_forgets();
    bench.clock.advance(Duration::from_secs(60));
    bench.accounts.step(&bench.store).await;
    assert_eq!(bench.state_of_account().await, Some(AccountState::Revoked));
}

#[tokio::test]
async fn a_head_request_does_not_use_up_the_link() {
    let bench = Bench::new().await;
    for (method, path) in [(Method::HEAD, bench.callback(&[])), (Method::HEAD, revocation("7"))] {
        let answer = bench.send(method, &path, BROWSER).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["allow"]),
            (405, &HeaderValue::from_static("GET"))
        );
    }
    let (status, slug) = {
        let answer = bench.send(Method::POST, &bench.callback(&[]), "*/*").await;
        (answer.status.as_u16(), answer.headers["content-type"].clone())
    };
    assert_eq!((status, slug.to_str().unwrap()), (405, "application/problem+json"));
    assert_eq!((bench.asked().len(), bench.state_of_account().await), (0, None));
}

#[tokio::test]
async fn a_store_failure_is_reported_without_its_reason() {
    let bench = Bench::new().await;
    bench.store.close().await;
    let (status, body) = bench.get(&bench.callback(&[])).await;
    assert_eq!((status, &body["type"]), (503, &json!("urn:salesbot-bridge:problem:not-stored")));
    let (status, body) = bench.get(&revocation("7")).await;
    assert_eq!((status, &body["type"]), (503, &json!("urn:salesbot-bridge:problem:not-stored")));
}
