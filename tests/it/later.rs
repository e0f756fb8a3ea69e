//! Handlers that answer later, by a callback to the public listener.

use std::sync::Arc;
use std::time::Duration;

use salesbot_bridge::Later;
use salesbot_bridge::prelude::*;
use tokio::sync::{Notify, mpsc};

use crate::bridge::{TestBridge, client};
use crate::handlers::Does;
use crate::played::{bot, continued, kommo, manual_clock};
use crate::setup::Setup;

/// A handler that passes its jobs on, and answers none of them.
fn later() -> (impl Handler, mpsc::UnboundedReceiver<Later>) {
    let (send, passed_on) = mpsc::unbounded_channel();
    let handler = Does(move |_: Request<Value>, context: Context| {
        let send = send.clone();
        async move {
            context.note("asked a colleague");
            let later = context.complete_later()?;
            send.send(later.clone()).or_fail()?;
            later.pending()
        }
    });
    (handler, passed_on)
}

/// POSTs `body` to the callback URL of `later`, at the address of `bridge`, followed by `rest`.
async fn call(bridge: &TestBridge, later: &Later, rest: &str, body: &Value) -> (u16, Value) {
    // A bridge that was restarted has another port.
    let path = later.callback_url().split_once("/callback/").unwrap().1;
    let url = format!("http://{}/bots/callback/{path}{rest}", bridge.address());
    let response = client().post(url).json(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

const PREFIX: &str = "server.public_url = \"http://127.0.0.1/bots\"\nhandlers.later.max_attempts = 2";

#[tokio::test(flavor = "multi_thread")]
async fn a_job_awaits_its_callback_across_a_restart() {
    let kommo = kommo().await;
    let (handler, mut passed_on) = later();
    let setup = || Setup::with(&[&kommo]).config(PREFIX);
    let bridge = setup().handler("later", handler).start().await.leaves_jobs();
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "later").await;
    let handle = passed_on.recv().await.unwrap();
    let job = bridge.in_state(&id, "awaiting_callback").await;
    assert_eq!((&job["attempts"][0]["result"], &job["due_at"]), (&json!("accepted"), &Value::Null));
    assert_eq!(job["waits_for"]["cause"], "callback");
    let folder = bridge.stop().await;

    // The handle may have gone through another process.
    let handle: Later = serde_json::from_value(serde_json::to_value(handle).unwrap()).unwrap();
    let (handler, mut again) = later();
    let bridge = setup().handler("later", handler).folder(&folder).start().await;
    let note = call(&bridge, &handle, "/progress", &json!({ "note": "half way" })).await;
    assert_eq!(note, (200, json!({ "accepted": true })));
    let answer = json!({ "data": { "reply": "Hi" } });
    assert_eq!(
        call(&bridge, &handle, "", &answer).await,
        (200, json!({ "accepted": true, "state": "delivering" }))
    );
    assert_eq!(continued(&bot).await.data, answer["data"]);
    let job = bridge.in_state(&id, "delivered").await;
    let notes: Vec<&Value> = job["notes"].as_array().unwrap().iter().map(|note| &note["text"]).collect();
    assert_eq!(notes, ["asked a colleague", "half way", "the completion came by a callback"]);
    assert_eq!((&job["outcome"], &job["handler_attempts"]), (&json!("handler"), &json!(1)));
    assert_eq!(call(&bridge, &handle, "", &answer).await.1["accepted"], false);
    assert!(again.try_recv().is_err(), "the handler ran again");
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_gets_the_fallback_if_its_handler_does_not_call_back() {
    let (kommo, clock) = (kommo().await, manual_clock());
    let (handler, mut passed_on) = later();
    let bridge =
        Setup::with(&[&kommo]).config(PREFIX).handler("later", handler).clock(clock.clock()).start().await;
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "later").await;
    let handle = passed_on.recv().await.unwrap();
    bridge.in_state(&id, "awaiting_callback").await;
    clock.advance(Duration::from_secs(50));
    assert_eq!(continued(&bot).await.data, json!({ "status": "fail" }));
    let job = bridge.in_state(&id, "delivered").await;
    assert_eq!(job["fallback_reason"], "no_callback");
    let (status, problem) = call(&bridge, &handle, "", &json!({})).await;
    assert_eq!((status, &problem["title"]), (410, &json!("Too late")));
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_calls_back_with_an_error_is_retried_and_then_given_up() {
    let (kommo, clock) = (kommo().await, manual_clock());
    let (handler, mut passed_on) = later();
    let bridge =
        Setup::with(&[&kommo]).config(PREFIX).handler("later", handler).clock(clock.clock()).start().await;
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "later").await;
    for (attempt, state) in [(1, "queued"), (2, "delivering")] {
        let handle = passed_on.recv().await.unwrap();
        bridge.in_state(&id, "awaiting_callback").await;
        let error = json!({ "error": { "message": "busy", "retry": true, "attempt": attempt } });
        let expected = json!({ "accepted": true, "state": state });
        assert_eq!(call(&bridge, &handle, "", &error).await, (200, expected));
        clock.advance(Duration::from_secs(5));
    }
    assert_eq!(continued(&bot).await.data, json!({ "status": "fail" }));
    assert_eq!(bridge.in_state(&id, "delivered").await["fallback_reason"], "max_attempts");
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_overtakes_its_handler_is_to_be_repeated() {
    let kommo = kommo().await;
    let (send, mut passed_on) = mpsc::unbounded_channel();
    let accept = Arc::new(Notify::new());
    let accepts = accept.clone();
    let handler = Does(move |_: Request<Value>, context: Context| {
        let (send, accepts) = (send.clone(), accepts.clone());
        async move {
            let later = context.complete_later()?;
            send.send(later.clone()).or_fail()?;
            accepts.notified().await;
            later.pending()
        }
    });
    let bridge = Setup::with(&[&kommo]).config(PREFIX).handler("later", handler).start().await.leaves_jobs();
    let id = bridge.ask(&bot(&kommo), "later").await;
    let handle = passed_on.recv().await.unwrap();
    let error = json!({ "error": { "message": "busy", "retry": true, "attempt": 1 } });
    let (status, answer) = call(&bridge, &handle, "", &error).await;
    assert_eq!((status, &answer["title"]), (503, &json!("Too early")));
    accept.notify_one();
    bridge.in_state(&id, "awaiting_callback").await;
    assert_eq!(call(&bridge, &handle, "", &error).await.1["accepted"], true);
    bridge.stop().await;
}
