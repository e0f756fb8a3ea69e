//! Handlers that fail: retries, deadlines, the fallback.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use salesbot_bridge::testing::{self, AssertAnswer, AssertError, TestContext, run};
use salesbot_bridge::{Completion, Context, Handler, HandlerError, ManualClock, Request, Show};
use serde::Deserialize;
use serde_json::{Value, json};
use simulator::{Bot, Simulator};

use crate::bridge::TestBridge;
use crate::handlers::{Does, held};
use crate::played::{account, bot, continued, kommo, manual_clock};
use crate::setup::Setup;

#[derive(Deserialize)]
struct Question {
    #[allow(dead_code, reason = "only its presence matters")]
    lead: u32,
}

/// A handler whose input type does not match the data of bots.
struct Strict;

impl Handler for Strict {
    type Input = Question;

    async fn handle(&self, _: Request<Question>, _: Context) -> Result<Completion, HandlerError> {
        Ok(Completion::success())
    }
}

async fn asked(bridge: &TestBridge, kommo: &Simulator, handler: &str) -> (Bot, String) {
    let bot = bot(kommo);
    let id = bridge.ask(&bot, handler).await;
    (bot, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_gets_the_fallback_if_its_handler_has_no_answer() {
    let kommo = kommo().await;
    let sorry = |more: &str| format!("{{ fallback = {{ data = {{ status = \"sorry\" }} }}, {more} }}");
    let names =
        ["fails", "retries", "panics", "strict", "hangs", "late", "too-long", "too-many", "no-object"];
    let more = [
        "",
        "max_attempts = 2",
        "max_attempts = 1",
        "",
        r#"max_attempts = 1, attempt_timeout = "100ms""#,
        r#"answer_within = "200ms""#,
        "",
        "",
        "",
    ];
    let policies: Vec<String> =
        names.iter().zip(more).map(|(name, more)| format!("handlers.{name} = {}", sorry(more))).collect();
    let hang = || Does(|_, _| std::future::pending());
    let bridge = Setup::with(&[&kommo])
        .config(&policies.join("\n"))
        .handler("fails", Does(|_, _| async { Err(HandlerError::fail("no such lead")) }))
        .handler("retries", Does(|_, _| async { Err(HandlerError::retry("the other side is down")) }))
        .handler("panics", Does(|_, _| async { panic!("out of range") }))
        .handler("strict", Strict)
        .handler("hangs", hang())
        .handler("late", hang())
        .handler("too-long", Does(|_, _| async { Ok(Completion::new().show(Show::text("я".repeat(81)))) }))
        .handler("too-many", Does(|_, _| async { Ok(Completion::new().show(Show::buttons("?", ["b"; 26]))) }))
        .handler("no-object", Does(|_, _| async { Ok(Completion::new().with_data(json!("text"))) }))
        .start()
        .await;
    let rows = [
        ("fails", "fail", "failed", 1, "no such lead"),
        ("retries", "retry", "max_attempts", 2, "the other side is down"),
        ("panics", "panic", "max_attempts", 1, "the handler panicked: out of range"),
        ("strict", "fail", "failed", 1, "missing field `lead`"),
        ("hangs", "timeout", "max_attempts", 1, "attempt_timeout"),
        ("late", "timeout", "answer_within", 1, "answer_within"),
        ("too-long", "fail", "invalid_completion", 1, "at most 80"),
        ("too-many", "fail", "invalid_completion", 1, "at most 25"),
        ("no-object", "fail", "invalid_completion", 1, "an object or an array"),
    ];
    for (handler, result, reason, attempts, error) in rows {
        let (bot, id) = asked(&bridge, &kommo, handler).await;
        assert_eq!(continued(&bot).await.data, json!({ "status": "sorry" }), "{handler}");
        let job = bridge.in_state(&id, "delivered").await;
        assert_eq!(
            (&job["outcome"], &job["handler_attempts"]),
            (&json!("fallback"), &json!(attempts)),
            "{handler}"
        );
        assert_eq!(job["fallback_reason"], reason, "{handler}");
        assert!(job["last_error"].as_str().unwrap().contains(error), "{handler}: {job:#}");
        let last = &job["attempts"][attempts - 1];
        assert_eq!((&last["stage"], &last["result"]), (&json!("handler"), &json!(result)), "{handler}");
    }
    let (_, groups) = bridge.get("/api/v1/errors").await;
    let of_retries: Vec<_> =
        groups["errors"].as_array().unwrap().iter().filter(|group| group["handler"] == "retries").collect();
    assert_eq!(of_retries.len(), 1, "the last attempt is in the group of the first: {groups:#}");
    assert_eq!(of_retries[0]["failures"], 2, "{groups:#}");
    let (_, found) = bridge.get("/api/v1/jobs?outcome=fallback").await;
    let (_, stats) = bridge.get("/api/v1/stats").await;
    assert_eq!(found["jobs"].as_array().unwrap().len(), rows.len());
    assert_eq!(stats["last_hour"]["fallbacks"], rows.len());
    assert_eq!(stats["last_hour"]["fallbacks_by"].as_array().unwrap().len(), rows.len());
}

/// Whether nothing more happens until the clock advances.
async fn is_quiet(bridge: &TestBridge, clock: &ManualClock) -> bool {
    let now = clock.now().to_string();
    let waits = |job: &Value| match job["state"].as_str().unwrap() {
        "delivered" => true,
        // All are in the same RFC 3339 format, so the texts sort like the times.
        "queued" => job["due_at"].as_str().unwrap() > now.as_str(),
        _ => false,
    };
    bridge.jobs().await.iter().all(waits)
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_get_their_answers_after_a_short_outage_of_the_backend() {
    let kommo = kommo().await;
    for down in [2, 20] {
        let clock = manual_clock();
        let (backend, up_again) = (clock.clone(), clock.now() + Duration::from_secs(down));
        let asks = Does(move |_: Request<Value>, _: Context| {
            let is_down = backend.now() < up_again;
            async move {
                if is_down {
                    Err(HandlerError::retry("connection refused"))
                } else {
                    Ok(Completion::success())
                }
            }
        });
        let bridge = Setup::with(&[&kommo]).handler("asks", asks).clock(clock.clock()).start().await;
        let mut bots = Vec::new();
        for _ in 0..20 {
            bots.push(asked(&bridge, &kommo, "asks").await);
        }
        while bots.iter().any(|(bot, _)| bot.continues().is_empty()) {
            bridge.until("the attempts to end", || is_quiet(&bridge, &clock)).await;
            clock.advance(Duration::from_millis(250));
        }
        for (bot, id) in bots {
            assert_eq!(continued(&bot).await.data, json!({ "status": "success" }), "down for {down} s");
            let job = bridge.in_state(&id, "delivered").await;
            assert_eq!(job["outcome"], "handler", "{job:#}");
            assert!((2..=10).contains(&job["handler_attempts"].as_u64().unwrap()), "{job:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_fallback_reports_a_failure_to_the_bot() {
    let fails = Does(|_, _| async { Err(HandlerError::fail("no")) });
    let bridge = testing::TestBridge::start(|bridge| bridge.handler("fails", fails)).await;
    let answer = bridge.answer_to("fails", json!({})).await;
    answer.assert_body(json!({ "data": { "status": "fail" } }));
    bridge.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decoding_error_does_not_quote_the_customer() {
    let data = json!({ "lead": "a customer's words" });
    let error = run(&Strict, data, TestContext::new()).await.unwrap_err().assert_fail().to_string();
    assert!(error.contains("data.lead") && error.contains("u32") && !error.contains("customer"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_runs_again_after_the_delay_that_it_asked_for() {
    let kommo = kommo().await;
    let seen = Arc::new(AtomicU32::new(0));
    let last_attempt = seen.clone();
    let flaky = Does(move |_: Request<Value>, context: Context| {
        last_attempt.store(context.attempt(), Ordering::SeqCst);
        let id = context.job_id().to_string();
        async move {
            match context.attempt() {
                1 => Err(HandlerError::retry_after(Duration::from_millis(700), "busy")),
                _ => Ok(Completion::success().data("id", id)),
            }
        }
    });
    let bridge = Setup::with(&[&kommo]).handler("flaky", flaky).start().await;
    let (bot, id) = asked(&bridge, &kommo, "flaky").await;
    assert_eq!(continued(&bot).await.data, json!({ "status": "success", "id": id }));
    let job = bridge.in_state(&id, "delivered").await;
    assert_eq!((&job["outcome"], seen.load(Ordering::SeqCst)), (&json!("handler"), 2));
    let started = |attempt: usize| -> jiff::Timestamp {
        job["attempts"][attempt]["started_at"].as_str().unwrap().parse().unwrap()
    };
    let gap = started(1).duration_since(started(0));
    assert!((700..5_000).contains(&gap.as_millis()), "{gap:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_gets_no_worker_gets_its_fallback_in_time() {
    let kommo = kommo().await;
    let clock = manual_clock();
    let (handler, mut held) = held();
    let bridge = Setup::with(&[&kommo])
        .config("workers.concurrency = 1\nhandlers.held.max_attempts = 1")
        .handler("held", handler)
        .clock(clock.clock())
        .start()
        .await;
    let (first, _) = asked(&bridge, &kommo, "held").await;
    let context = held.entered().await;
    advance(&clock, 20);
    let (second, id) = asked(&bridge, &kommo, "held").await;
    bridge.in_state(&id, "queued").await;
    // The default of answer_within is 50 s. The first job's time is up, and its handler is cancelled.
    advance(&clock, 30);
    assert_eq!(continued(&first).await.data, json!({ "status": "fail" }));
    context.cancelled().cancelled().await;
    held.entered().await;
    let (third, waiting) = asked(&bridge, &kommo, "echo").await;
    bridge.in_state(&waiting, "queued").await;
    advance(&clock, 51);
    for bot in [&second, &third] {
        assert_eq!(continued(bot).await.data, json!({ "status": "fail" }));
    }
    let job = bridge.in_state(&waiting, "delivered").await;
    assert_eq!((&job["outcome"], &job["handler_attempts"]), (&json!("fallback"), &json!(0)), "{job:#}");
    assert!(job["last_error"].as_str().unwrap().contains("no worker"), "{job:#}");
    bridge.settled().await;
}

fn advance(clock: &ManualClock, seconds: u64) {
    clock.advance(Duration::from_secs(seconds));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_knows_the_sender_of_its_request_and_its_time_limit() {
    let (kommo, other) = (kommo().await, account(2).await);
    let tells = Does(|request: Request<Value>, context: Context| async move {
        let left = context.time_limit().as_secs();
        let entity = request.entity.map(|entity| entity.id);
        Ok(Completion::new()
            .data("account", request.account_id)
            .data("url", request.account_url)
            .data("bot", request.bot_id)
            .data("entity", entity)
            .data("left", left))
    });
    let bridge = Setup::with(&[&kommo, &other])
        .config(r#"handlers.tells.attempt_timeout = "7s""#)
        .handler("tells", tells)
        .start()
        .await;
    for account in [&kommo, &other] {
        let (bot, _) = asked(&bridge, account, "tells").await;
        let data = continued(&bot).await.data;
        assert_eq!(data["account"], account.options().account_id);
        assert_eq!((&data["url"], &data["bot"]), (&json!(account.base_url()), &json!(bot.id())));
        assert_eq!((&data["left"], &data["entity"]), (&json!(7), &json!(bot.id() % 100_000_000)));
    }
}
