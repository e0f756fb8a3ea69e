//! Explanations by a running bridge, which knows more than its store; and what it shows of handlers and accounts.

use std::net::TcpListener;

use salesbot_bridge::prelude::*;
use simulator::Bot;

use crate::bridge::TestBridge;
use crate::handlers::held;
use crate::played::{bot, kommo, plan};
use crate::setup::{Setup, host};

/// Waits until the first reason of the job's explanation is `code`. Returns the explanation.
async fn explained(bridge: &TestBridge, id: &str, code: &str) -> Value {
    let path = format!("/api/v1/jobs/{id}/explain");
    let is_so = || async { bridge.get(&path).await.1["because"][0]["code"] == code };
    bridge.until(&format!("{id} to be explained with {code}"), is_so).await;
    bridge.get(&path).await.1
}

fn codes(explained: &Value) -> Vec<&str> {
    explained["because"].as_array().unwrap().iter().map(|reason| reason["code"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_handler_cannot_be_reached_says_so() {
    let kommo = kommo().await;
    // No one listens there.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config =
        format!("handlers.tool = {{ kind = \"http\", url = \"http://{closed}/hook\", auth = \"Bearer x\" }}");
    let bridge = Setup::with(&[&kommo]).config(&config).start().await.leaves_jobs();
    for _ in 0..5 {
        bridge.ask(&bot(&kommo), "tool").await;
    }
    let open = || async { bridge.get("/api/v1/handlers").await.1["handlers"][1]["breaker"]["open"] == true };
    bridge.until("the breaker to open", open).await;
    let id = bridge.ask(&bot(&kommo), "tool").await;
    let explained = explained(&bridge, &id, "handler_unreachable").await;
    assert!(explained["summary"].as_str().unwrap().contains("`tool` cannot be reached"), "{explained}");
    assert_eq!(explained["you_can"][0]["command"], "salesbot-bridge handlers test tool");
    let waits_for = bridge.job(&id).await["waits_for"].clone();
    assert_eq!(waits_for["cause"], "handler_unreachable", "{waits_for}");
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_a_permit_says_which_key_limits_it() {
    let kommo = kommo().await;
    let (handler, mut held) = held();
    let setup = Setup::with(&[&kommo]).config("workers.concurrency = 1").handler("held", handler);
    let bridge = setup.start().await;
    let first = bridge.ask(&bot(&kommo), "held").await;
    held.entered().await;
    let second = bridge.ask(&bot(&kommo), "held").await;
    let busy = explained(&bridge, &second, "handler_busy").await;
    assert!(busy["summary"].as_str().unwrap().contains("1 of 1 permits of workers.concurrency"), "{busy}");
    assert_eq!(codes(&explained(&bridge, &first, "handler").await), ["handler"]);
    let handlers = bridge.get("/api/v1/handlers").await.1;
    let shared = json!({ "in_use": 1, "limit": 1, "shared": true });
    assert_eq!(handlers["handlers"][1]["concurrency"], shared, "{handlers}");
    held.let_go(2);
    let done = explained(&bridge, &second, "answered").await;
    assert_eq!(done["next"], Value::Null);
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_in_a_conversation_names_the_one_that_is_first() {
    let kommo = kommo().await;
    let (handler, mut held) = held();
    let config = "[handlers.held]\nordering = \"conversation\"";
    let bridge = Setup::with(&[&kommo]).config(config).handler("held", handler).start().await;
    let bot = || -> Bot {
        let mut plan = plan();
        plan.token.claims.insert("entity_id".to_owned(), json!("5"));
        kommo.bot(plan)
    };
    let first = bridge.ask(&bot(), "held").await;
    held.entered().await;
    let second = bridge.ask(&bot(), "held").await;
    let waits = explained(&bridge, &second, "conversation").await;
    assert!(waits["because"][0]["text"].as_str().unwrap().contains(&first), "{waits}");
    held.let_go(2);
    explained(&bridge, &second, "answered").await;
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_shows_its_pace_and_its_pause() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await.leaves_jobs();
    let account = async || bridge.get("/api/v1/accounts").await.1["accounts"][0].clone();
    let fresh = account().await;
    assert_eq!((&fresh["host"], &fresh["name"]), (&json!(host(&kommo)), &json!("kommo1")), "{fresh}");
    assert_eq!((&fresh["pace"]["used"], &fresh["pause"]), (&json!(0), &Value::Null), "{fresh}");
    assert!(fresh["pace"]["limit"].as_u64().unwrap() > 0, "{fresh}");
    kommo.set_outage(Some(simulator::Fault::TooManyRequests { header: Some(300), body: None }));
    let id = bridge.ask(&bot(&kommo), "echo").await;
    let waits = explained(&bridge, &id, "too_many").await;
    assert!(waits["because"][0]["until"].is_string(), "{waits}");
    let paused = account().await;
    assert_eq!(paused["pause"]["cause"], "too_many", "{paused}");
    bridge.stop().await;
}
