//! The test kit as authors of handlers use it: its promises, and that its failures say what is wrong.

use std::any::Any;
use std::time::{Duration, Instant};

use salesbot_bridge::BotType;
use salesbot_bridge::prelude::*;
use salesbot_bridge::testing::{
    AssertAnswer, AssertCalls, TestBridge, TestContext, TestKommo, TestRequest, manual_clock, run,
};
use simulator::{BodyStyle, Bot, Plan};

use crate::handlers::{Does, held};

/// Answers with the price of the request's lead, in the currency and with the discount of the request.
struct Price;

#[derive(Deserialize)]
struct Question {
    currency: String,
    #[serde(default)]
    discount: u8,
}

impl Handler for Price {
    type Input = Question;

    async fn handle(&self, request: Request<Question>, context: Context) -> Result<Completion, HandlerError> {
        let lead = request.entity.ok_or_else(|| HandlerError::fail("the request has no lead"))?.id;
        let lead = context.kommo().get_json(&format!("/api/v4/leads/{lead}")).await?;
        let Question { currency, discount } = request.data;
        Ok(Completion::success().data("price", format!("{} {currency} - {discount} %", lead["price"])))
    }
}

/// The message of a panic.
fn message(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(other) => other.downcast::<&str>().map(|text| (*text).to_owned()).unwrap_or_default(),
    }
}

/// The message with which `test` fails; panics if it succeeds.
async fn failure(test: impl Future<Output = ()> + Send + 'static) -> String {
    message(tokio::spawn(test).await.expect_err("the test succeeded").into_panic())
}

#[tokio::test]
async fn a_handler_behaves_the_same_in_a_unit_test_and_in_a_bridge() {
    let bridge = TestBridge::start(|bridge| bridge.handler("price", Price)).await;
    let kommo = bridge.kommo();
    kommo.respond("GET /api/v4/leads/5", json!({ "price": 100 }));
    for data in [
        json!({ "currency": "EUR" }),
        json!({ "currency": "EUR", "discount": 10 }),
        json!({ "currency": "EUR", "unknown": { "key": 1 } }),
        json!({ "currency": "EUR", "discount": "10" }),
        json!({ "currency": "EUR", "discount": 256 }),
        json!({ "currency": null }),
        json!({}),
        json!([]),
        json!("EUR"),
        Value::Null,
    ] {
        let context = TestContext::new().kommo(kommo);
        let in_test = run(&Price, TestRequest::new(data.clone()).lead(5), context).await;
        let bot = kommo.bot(Plan { body: BodyStyle::Json, ..Plan::with_data(data.clone()).lead(5) });
        let id = bridge.ask(&bot, "price").await;
        let answer = bridge.continued(&bot).await;
        let job = bridge.in_state(&id, "delivered").await;
        match in_test {
            Ok(completion) => {
                answer.assert_body(completion.body());
                assert_eq!(job["outcome"], "handler", "{data}");
            }
            Err(error) => {
                assert_eq!(job["attempts"][0]["error"], error.to_string(), "{data}");
                assert_eq!(job["attempts"][0]["result"], "fail", "{data}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_and_a_context_hold_what_the_test_sets() {
    let seen = Does(|request: Request<Value>, context: Context| async move {
        let entity = request.entity.map(|entity| entity.to_string());
        Ok(Completion::new()
            .data("account", format!("{} at {}", request.account_id, request.account_url))
            .data("bot", format!("{} {}", request.bot_type.as_str(), request.bot_id))
            .data("entity", entity)
            .data("received_at", request.received_at.to_string())
            .data("job", context.job_id().to_string())
            .data("attempt", context.attempt())
            .data("time_limit", context.time_limit().as_millis())
            .data("time_left", context.deadline().since(request.received_at).as_millis()))
    });
    let defaults = run(&seen, json!({}), TestContext::new()).await.unwrap();
    defaults
        .assert_data("account", "1 at https://example.kommo.com")
        .assert_data("bot", "salesbot 1")
        .assert_data("entity", Value::Null)
        .assert_data("received_at", "2026-01-01T00:00:00.000Z")
        .assert_data("attempt", 1)
        .assert_data("time_limit", 30_000);

    let clock = manual_clock();
    let id = "01920000-0000-7000-8000-000000000007";
    let request = TestRequest::from(json!({}))
        .account_id(7)
        .account_url("https://acme.kommo.com")
        .contact(8)
        .bot(BotType::Marketingbot, 9)
        .received_at(clock.now());
    let context = TestContext::new()
        .job_id(id.parse().unwrap())
        .attempt(3)
        .time_limit(Duration::from_secs(5))
        .clock(clock.clock());
    run(&seen, request, context).await.unwrap().assert_all_data(json!({
        "account": "7 at https://acme.kommo.com",
        "bot": "marketingbot 9",
        "entity": "contact 8",
        "received_at": clock.now().to_string(),
        "job": id,
        "attempt": 3,
        "time_limit": 5_000,
        "time_left": 5_000,
    }));
}

#[tokio::test]
async fn a_handler_that_hangs_fails_its_unit_test_at_the_end_of_the_attempt() {
    let context = TestContext::new().time_limit(Duration::from_millis(20)).build();
    let cancelled = context.cancelled().clone();
    let hangs = Does(|_, _| std::future::pending());
    let message = failure(async move { drop(run(&hangs, json!({}), context).await) }).await;
    assert!(message.contains("has not finished within 20ms"), "{message}");
    assert!(cancelled.is_cancelled(), "the handler's own tasks were not cancelled");
}

#[tokio::test]
async fn a_handler_that_blocks_beyond_its_time_fails_its_unit_test() {
    let context = TestContext::new().time_limit(Duration::from_millis(20));
    let blocks = Does(|_, _| {
        std::thread::sleep(Duration::from_millis(40));
        async { Ok(Completion::success()) }
    });
    let message = failure(async move { drop(run(&blocks, json!({}), context).await) }).await;
    assert!(message.contains("has not finished within 20ms"), "{message}");
}

#[tokio::test]
async fn a_call_to_kommo_in_a_unit_test_without_one_says_what_to_add() {
    let message = failure(async {
        drop(run(&Price, TestRequest::new(json!({ "currency": "EUR" })).lead(5), TestContext::new()).await);
    });
    let message = message.await;
    assert!(message.contains("`TestContext::new().kommo(&kommo)`"), "{message}");
}

#[tokio::test]
async fn a_missing_call_is_reported_with_the_calls_that_were_received() {
    let kommo = TestKommo::start().await;
    let message = failure(async move {
        let context = TestContext::new().kommo(&kommo);
        let price = run(&Price, TestRequest::new(json!({ "currency": "EUR" })).lead(5), context).await;
        assert!(price.is_err());
        kommo.assert_not_called("GET /api/v4/leads/6");
        let received = kommo.assert_called("GET /api/v4/leads/5");
        assert_eq!((received.status, received.authorized), (Some(404), true));
        kommo.assert_called("PATCH /api/v4/leads/5");
    });
    let message = message.await;
    assert!(message.contains("has not received PATCH /api/v4/leads/5"), "{message}");
    assert!(message.contains("GET /api/v4/leads/5 (answered 404)"), "{message}");
}

/// A bridge whose only job waits for its handler until `grace` is over.
async fn bridge_with_a_job(grace: &str) -> TestBridge {
    let (handler, mut held) = held();
    let bridge = TestBridge::builder()
        .handlers(|bridge| bridge.handler("slow", handler))
        .config(&format!("workers.grace = \"{grace}\""))
        .start()
        .await;
    bridge.ask(&bridge.kommo().bot(json!({}).into()), "slow").await;
    held.entered().await;
    // The handler holds until the bridge ends.
    std::mem::forget(held);
    bridge
}

#[tokio::test]
async fn a_job_that_is_left_unfinished_fails_the_test() {
    for stops in [true, false] {
        let message = failure(async move {
            let bridge = bridge_with_a_job("0s").await;
            if stops {
                bridge.stop().await;
            }
        });
        let message = message.await;
        assert!(message.contains("unfinished jobs"), "{message}");
        assert!(message.contains("is queued: handler slow, attempts 0"), "{message}");
    }
}

#[tokio::test]
async fn unfinished_jobs_can_be_allowed() {
    bridge_with_a_job("0s").await.allow_unfinished_jobs().stop().await;
    drop(bridge_with_a_job("0s").await.allow_unfinished_jobs());
}

#[tokio::test]
async fn a_test_that_fails_reports_its_own_failure_and_does_not_wait_for_its_jobs() {
    let begun = Instant::now();
    let message = failure(async {
        let _bridge = bridge_with_a_job("40s").await;
        panic!("the test's own failure");
    });
    assert_eq!(message.await, "the test's own failure");
    assert!(begun.elapsed() < Duration::from_secs(20), "it waited for the grace of the job");
}

#[tokio::test]
async fn bridges_run_side_by_side_and_share_nothing() {
    let bridges = (0..4).map(|number| async move {
        let says = Does(move |_: Request<Value>, _: Context| async move {
            Ok(Completion::new().data("number", number))
        });
        (number, TestBridge::start(|bridge| bridge.handler("says", says)).await)
    });
    let bridges = futures_util::future::join_all(bridges).await;
    for (number, bridge) in &bridges {
        bridge.answer_to("says", json!({})).await.assert_data("number", *number);
        assert_eq!(bridge.kommo().calls().len(), 1);
        assert_eq!(bridges.iter().filter(|(_, other)| other.url("says") == bridge.url("says")).count(), 1);
        assert_eq!(
            bridges.iter().filter(|(_, other)| other.folder().path() == bridge.folder().path()).count(),
            1
        );
    }
}

#[tokio::test]
async fn a_test_that_blocks_its_only_thread_stops_neither_the_bridge_nor_kommo() {
    let (begins, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let handler = Does(move |_: Request<Value>, context: Context| {
        begins.send(()).unwrap();
        async move { Ok(Completion::new().data("lead", context.kommo().get_json("/api/v4/leads/5").await?)) }
    });
    let bridge = TestBridge::start(|bridge| bridge.handler("price", handler)).await;
    bridge.kommo().respond("GET /api/v4/leads/5", json!({ "price": 100 }));
    let bot = bridge.kommo().bot(json!({}).into());
    bridge.ask(&bot, "price").await;
    // A bridge that stops does not begin a job.
    begun.recv().await.unwrap();
    // Dropping blocks this thread until the job is delivered, which takes two calls to Kommo.
    drop(bridge);
    assert_eq!(bot.continues().len(), 1);
}

#[tokio::test]
async fn timeouts_say_what_did_not_happen() {
    let start = async || {
        let hangs = Does(|_, _| std::future::pending());
        let builder = TestBridge::builder().handlers(|bridge| bridge.handler("hangs", hangs));
        builder.config("workers.grace = \"0s\"").timeout(Duration::from_millis(300)).start().await
    };
    let bridge = start().await;
    let message = failure(async move { drop(bridge.answer_to("hangs", json!({})).await) }).await;
    for part in ["was not continued within 300ms", "\"handler\": \"hangs\"", "\"state\": \"running\""] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let bridge = start().await;
    let message =
        failure(async move { bridge.until("the backend to be called", || async { false }).await }).await;
    assert_eq!(message, "waited 300ms for the backend to be called");
    let bridge = start().await;
    let message = failure(async move {
        let id = bridge.ask(&bridge.kommo().bot(json!({}).into()), "hangs").await;
        bridge.in_state(&id, "delivered").await;
    });
    assert!(message.await.contains("after 300ms the job is not as expected"));
}

#[tokio::test]
async fn a_bridge_that_cannot_start_says_why() {
    let refused = |message: &str, part: &str| assert!(message.contains(part), "{message}");
    let message = failure(async { drop(TestBridge::builder().start().await) }).await;
    refused(&message, "no handler is configured");
    assert!(message.starts_with("the bridge cannot start: ") && !message.contains("Ended"), "{message}");
    let message =
        failure(async { drop(TestBridge::builder().config("workers.concurency = 1").start().await) }).await;
    refused(&message, "workers.concurency");
    let message = failure(async {
        let bridge = TestBridge::start(|bridge| bridge.handler("echo", salesbot_bridge::Echo)).await;
        drop(bridge.answer_to("other", json!({})).await);
    });
    refused(&message.await, "the bridge has not accepted a new job for `other`: 404");
}

#[tokio::test]
async fn a_test_sets_the_configuration_and_a_later_value_wins() {
    let fails = Does(|_, _| async { Err(HandlerError::retry("not now")) });
    let bridge = TestBridge::builder()
        .handlers(|bridge| bridge.handler("fails", fails))
        .config("handlers.fails.max_attempts = 9\nhandlers.fails.fallback.data.status = \"sorry\"")
        .config("handlers.fails.max_attempts = 1")
        .start()
        .await;
    let answer = bridge.answer_to("fails", json!({})).await;
    answer.assert_all_data(json!({ "status": "sorry" }));
    assert_eq!(answer.job()["handler_attempts"], 1);
}

#[tokio::test]
async fn a_failed_assertion_says_why_the_bot_got_the_fallback() {
    let message = failure(async {
        let bridge = TestBridge::start(|bridge| bridge.handler("price", Price)).await;
        let answer = bridge.answer_to("price", json!({ "name": "Ann" })).await;
        assert_eq!(
            (&answer.data, &answer.job()["outcome"]),
            (&json!({ "status": "fail" }), &json!("fallback"))
        );
        answer.assert_data("price", "100 EUR");
    });
    let message = message.await;
    assert!(message.contains("data.price: expected \"100 EUR\", but it is missing"), "{message}");
    assert!(
        message.contains("the bot got the fallback (failed): data does not decode: missing field"),
        "{message}"
    );
}

#[tokio::test]
async fn a_bridge_continues_with_the_store_of_another() {
    let kommo = TestKommo::start().await;
    let builder = || TestBridge::builder().account(&kommo);
    let hangs = Does(|_, _| std::future::pending());
    let first = builder().handlers(|bridge| bridge.handler("greet", hangs)).config("workers.grace = \"0s\"");
    let first = first.allow_unfinished_jobs().start().await;
    let bot: Bot = kommo.bot(json!({ "name": "Ann" }).into());
    first.ask(&bot, "greet").await;
    let folder = first.stop().await;
    let second = builder().handlers(|bridge| bridge.handler("greet", salesbot_bridge::Echo)).folder(&folder);
    second.start().await.continued(&bot).await.assert_data("name", "Ann");
}
