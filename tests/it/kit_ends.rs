//! Bridges of the test kit that are dropped or stopped at an awkward moment.

use std::sync::mpsc;
use std::time::Duration;

use salesbot_bridge::prelude::*;
use salesbot_bridge::testing::{AssertAnswer, TestBridge};

use crate::handlers::Does;

async fn echo() -> TestBridge {
    TestBridge::start(|bridge| bridge.handler("echo", salesbot_bridge::Echo)).await
}

#[test]
fn bridge_can_be_dropped_without_a_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bridge = runtime.block_on(async {
        let bridge = echo().await;
        bridge.answer_to("echo", json!({ "name": "Ann" })).await.assert_data("name", "Ann");
        bridge
    });
    drop(runtime);
    drop(bridge);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn bridge_can_be_dropped_by_the_only_worker_of_a_runtime() {
    tokio::spawn(async {
        let bridge = echo().await;
        bridge.answer_to("echo", json!({})).await.assert_data("status", "success");
        drop(bridge);
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn finished_job_comes_with_each_answer() {
    let bridge = echo().await;
    for _ in 0..30 {
        let answer = bridge.answer_to("echo", json!({})).await;
        assert_eq!(
            (&answer.job()["state"], &answer.job()["delivery_attempts"]),
            (&json!("delivered"), &json!(1))
        );
    }
}

#[tokio::test]
async fn handler_that_blocks_its_thread_does_not_keep_the_bridge_from_stopping() {
    let (runs, has_run) = mpsc::channel();
    let (let_go, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let blocks = Does(move |_: Request<Value>, _: Context| {
        runs.send(()).unwrap();
        let _ended = held.lock().unwrap().recv();
        async { Ok(Completion::new()) }
    });
    let builder = TestBridge::builder().handlers(|bridge| bridge.handler("blocks", blocks));
    let bridge = builder.config("workers.grace = \"0s\"").allow_unfinished_jobs().start().await;
    bridge.ask(&bridge.kommo().bot(json!({}).into()), "blocks").await;
    has_run.recv_timeout(Duration::from_secs(30)).unwrap();
    bridge.stop().await;
    drop(let_go);
}

#[tokio::test]
async fn second_bridge_of_a_failing_test_is_dropped_too() {
    let failed = tokio::spawn(async {
        let _first = echo().await;
        let hangs = Does(|_: Request<Value>, _: Context| std::future::pending());
        let builder = TestBridge::builder().handlers(|bridge| bridge.handler("hangs", hangs));
        let second = builder.config("workers.grace = \"0s\"").start().await;
        second.ask(&second.kommo().bot(json!({}).into()), "hangs").await;
        second.ask(&second.kommo().bot(json!({}).into()), "hangs").await;
    });
    let message = failed.await.unwrap_err().into_panic().downcast::<String>().unwrap();
    assert!(message.starts_with("the bridge has left unfinished jobs:"), "{message}");
}

#[tokio::test]
async fn call_to_a_stopped_bridge_says_that_it_has_stopped() {
    let bridge = echo().await;
    bridge.force_stop();
    let failed = tokio::spawn(async move { bridge.until("the end of the world", || async { false }).await });
    let message = failed.await.unwrap_err().into_panic().downcast::<String>().unwrap();
    assert!(message.starts_with("GET /health/live has no answer, because the bridge "), "{message}");
}

#[tokio::test]
async fn refused_call_to_the_api_fails_the_test_with_its_status() {
    let builder = TestBridge::builder().handlers(|bridge| bridge.handler("echo", salesbot_bridge::Echo));
    let bridge = builder.config("admin.token = \"kX2vZb7Qm4tR9wYckX2vZb7Qm4tR9wYc\"").start().await;
    let failed = tokio::spawn(async move { bridge.settled().await });
    let message = failed.await.unwrap_err().into_panic().downcast::<String>().unwrap();
    assert!(message.starts_with("GET /api/v1/stats was answered 401"), "{message}");
}
