//! Bots started from outside.

use serde_json::{Value, json};

use super::{client, simulator};

#[tokio::test]
async fn starts_bots_that_call_and_shows_them() {
    let (kommo, bridge) = (simulator().await, simulator().await);
    let endpoint = format!("{}/simulator/bots", kommo.base_url());
    let order = json!({ "url": format!("{}/nowhere", bridge.base_url()), "data": { "message": "hi" },
        "faults": ["500", "429-header"], "count": 3, "body": "form-plain" });
    let response = client().post(&endpoint).json(&order).send().await.unwrap();
    assert_eq!(response.status(), 202);
    let ids = response.json::<Value>().await.unwrap()["bots"].as_array().unwrap().clone();
    assert_eq!(ids.len(), 3);

    while kommo.bots().iter().any(|bot| bot.events.len() < 2) {
        tokio::task::yield_now().await;
    }
    let listed: Value = client().get(&endpoint).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        listed["bots"].as_array().unwrap().iter().map(|bot| bot["id"].clone()).collect::<Vec<_>>(),
        ids
    );
    let one: Value =
        client().get(format!("{endpoint}/{}", ids[0])).send().await.unwrap().json().await.unwrap();
    assert_eq!((&one["id"], &one["waits"], &one["continued"]), (&ids[0], &json!(1), &json!(0)));
    assert_eq!(
        (&one["events"][1]["what"], &one["events"][1]["status"]),
        (&json!("acknowledged"), &json!(404))
    );
    assert!(one["events"][1]["elapsed_ms"].is_number());
    assert!(one["last_continue"].is_null());
}

#[tokio::test]
async fn refuses_wrong_orders_with_the_reason() {
    let simulator = simulator().await;
    let endpoint = format!("{}/simulator/bots", simulator.base_url());
    let url = "http://127.0.0.1:1/";
    let rows = [
        (json!({}), "url"),
        (json!({ "url": "nonsense" }), "relative URL"),
        (json!({ "url": url, "count": 0 }), "`count` is 0"),
        (json!({ "url": url, "faults": ["flood"] }), "unknown fault `flood`"),
        (json!({ "url": url, "body": "xml" }), "xml"),
        (json!({ "url": url, "wat": 1 }), "wat"),
    ];
    for (order, reason) in rows {
        let response = client().post(&endpoint).json(&order).send().await.unwrap();
        assert_eq!(response.status(), 400, "{order}");
        let problem: Value = response.json().await.unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(reason), "{problem}");
    }
    let text = client().post(&endpoint).body(json!({ "url": url }).to_string()).send().await.unwrap();
    assert_eq!(text.status(), 415);
    assert_eq!(client().delete(&endpoint).send().await.unwrap().status(), 405);
    assert_eq!(client().get(format!("{endpoint}/1")).send().await.unwrap().status(), 404);
    assert!(simulator.bots().is_empty());
}
