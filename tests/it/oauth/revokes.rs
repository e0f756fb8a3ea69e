//! Accounts that disconnect the integration.

use serde_json::json;
use simulator::Fault;

use super::*;
use crate::played::kommo;

fn base(bridge: &TestBridge) -> String {
    format!("http://{}", bridge.address())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_account_is_refused_and_its_jobs_are_cancelled_until_it_is_authorized_again() {
    let kommo = kommo().await;
    let bridge = setup(&[&kommo]).start().await;
    connect(&bridge, &kommo).await;
    check_continue(&bridge, &kommo).await;
    kommo.set_outage(Some(Fault::Status(503)));
    let waiting = bot(&kommo);
    let id = bridge.ask(&waiting, "echo").await;
    bridge.in_state(&id, "delivering").await;

    let ack = kommo.disable(&base(&bridge)).await.unwrap();
    assert_eq!((ack.status, ack.json()), (200, json!({ "cancelled": 1 })), "{}", ack.body);
    assert_eq!(bridge.job(&id).await["state"], "cancelled");
    let refused = bridge.call(&bot(&kommo), "echo").await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(refused.body.contains("account-disabled"), "{}", refused.body);

    let folder = bridge.stop().await;
    let bridge = setup(&[&kommo]).folder(&folder).start().await;
    assert_eq!(bridge.call(&bot(&kommo), "echo").await.status, 403, "the restart forgot the revocation");
    kommo.set_outage(None);
    assert_eq!(call_back(&bridge, &follow(&link(&bridge, &kommo)).await).await.0, 200);
    check_continue(&bridge, &kommo).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_without_a_valid_signature_changes_nothing() {
    let kommo = kommo().await;
    let bridge = setup(&[&kommo]).start().await;
    connect(&bridge, &kommo).await;
    let good = kommo.revoke_url(&base(&bridge));
    let other = (kommo.options().account_id + 1).to_string();
    for (url, status) in [
        (changed(&good, "signature", &"0".repeat(64)), 403),
        (changed(&good, "account_id", &other), 403),
        (changed(&good, "client_uuid", "another"), 403),
        (changed(&good, "signature", ""), 400),
    ] {
        let response = bridge.client.get(url).send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
    check_continue(&bridge, &kommo).await;
}
