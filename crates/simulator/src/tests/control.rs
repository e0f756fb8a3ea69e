//! Bots started from outside.

use serde_json::{Value, json};

use super::{client, ordinary, resume, simulator, tokens};
use crate::{FAULTS, Language, Options, Simulator};

#[tokio::test]
async fn started_bots_call_the_bridge_and_are_listed() {
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
async fn invalid_orders_are_refused_with_the_reason() {
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

#[tokio::test]
async fn index_and_documentation_list_every_endpoint_key_and_fault() {
    let simulator = simulator().await;
    let page = include_str!("../../../../docs/simulator.md");
    let base_url = simulator.base_url();
    let index: Value =
        client().get(format!("{base_url}/simulator/")).send().await.unwrap().json().await.unwrap();
    let listed = index["faults"].as_array().unwrap();
    assert_eq!(listed.len(), FAULTS.len());
    for ((name, what), listed) in FAULTS.iter().zip(listed) {
        assert_eq!((&listed["name"], &listed["what"]), (&json!(name), &json!(what)));
        assert!(page.contains(&format!("| `{name}` | {what} |")), "{name} in docs/simulator.md");
    }
    for endpoint in index["endpoints"].as_array().unwrap() {
        let (method, path) = (endpoint["method"].as_str().unwrap(), endpoint["path"].as_str().unwrap());
        assert!(page.contains(&format!("| `{method} {path}` |")), "{method} {path} in docs/simulator.md");
        let asked =
            client().request(method.parse().unwrap(), format!("{base_url}{path}")).send().await.unwrap();
        assert_ne!(asked.status(), 405, "{method} {path}");
    }
    for key in index["order_of_bots"].as_array().unwrap() {
        let name = key["name"].as_str().unwrap();
        assert!(page.contains(&format!("`{name}`")), "{name} in docs/simulator.md");
        let order = json!({ name: false });
        let refused = client().post(format!("{base_url}/simulator/bots")).json(&order).send().await.unwrap();
        assert!(!refused.text().await.unwrap().contains("unknown field"), "{name} is not a key");
    }
    let lost = client().get(format!("{base_url}/simulator/nothing")).send().await.unwrap();
    assert_eq!(lost.status(), 404);
    assert!(lost.text().await.unwrap().contains("GET /simulator/"));
}

#[tokio::test]
async fn problem_documents_are_in_the_language_of_the_account() {
    let is_russian = |text: &Value| text.to_string().chars().any(|letter| ('а'..='я').contains(&letter));
    for language in [Language::English, Language::Russian] {
        let options = Options { language, rate_limit: Some(4), ..Options::default() };
        let kommo = Simulator::start(options).await.unwrap();
        let url = format!("{}/api/v4/account", kommo.base_url());
        let mut said = vec![tokens(&kommo, json!({})).await];
        for body in [
            json!({}),
            json!({ "execute_handlers": [{ "handler": "show", "params": {
            "type": "text", "value": "x".repeat(81) } }] }),
        ] {
            said.push(resume(&kommo, &kommo.bot(ordinary()), body).await);
        }
        for status in [401, 401, 429] {
            let refused = client().get(&url).send().await.unwrap();
            assert_eq!(refused.status().as_u16(), status);
            said.push((status, refused.json().await.unwrap()));
        }
        for (status, problem) in said {
            assert_eq!(problem["status"], status, "{problem}");
            assert_eq!(is_russian(&problem), language == Language::Russian, "{problem}");
        }
    }
}
