//! All refusals, as callers and operators see them.

use super::*;
use crate::accounts::{RevocationError, StateError};
use crate::oauth::query::QueryError;
use kommo::{GrantError, Reason};
use store::StoreError;

/// A refusal, its status, the end of its `type`, its label, and whether the same call may be retried.
type Row = (Refusal, u16, &'static str, &'static str, bool);

fn rows() -> Vec<Row> {
    use ConnectError as E;
    let text = || "why".to_owned();
    let failed = || GrantError::Unavailable(Reason::new(text()));
    let connect: Vec<(ConnectError, u16, &str, &str, bool)> = vec![
        (E::UnknownIntegration, 403, "unknown-integration", "unknown_integration", false),
        (E::State(StateError::Missing), 403, "state-refused", "bad_state", false),
        (E::State(StateError::Foreign), 403, "state-refused", "bad_state", false),
        (E::State(StateError::Expired), 403, "state-refused", "bad_state", false),
        (E::State(StateError::Used), 403, "state-refused", "bad_state", false),
        (E::LinkNeeded("main".into()), 403, "link-needed", "no_link", false),
        (
            E::Elsewhere { account_id: AccountId(7), host: text() },
            403,
            "account-elsewhere",
            "account_elsewhere",
            false,
        ),
        (E::OtherAccount(AccountId(7)), 403, "other-account", "other_account", false),
        (E::Referer(failed().into()), 403, "referer-refused", "bad_referer", false),
        (E::Code(failed().into()), 400, "code-refused", "bad_code", false),
        (E::Refused(failed().into()), 502, "integration-refused", "refused", false),
        (E::Blocked(failed().into()), 502, "address-blocked", "blocked", false),
        (E::Taken, 403, "address-taken", "bad_referer", false),
        (E::TooMany, 503, "busy", "unavailable", true),
        (E::Unavailable(failed().into()), 503, "kommo-unavailable", "unavailable", true),
        (E::Store(StoreError::Timeout), 503, "not-stored", "unavailable", false),
        (E::NoKey, 501, "oauth-not-set-up", "not_set_up", false),
        (E::NoRedirectUri("main".into()), 501, "oauth-not-set-up", "not_set_up", false),
    ];
    let others = vec![
        (QueryError::Missing("code").into(), 400, "no-oauth-callback", "bad_request", false),
        (Refusal::reported("invalid_scope"), 400, "authorization-failed", "kommo_error", false),
        (Refusal::Stopping, 503, "stopping", "unavailable", true),
        (Refusal::Busy, 503, "busy", "unavailable", true),
    ];
    let connect = connect.into_iter().map(|(error, status, slug, outcome, may_retry)| {
        (Refusal::from(error), status, slug, outcome, may_retry)
    });
    connect.chain(others).collect()
}

async fn answered(problem: ProblemDetails) -> (u16, bool, Value) {
    let response = problem.into_response();
    let (status, has_retry_after) =
        (response.status().as_u16(), response.headers().contains_key("retry-after"));
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    (status, has_retry_after, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn each_refusal_of_a_callback_has_its_status_type_label_and_advice() {
    for (refusal, status, slug, outcome, may_retry) in rows() {
        assert_eq!(refusal.kind().outcome, outcome, "{refusal:?}");
        let (got, has_retry_after, body) = answered(refusal.problem()).await;
        assert_eq!((got, has_retry_after), (status, may_retry), "{refusal:?}");
        assert_eq!(body["type"], format!("urn:salesbot-bridge:problem:{slug}"));
        let detail = body["detail"].as_str().unwrap();
        assert_eq!(detail, format!("{} {}", refusal.wrong(), refusal.advice()));
        for sentence in [&*refusal.wrong(), refusal.advice()] {
            assert!(sentence.ends_with('.') && sentence.matches('`').count() % 2 == 0, "{sentence}");
        }
    }
}

#[tokio::test]
async fn each_refusal_of_a_revocation_has_its_status_type_and_label() {
    for (refusal, status, slug, outcome) in [
        (QueryError::Twice("signature").into(), 400, "no-revocation", "bad_request"),
        (RevocationError::AccountId.into(), 400, "no-revocation", "bad_request"),
        (RevocationError::Signature.into(), 403, "revocation-signature", "bad_signature"),
        (RevocationError::StillConnected.into(), 409, "still-connected", "still_connected"),
        (RevocationError::Repeated.into(), 409, "revocation-repeated", "repeated"),
        (RevocationError::Store(StoreError::Timeout).into(), 503, "not-stored", "unavailable"),
        (RevocationRefusal::Interrupted, 503, "not-stored", "unavailable"),
    ] {
        assert_eq!(refusal.kind().outcome, outcome, "{refusal:?}");
        let (got, has_retry_after, body) = answered(refusal.problem()).await;
        assert_eq!((got, has_retry_after), (status, status == 503), "{refusal:?}");
        assert_eq!(body["type"], format!("urn:salesbot-bridge:problem:{slug}"));
        assert!(!refusal.reason().is_empty());
    }
}

#[test]
fn only_the_log_contains_the_reason_of_a_store_failure() {
    let error = || StoreError::ReadOnly("disk sda1 failed".into());
    let refusal = Refusal::from(ConnectError::Store(error()));
    assert!(refusal.reason().contains("sda1") && !refusal.wrong().contains("sda1"));
    let refusal = RevocationRefusal::from(RevocationError::Store(error()));
    assert!(refusal.reason().contains("sda1"));
    assert!(!format!("{:?}", refusal.problem()).contains("sda1"));
}

#[test]
fn text_from_a_stranger_is_not_repeated() {
    assert!(Refusal::reported("server_error").wrong().contains("server_error"));
    for text in ["<b>", "call +1 555", "a.b"] {
        let refusal = Refusal::reported(text);
        assert!(!refusal.wrong().contains(text) && !refusal.reason().contains(text), "{text}");
    }
}
