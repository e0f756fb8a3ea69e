//! A bridge ends, and the next one continues in the same folder: nothing acknowledged is lost.

use std::time::Duration;

use serde_json::json;
use simulator::{Bot, Fault};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bridge::{TEST_TIMEOUT, client};
use crate::handlers::{Does, held};
use crate::played::{bot, calls_for, continued, kommo, manual_clock, one_more_continued};
use crate::setup::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_runs_at_the_stop_is_handed_back_without_a_charge() {
    let kommo = kommo().await;
    let (handler, mut held_once) = held();
    let bridge = Setup::with(&[&kommo])
        .config("workers = { concurrency = 1, grace = \"100ms\" }\nhandlers.slow.max_attempts = 1")
        .handler("slow", handler)
        .start()
        .await
        .leaves_jobs();
    let (running, queued) = (bot(&kommo), bot(&kommo));
    let first = bridge.ask(&running, "slow").await;
    let context = held_once.entered().await;
    let second = bridge.ask(&queued, "slow").await;
    let folder = bridge.stop().await;
    assert!(context.cancelled().is_cancelled(), "the handler's own tasks were not cancelled");
    assert!(running.continues().is_empty() && held_once.is_idle());

    let (handler, mut held_again) = held();
    let bridge = Setup::with(&[&kommo])
        .config("workers.concurrency = 1\nhandlers.slow.max_attempts = 1")
        .handler("slow", handler)
        .folder(&folder)
        .start()
        .await;
    held_again.let_go(2);
    assert_eq!((held_again.entered().await.attempt(), held_again.entered().await.attempt()), (1, 1));
    for (bot, id) in [(&running, &first), (&queued, &second)] {
        assert_eq!(continued(bot).await.data, json!({ "status": "success" }));
        let job = bridge.in_state(id, "delivered").await;
        assert_eq!((&job["outcome"], &job["handler_attempts"]), (&json!("handler"), &json!(1)), "{job:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grace_begins_with_the_stop_and_not_after_the_last_request() {
    let (kommo, clock) = (kommo().await, manual_clock());
    let (handler, mut held) = held();
    let bridge =
        Setup::with(&[&kommo]).handler("slow", handler).clock(clock.clock()).start().await.leaves_jobs();
    bridge.ask(&bot(&kommo), "slow").await;
    let context = held.entered().await;
    // A request that is never complete delays the end of the public listener for as long as possible.
    let mut slow = tokio::net::TcpStream::connect(bridge.address()).await.unwrap();
    slow.write_all(
        b"POST /widget_request/slow HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n",
    )
    .await
    .unwrap();
    // The bridge asks for the body when it begins to process the request.
    let mut interim = [0; 25];
    slow.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    slow.write_all(b"a").await.unwrap();
    bridge.ask_to_stop();
    bridge.until("the bridge to drain", || async { bridge.ready().await.0 == 503 }).await;
    // Advance by the whole grace of `Setup`: a grace that began later would never end.
    clock.advance(Duration::from_secs(10));
    tokio::time::timeout(TEST_TIMEOUT, context.cancelled().cancelled())
        .await
        .expect("the grace had not begun");
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_ends_within_the_grace_is_not_run_again() {
    let kommo = kommo().await;
    let (handler, mut held) = held();
    let bridge = Setup::with(&[&kommo]).handler("slow", handler).start().await;
    let bot = bot(&kommo);
    bridge.ask(&bot, "slow").await;
    held.entered().await;
    bridge.ask_to_stop();
    bridge.until("the bridge to drain", || async { bridge.ready().await.0 == 503 }).await;
    held.let_go(1);
    // The bridge sends the completion before it ends, so no job is left.
    bridge.stop().await;
    assert_eq!(bot.continues().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn continues_that_kommo_did_not_accept_are_delivered_after_a_restart() {
    let kommo = kommo().await;
    kommo.set_outage(Some(Fault::Status(503)));
    let bridge = Setup::with(&[&kommo]).start().await.leaves_jobs();
    let bots: Vec<Bot> = (0..5).map(|_| bot(&kommo)).collect();
    let mut ids = Vec::new();
    for bot in &bots {
        ids.push(bridge.ask(bot, "echo").await);
    }
    for id in &ids {
        bridge.job_with(id, |job| job["delivery_attempts"] != 0).await;
    }
    let folder = bridge.stop().await;
    kommo.set_outage(None);
    let bridge = Setup::with(&[&kommo]).folder(&folder).start().await;
    for (bot, id) in bots.iter().zip(&ids) {
        continued(bot).await;
        let job = bridge.in_state(id, "delivered").await;
        assert_eq!(job["handler_attempts"], 1, "the handler ran again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_continue_in_flight_at_the_stop_is_finished_or_sent_again() {
    let kommo = kommo().await;
    kommo.set_outage(Some(Fault::Hang));
    let config = "workers.grace = \"100ms\"\ndelivery.request_timeout = \"30s\"";
    let bridge = Setup::with(&[&kommo]).config(config).start().await.leaves_jobs();
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "echo").await;
    bridge.until("the call", || async { calls_for(&kommo, &bot).len() == 1 }).await;
    let folder = bridge.stop().await;
    kommo.set_outage(None);
    let bridge = Setup::with(&[&kommo]).folder(&folder).start().await;
    continued(&bot).await;
    bridge.in_state(&id, "delivered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_recognized_after_a_restart() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "echo").await;
    continued(&bot).await;
    let folder = bridge.stop().await;
    let bridge = Setup::with(&[&kommo]).folder(&folder).start().await;
    assert_eq!(bridge.call(&bot, "echo").await.json(), json!({ "job_id": id, "duplicate": true }));
    bridge.settled().await;
    assert_eq!(calls_for(&kommo, &bot).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_handler_no_longer_exists_gets_its_fallback_in_time() {
    let (kommo, clock) = (kommo().await, manual_clock());
    let (handler, mut held) = held();
    let bridge = Setup::with(&[&kommo])
        .config("workers.grace = \"0s\"")
        .handler("former", handler)
        .clock(clock.clock())
        .start()
        .await
        .leaves_jobs();
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "former").await;
    held.entered().await;
    let folder = bridge.stop().await;

    let bridge = Setup::with(&[&kommo]).folder(&folder).clock(clock.clock()).start().await;
    assert_eq!(bridge.call(&bot, "former").await.status, 404);
    one_more_continued(&bridge, &kommo).await;
    assert_eq!(bridge.job(&id).await["state"], "queued", "the next program may have the handler again");
    clock.advance(Duration::from_secs(51));
    assert_eq!(continued(&bot).await.data, json!({ "status": "fail" }));
    let job = bridge.in_state(&id, "delivered").await;
    let error = job["last_error"].as_str().unwrap();
    assert_eq!((&job["outcome"], error), (&json!("fallback"), "no handler of that name is registered"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_owns_a_store() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let config = salesbot_bridge::Config::load(&Setup::with(&[&kommo]).folder(bridge.folder()).sources());
    let config = config.unwrap();
    let listeners = salesbot_bridge::Listeners::bind(&config).await.unwrap();
    let second = salesbot_bridge::Bridge::new(config).run(listeners, salesbot_bridge::Shutdown::manual());
    let error = second.await.unwrap_err();
    assert_eq!(error.exit_status(), 2);
    assert!(
        error.to_string().contains(&std::process::id().to_string()),
        "the error does not name the owner's process: {error}"
    );
    let bot = bot(&kommo);
    bridge.ask(&bot, "echo").await;
    continued(&bot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_attempts_still_count_after_a_restart() {
    let kommo = kommo().await;
    let waits = Does(|_, _| async {
        Err(salesbot_bridge::HandlerError::retry_after(Duration::from_millis(500), "not now"))
    });
    let policy = "handlers.flaky.max_attempts = 2";
    let bridge = Setup::with(&[&kommo]).config(policy).handler("flaky", waits).start().await.leaves_jobs();
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "flaky").await;
    bridge.job_with(&id, |job| job["handler_attempts"] == 1).await;
    let folder = bridge.stop().await;
    let fails = Does(|_, context: salesbot_bridge::Context| async move {
        Err(salesbot_bridge::HandlerError::retry(format!("attempt {}", context.attempt())))
    });
    let bridge = Setup::with(&[&kommo]).config(policy).handler("flaky", fails).folder(&folder).start().await;
    assert_eq!(continued(&bot).await.data, json!({ "status": "fail" }));
    let job = bridge.in_state(&id, "delivered").await;
    assert_eq!((&job["handler_attempts"], &job["last_error"]), (&json!(2), &json!("attempt 2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_stop_neither_waits_nor_loses_jobs() {
    let kommo = kommo().await;
    let (handler, mut held_once) = held();
    let config = "workers.grace = \"1h\"\ndelivery.request_timeout = \"10m\"";
    let bridge = Setup::with(&[&kommo]).config(config).handler("slow", handler).start().await.leaves_jobs();
    kommo.set_outage(Some(Fault::Hang));
    let (hanging, running) = (bot(&kommo), bot(&kommo));
    let in_flight = bridge.ask(&hanging, "echo").await;
    bridge.until("the call", || async { kommo.calls().len() == 1 }).await;
    let held_up = bridge.ask(&running, "slow").await;
    held_once.entered().await;
    bridge.ask_to_stop();
    bridge.until("the bridge to drain", || async { bridge.ready().await.0 == 503 }).await;
    bridge.force_stop();
    let folder = tokio::time::timeout(TEST_TIMEOUT, bridge.stop()).await.expect("the forced stop waited");

    kommo.set_outage(None);
    let (handler, mut held_again) = held();
    held_again.let_go(1);
    let bridge = Setup::with(&[&kommo]).handler("slow", handler).folder(&folder).start().await;
    assert_eq!(held_again.entered().await.attempt(), 1);
    for (bot, id) in [(&hanging, &in_flight), (&running, &held_up)] {
        continued(bot).await;
        bridge.in_state(id, "delivered").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_continue_that_arrived_while_the_bridge_stopped_counts_as_delivered() {
    let kommo = kommo().await;
    kommo.set_outage(Some(Fault::Hang));
    let config = "workers.grace = \"50ms\"\ndelivery.request_timeout = \"10m\"";
    let bridge = Setup::with(&[&kommo]).config(config).start().await.leaves_jobs();
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "echo").await;
    bridge.until("the call", || async { kommo.calls().len() == 1 }).await;
    let folder = bridge.stop().await;
    kommo.set_outage(None);
    // The call that hung took effect after all. The test simulates that with a call of its own.
    let late = client().post(bot.return_url()).bearer_auth(&kommo.options().access_token);
    assert_eq!(late.body(r#"{"data":{}}"#).send().await.unwrap().status(), 202);
    let bridge = Setup::with(&[&kommo]).folder(&folder).start().await;
    let job = bridge.in_state(&id, "delivered").await;
    assert!(job["last_error"].as_str().unwrap().contains("had arrived"), "{job:#}");
}
