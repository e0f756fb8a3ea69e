//! Responses that a test scripts, and the record of what was received.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};

use super::super::{CannedResponse, Fault, Plan, Simulator};
use super::{client, simulator, to};

/// Calls `METHOD PATH` with the bearer of the account. Returns the status and the body, or `None` if the connection broke.
async fn call(simulator: &Simulator, call: &str) -> Option<(u16, Value)> {
    call_as(simulator, call, &simulator.options().access_token).await
}

async fn call_as(simulator: &Simulator, call: &str, bearer: &str) -> Option<(u16, Value)> {
    let (method, path) = call.split_once(' ').unwrap();
    let url = format!("{}{path}", simulator.base_url());
    let request = client().request(method.parse().unwrap(), url).bearer_auth(bearer).body("{\"price\":7}");
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    Some((status, serde_json::from_str(&response.text().await.ok()?).unwrap_or_default()))
}

#[tokio::test]
async fn responses_come_in_order_and_the_last_one_repeats() {
    let simulator = simulator().await;
    let lead = "GET /api/v4/leads/5";
    simulator.respond(lead, CannedResponse::status(503));
    simulator.respond(lead, json!({ "price": 1 }));
    assert_eq!(call(&simulator, lead).await.unwrap().0, 503);
    for _ in 0..2 {
        assert_eq!(call(&simulator, lead).await, Some((200, json!({ "price": 1 }))));
    }
    simulator.respond(lead, json!({ "price": 2 }));
    for _ in 0..2 {
        assert_eq!(
            call(&simulator, lead).await,
            Some((200, json!({ "price": 2 }))),
            "the newer one was not served"
        );
    }
}

#[tokio::test]
async fn a_response_is_json_or_a_status_or_a_failure() {
    let simulator = simulator().await;
    let rows: [(CannedResponse, Option<(u16, Value)>); 5] = [
        (json!([1]).into(), Some((200, json!([1])))),
        (CannedResponse::json(201, json!({ "id": 9 })), Some((201, json!({ "id": 9 })))),
        (CannedResponse::json(422, json!({ "title": "No" })), Some((422, json!({ "title": "No" })))),
        (CannedResponse::status(204), Some((204, Value::Null))),
        (Fault::Reset.into(), None),
    ];
    for (number, (response, expected)) in rows.into_iter().enumerate() {
        let path = format!("POST /api/v4/leads/{number}");
        simulator.respond(&path, response);
        assert_eq!(call(&simulator, &path).await, expected, "{path}");
    }
    simulator.respond("GET /api/v4/contacts", CannedResponse::status(404));
    let (status, problem) = call(&simulator, "GET /api/v4/contacts").await.unwrap();
    assert_eq!((status, &problem["title"]), (404, &json!("Not Found")));
}

#[tokio::test]
async fn a_response_belongs_to_its_method_and_path_and_to_any_query() {
    let simulator = simulator().await;
    simulator.respond("GET /api/v4/leads", json!("any"));
    simulator.respond("GET /api/v4/leads?page=2", json!("second"));
    for (made, expected) in [
        ("GET /api/v4/leads", 200),
        ("GET /api/v4/leads?page=1", 200),
        ("POST /api/v4/leads", 404),
        ("GET /api/v4/leads/5", 404),
    ] {
        assert_eq!(call(&simulator, made).await.unwrap().0, expected, "{made}");
    }
    assert_eq!(call(&simulator, "GET /api/v4/leads?page=2").await.unwrap().1, json!("second"));
    let (_, problem) = call(&simulator, "DELETE /api/v4/leads/5").await.unwrap();
    assert!(
        problem["detail"].as_str().unwrap().contains("no response to DELETE /api/v4/leads/5"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_response_waits_for_a_valid_bearer_and_for_the_end_of_an_outage() {
    let simulator = simulator().await;
    let lead = "GET /api/v4/leads/5";
    simulator.respond(lead, CannedResponse::status(503));
    simulator.respond(lead, json!(1));
    assert_eq!(call_as(&simulator, lead, "another").await.unwrap().0, 401);
    simulator.set_outage(Some(Fault::Status(500)));
    assert_eq!(call(&simulator, lead).await.unwrap().0, 500);
    simulator.set_outage(None);
    simulator.queue_api_faults([Fault::Status(502)]);
    let statuses = [(); 3].map(|()| call(&simulator, lead));
    let statuses = futures_util::future::join_all(statuses.map(|call| async { call.await.unwrap().0 })).await;
    let mut sorted = statuses.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [200, 502, 503], "{statuses:?}");
}

#[tokio::test]
async fn a_canned_response_replaces_what_the_simulator_plays() {
    let simulator = simulator().await;
    assert!(call(&simulator, "GET /api/v4/account").await.unwrap().1["id"].is_number());
    simulator.respond("GET /api/v4/account", json!({ "id": "mine" }));
    assert_eq!(call(&simulator, "GET /api/v4/account").await, Some((200, json!({ "id": "mine" }))));
}

#[tokio::test]
async fn what_was_received_is_found_by_its_call() {
    let simulator = simulator().await;
    simulator.respond("PATCH /api/v4/leads/5", CannedResponse::status(204));
    call(&simulator, "PATCH /api/v4/leads/5?with=contacts").await;
    call(&simulator, "GET /api/v4/leads/5").await;
    let calls = simulator.calls_to("PATCH /api/v4/leads/5");
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].status, calls[0].json()), (Some(204), json!({ "price": 7 })));
    assert_eq!(simulator.calls_to("PATCH /api/v4/leads/5?with=contacts"), calls);
    assert!(simulator.calls_to("PATCH /api/v4/leads").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_of_a_continue_is_known_as_soon_as_its_bot_is_continued() {
    let simulator = simulator().await;
    for _ in 0..500 {
        let bot = simulator.bot(Plan::default());
        let sent = tokio::spawn(to(&simulator, &bot).json(&json!({ "data": {} })).send());
        bot.continued().await;
        assert_eq!(simulator.calls().last().map(|call| call.status), Some(Some(202)));
        assert_eq!(simulator.api_calls().last().map(|call| call.status), Some(Some(202)));
        sent.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_call_that_cannot_be_scripted_is_refused() {
    let simulator = simulator().await;
    for call in [
        "/api/v4/leads/5",
        "get /api/v4/leads/5",
        "GET /leads/5",
        "GET",
        "",
        "POST /api/v4/salesbot/1/continue/2",
    ] {
        let refused = catch_unwind(AssertUnwindSafe(|| simulator.respond(call, json!(1))));
        let message = *refused.unwrap_err().downcast::<String>().unwrap();
        assert!(
            message.contains(&format!("`{call}`")) && message.contains("METHOD /api/v4/PATH"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_bot_talks_about_the_entity_of_its_plan() {
    use base64::Engine;
    let simulator = simulator().await;
    for (plan, kind, id) in
        [(Plan::from(json!({})).lead(5), "2", "5"), (Plan::from(json!({})).contact(8), "1", "8")]
    {
        let token = simulator.bot(plan).request("http://127.0.0.1:1").token;
        let claims = token.split('.').nth(1).unwrap();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!((&claims["entity_type"], &claims["entity_id"]), (&json!(kind), &json!(id)));
    }
}
