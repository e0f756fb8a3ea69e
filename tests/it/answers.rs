//! What the sender does with each response of Kommo, row by row, from the fault to the state of the job.

use std::time::Duration;

use salesbot_bridge::{Completion, Show};
use serde_json::{Value, json};
use simulator::{DataAlone, Fault, Options, Plan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::handlers::Does;
use crate::played::{bot, calls_for, continued, gaps, kommo, plan, playing, with_faults};
use crate::setup::Setup;

/// Statuses of the delivery attempts; `null` if there was no response.
fn statuses(job: &Value) -> Vec<Value> {
    let attempts = job["attempts"].as_array().unwrap().iter();
    attempts
        .filter(|attempt| attempt["stage"] == "delivery")
        .map(|attempt| attempt["status"].clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_leads_to_its_state() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).config(r#"delivery.request_timeout = "300ms""#).start().await;
    let once = |status| (Fault::Status(status), "delivered", json!([status, 202]));
    let lost = |fault| (fault, "delivered", json!([null, 202]));
    let rows = [
        (Fault::Status(200), "delivered", json!([200])),
        (Fault::Status(202), "delivered", json!([202])),
        (Fault::Status(204), "delivered", json!([204])),
        // A 404 this early is not charged: the bot may not be waiting yet.
        (Fault::Status(404), "delivered", json!([202])),
        (Fault::HtmlNotFound, "delivered", json!([202])),
        // Something other than Kommo answers.
        (Fault::HtmlOk, "delivered", json!([200, 202])),
        once(408),
        once(425),
        once(500),
        once(502),
        once(503),
        once(504),
        lost(Fault::Reset),
        lost(Fault::Hang),
        lost(Fault::Garbage),
        lost(Fault::Drip),
        // The continue had arrived, but its response was lost.
        (Fault::AnswerLost, "delivered", json!([null, 404])),
    ];
    let mut asked = Vec::new();
    for (fault, state, expected) in rows {
        let bot = with_faults(&kommo, [fault.clone()]);
        asked.push((fault, state, expected, bridge.ask(&bot, "echo").await, bot));
    }
    for (fault, state, expected, id, bot) in asked {
        let job = bridge.in_state(&id, state).await;
        assert_eq!(Value::from(statuses(&job)), expected, "{fault}: {job:#}");
        let continues = usize::from(state == "delivered");
        assert_eq!(bot.continues().len(), continues, "{fault}");
        assert_eq!(job["delivery_attempts"], expected.as_array().unwrap().len(), "{fault}");
        assert_eq!(job["outcome"], "handler", "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_gone_if_no_bot_waits() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let first = bot(&kommo);
    bridge.ask(&first, "echo").await;
    continued(&first).await;
    // Another request for a wait that has ended, as from a bot that was stopped by hand.
    let late = kommo.bot(Plan { return_url: Some(first.return_url()), ..plan() });
    let id = bridge.ask(&late, "echo").await;
    let job = bridge.in_state(&id, "gone").await;
    assert!(job["last_error"].as_str().unwrap().contains("404"), "{job:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_longer_than_give_up_after_ends_in_dead() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).config(r#"delivery.give_up_after = "1s""#).start().await;
    kommo.set_outage(Some(Fault::Status(500)));
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "echo").await;
    let job = bridge.in_state(&id, "dead").await;
    let (_, groups) = bridge.get("/api/v1/errors").await;
    assert_eq!(
        groups["errors"].as_array().unwrap().len(),
        1,
        "the last failure is in the group of the others: {groups:#}"
    );
    let (_, explained) = bridge.get(&format!("/api/v1/jobs/{id}/explain")).await;
    let why = explained["because"][0]["text"].as_str().unwrap();
    assert!(why.contains("delivery.give_up_after") && why.contains("500"), "{why}");
    let calls = calls_for(&kommo, &bot);
    let lasted = calls[calls.len() - 1].instant - calls[0].instant;
    assert!(lasted >= Duration::from_millis(990) && calls.len() >= 2, "{lasted:?}, {} calls", calls.len());
    assert_eq!(job["delivery_attempts"], calls.len());
    // An operator may retry, with a new time budget.
    kommo.set_outage(None);
    bridge.operator(&id, "retry").await;
    continued(&bot).await;
    bridge.in_state(&id, "delivered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_are_delayed_by_the_backoff() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let bots: Vec<_> =
        (0..10).map(|_| with_faults(&kommo, [Fault::Status(500), Fault::Status(500)])).collect();
    for bot in &bots {
        bridge.ask(bot, "echo").await;
    }
    let mut first = Duration::ZERO;
    for bot in &bots {
        continued(bot).await;
        let gaps = gaps(&calls_for(&kommo, bot));
        // Up to 500 ms, then up to 1 s, plus what a busy machine adds.
        assert!(gaps.len() == 2 && gaps.iter().all(|gap| *gap < Duration::from_secs(4)), "{gaps:?}");
        first += gaps[0];
    }
    // With full jitter, the sum of ten delays is practically never below a tenth of its expected value.
    assert!(first > Duration::from_millis(250), "the retries did not back off: {first:?} for ten");
    bridge.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_completion_is_replaced_by_the_fallback_once() {
    let kommo = kommo().await;
    let fallback = r#"handlers.echo.fallback = { data = { status = "sorry" } }"#;
    let bridge = Setup::with(&[&kommo]).config(fallback).start().await;
    for status in [400, 422] {
        let once = with_faults(&kommo, [Fault::Status(status)]);
        let id = bridge.ask(&once, "echo").await;
        assert_eq!(continued(&once).await.data, json!({ "status": "sorry" }), "{status}");
        let job = bridge.in_state(&id, "delivered").await;
        assert_eq!(job["outcome"], "fallback", "{status}");
        assert!(job["last_error"].as_str().unwrap().contains(&status.to_string()), "{job:#}");

        let twice = with_faults(&kommo, [Fault::Status(status), Fault::Status(status)]);
        let id = bridge.ask(&twice, "echo").await;
        let job = bridge.in_state(&id, "dead").await;
        assert_eq!((&job["outcome"], &job["delivery_attempts"]), (&json!("fallback"), &json!(2)), "{status}");
        assert!(twice.continues().is_empty());
    }
    // An operator can search for Kommo's validation errors.
    let dead = bridge.get("/api/v1/jobs?state=dead&q=InvalidRequest").await.1;
    assert_eq!(dead["jobs"].as_array().unwrap().len(), 1, "{dead:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_is_answered_with_the_configured_goto() {
    let kommo = playing(Options { data_alone: DataAlone::TooFew400, ..Options::default() }).await;
    let bridge = Setup::with(&[&kommo])
        .config(r#"handlers.echo.goto = { type = "answer", step = 3 }"#)
        .handler("plain", Does(|_, _| async { Ok(Completion::success()) }))
        .handler("shows", Does(|_, _| async { Ok(Completion::success().show(Show::text("hi"))) }))
        .start()
        .await;
    let with = bot(&kommo);
    let id = bridge.ask(&with, "echo").await;
    let got = continued(&with).await;
    let goto = json!({ "handler": "goto", "params": { "type": "answer", "step": 3 } });
    assert_eq!((&got.data["message"], got.execute_handlers), (&json!("hi"), Some(vec![goto])));
    let job = bridge.in_state(&id, "delivered").await;
    assert_eq!((&job["outcome"], statuses(&job)), (&json!("handler"), vec![json!(400), json!(202)]));

    let without = bridge.ask(&bot(&kommo), "plain").await;
    let job = bridge.in_state(&without, "dead").await;
    let error = job["last_error"].as_str().unwrap();
    assert!(error.contains("TooFew") && error.contains("handlers.NAME.goto"), "{error}");
    assert_eq!((&job["outcome"], statuses(&job)), (&json!("handler"), vec![json!(400)]));

    // A completion that already has a handler needs no goto.
    let shows = bot(&kommo);
    let id = bridge.ask(&shows, "shows").await;
    assert_eq!(statuses(&bridge.in_state(&id, "delivered").await), [json!(202)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_never_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!("http://{}/stolen", elsewhere.local_addr().unwrap());
    let kommo = kommo().await;
    // Not even to a host on the allow-list.
    let allowed = [kommo.base_url(), &location].map(|url| url[7..].trim_end_matches("/stolen").to_owned());
    let bridge =
        Setup::with(&[&kommo]).config(&format!("delivery.allowed_hosts = {allowed:?}")).start().await;
    let bot = with_faults(&kommo, [Fault::Redirect(location.clone()), Fault::Redirect(location.clone())]);
    let asked = bridge.ask(&bot, "echo");
    let heard = async {
        let (mut stream, _) = elsewhere.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.unwrap();
        heard
    };
    let done = async {
        let id = asked.await;
        bridge.in_state(&id, "delivered").await
    };
    tokio::select! {
        heard = heard => panic!("the redirect was followed: {heard}"),
        job = done => {
            assert_eq!(statuses(&job), [json!(307), json!(307), json!(202)]);
            assert!(job["last_error"].as_str().unwrap().contains("redirects are not followed"), "{job:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kommo_gets_exactly_the_handlers_completion() {
    let kommo = kommo().await;
    let says = Does(|_, _| async {
        Ok(Completion::success()
            .data("reply", "a long text ".repeat(50))
            .show(Show::buttons("Which?", ["one", "two"]))
            .goto(salesbot_bridge::Step::question(1)))
    });
    let bridge = Setup::with(&[&kommo]).handler("says", says).start().await;
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "says").await;
    let got = continued(&bot).await;
    assert_eq!(got.data, json!({ "status": "success", "reply": "a long text ".repeat(50) }));
    let handlers = json!([
        { "handler": "show", "params": { "type": "buttons", "value": "Which?", "buttons": ["one", "two"] } },
        { "handler": "goto", "params": { "type": "question", "step": 1 } },
    ]);
    assert_eq!(Value::from(got.execute_handlers.unwrap()), handlers);
    let call = &calls_for(&kommo, &bot)[0];
    assert!(call.authorized && call.user_agent.starts_with("salesbot-bridge/"), "{call:?}");
    bridge.in_state(&id, "delivered").await;
}
