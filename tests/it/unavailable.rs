//! The public listener under trouble: when it answers 503, and that it answers promptly while handlers are slow.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use simulator::{Bot, Simulator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bridge::TestBridge;
use crate::handlers::held;
use crate::played::{bot, continued, kommo};
use crate::setup::Setup;

/// A request in two parts, to be written by hand: the beginning of the head, and the rest.
fn by_hand(bridge: &TestBridge, bot: &Bot) -> (String, Vec<u8>) {
    let request = bot.request(&bridge.url("echo"));
    let head = format!("POST /widget_request/echo HTTP/1.1\r\nhost: {}\r\n", bridge.address());
    let rest = format!("content-length: {}\r\n\r\n", request.body.len());
    (head, [rest.into_bytes(), request.body.to_vec()].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_bridge_answers_503_with_a_retry_after() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let late = bot(&kommo);
    let (head, rest) = by_hand(&bridge, &late);
    let mut connection = TcpStream::connect(bridge.address()).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    // Connections are accepted in order: when this request is answered, the first connection has been accepted.
    bridge.ask(&bot(&kommo), "echo").await;

    bridge.ask_to_stop();
    bridge.until("the bridge to drain", || async { bridge.ready().await.0 == 503 }).await;
    let (_, ready) = bridge.ready().await;
    assert!(ready["reasons"].to_string().contains("draining"), "{ready}");

    connection.write_all(&rest).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    let lower = answer.to_lowercase();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(lower.contains("\r\nretry-after: ") && lower.contains("application/problem+json"), "{answer}");
    bridge.stop().await;
    assert!(late.continues().is_empty());
}

/// Takes the write lock of the store. To the bridge this looks like a stuck disk.
async fn stuck(bridge: &TestBridge) -> SqliteConnection {
    let file = SqliteConnectOptions::new().filename(bridge.folder().path().join("bridge.db"));
    let mut connection = file.connect().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_stored_in_time_gets_503_and_can_be_repeated() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).config(r#"server.ack_deadline = "200ms""#).start().await;
    let lock = stuck(&bridge).await;
    let bot = bot(&kommo);
    let request = bot.request(&bridge.url("echo"));
    let refused = bridge.post("echo", &request.content_type, request.body).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    let problem: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
    assert_eq!(problem["type"], "urn:salesbot-bridge:problem:not-stored");

    lock.close().await.unwrap();
    // SQLite checks the lock only at intervals, so the next request may also be too late.
    bridge.until("the request to be taken", || async { bridge.call(&bot, "echo").await.status == 200 }).await;
    continued(&bot).await;
    bridge.settled().await;
    // Whether the earlier request was stored or dropped, there is one job and one continue.
    assert_eq!((bridge.jobs().await.len(), bot.report().attempts), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_is_503_while_the_store_is_not_writable() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let lock = stuck(&bridge).await;
    bridge.until("the probe to fail", || async { bridge.ready().await.0 == 503 }).await;
    lock.close().await.unwrap();
    bridge.until("the probe to succeed", || async { bridge.ready().await.0 == 200 }).await;
}

/// Asks `handler` from `count` bots, and waits for all answers.
async fn many(bridge: &TestBridge, kommo: &Simulator, handler: &str, count: usize) -> Vec<Bot> {
    let bots: Vec<Bot> = (0..count).map(|_| bot(kommo)).collect();
    join_all(bots.iter().map(|bot| bridge.ask(bot, handler))).await;
    bots
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_does_not_wait_for_handlers() {
    let kommo = kommo().await;
    let (slow, mut held) = held();
    let bridge = Setup::with(&[&kommo]).handler("slow", slow).start().await;
    // More than workers.concurrency, so that some wait in the store.
    let mut bots = many(&bridge, &kommo, "slow", 80).await;
    for _ in 0..32 {
        held.entered().await;
    }
    let last = bot(&kommo);
    let ack = bridge.call(&last, "slow").await;
    assert_eq!(ack.status, 200);
    assert!(ack.elapsed < Duration::from_secs(2), "Kommo would not have waited {:?}", ack.elapsed);
    assert!(bots.iter().all(|bot| bot.continues().is_empty()));
    bots.push(last);
    held.let_go(bots.len());
    for bot in &bots {
        continued(bot).await;
    }
    bridge.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_handlers_of_one_name_do_not_starve_another() {
    let kommo = kommo().await;
    let (slow, held) = held();
    let bridge = Setup::with(&[&kommo]).config("workers.concurrency = 4").handler("slow", slow).start().await;
    let slow = many(&bridge, &kommo, "slow", 20).await;
    for bot in many(&bridge, &kommo, "echo", 20).await {
        continued(&bot).await;
    }
    assert!(slow.iter().all(|bot| bot.continues().is_empty()));
    held.let_go(slow.len());
    for bot in &slow {
        continued(bot).await;
    }
    bridge.settled().await;
}
