//! Handlers at a URL, in a whole bridge.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::{Json, Router};
use salesbot_bridge::prelude::*;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::bridge::{TestBridge, client};
use crate::played::{bot, continued, kommo};
use crate::setup::Setup;

/// Starts a tool that answers every request with `status` and `body`. Returns its URL, and the requests that it gets.
async fn tool(status: u16, body: Value) -> (String, mpsc::UnboundedReceiver<Value>) {
    let (send, requests) = mpsc::unbounded_channel();
    let (status, body) = (StatusCode::from_u16(status).unwrap(), Arc::new(body));
    let router = Router::new().fallback(move |request: Request| {
        let (send, body) = (send.clone(), body.clone());
        async move {
            let bytes = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
            send.send(serde_json::from_slice(&bytes).unwrap()).unwrap();
            (status, Json((*body).clone()))
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, requests)
}

fn config(url: &str) -> String {
    format!(
        "server.public_url = \"http://127.0.0.1/bots\"\n[handlers.tool]\nkind = \"http\"\nurl = \"{url}\"\n\
         secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\nmax_attempts = 2\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_gets_the_answer_of_a_tool() {
    let kommo = kommo().await;
    let (url, mut requests) = tool(200, json!({ "data": { "status": "success", "reply": "Hi" } })).await;
    let bridge = Setup::with(&[&kommo]).config(&config(&url)).start().await;
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "tool").await;
    assert_eq!(continued(&bot).await.data, json!({ "status": "success", "reply": "Hi" }));
    let request = requests.recv().await.unwrap();
    assert_eq!((&request["data"]["job_id"], &request["data"]["handler"]), (&json!(id), &json!("tool")));
    assert_eq!(request["data"]["max_attempts"], 2);
    let job = bridge.in_state(&id, "delivered").await;
    assert_eq!((&job["outcome"], &job["handler_attempts"]), (&json!("handler"), &json!(1)));
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_may_answer_later_at_the_url_of_its_request() {
    let kommo = kommo().await;
    let (url, mut requests) = tool(202, json!({})).await;
    let bridge = Setup::with(&[&kommo]).config(&config(&url)).start().await;
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "tool").await;
    let request = requests.recv().await.unwrap();
    bridge.in_state(&id, "awaiting_callback").await;
    let accepted = call(&bridge, &request, &json!({ "reply": "Hi" })).await;
    assert_eq!(accepted["accepted"], true);
    assert_eq!(continued(&bot).await.data, json!({ "reply": "Hi" }));
    bridge.stop().await;
}

/// POSTs `answer` to the callback URL of `request`, at the port of `bridge`.
async fn call(bridge: &TestBridge, request: &Value, answer: &Value) -> Value {
    let url = request["data"]["callback"]["url"].as_str().unwrap();
    let url = url.replace("http://127.0.0.1/", &format!("http://{}/", bridge.address()));
    client().post(url).json(answer).send().await.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusing_tool_costs_no_second_attempt_and_leaves_a_note() {
    let kommo = kommo().await;
    let (url, _requests) = tool(400, json!({ "message": "the lead is unknown" })).await;
    let bridge = Setup::with(&[&kommo]).config(&config(&url)).start().await;
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "tool").await;
    assert_eq!(continued(&bot).await.data, json!({ "status": "fail" }));
    let job = bridge.in_state(&id, "delivered").await;
    assert_eq!((&job["outcome"], &job["handler_attempts"]), (&json!("fallback"), &json!(1)));
    assert_eq!(job["last_error"], "the handler answered 400 Bad Request");
    assert_eq!(job["notes"][0]["text"], "{\"message\":\"the lead is unknown\"}");
    bridge.stop().await;
}
