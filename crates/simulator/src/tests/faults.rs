//! Each fault as the caller sees it, and its effect on the bot.

use std::error::Error as _;
use std::io::ErrorKind;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Bot, Fault, Simulator};
use super::{ordinary, resume, simulator, to};

fn with(simulator: &Simulator, fault: Fault) -> Bot {
    simulator.bot(ordinary().faults([fault]))
}

/// A fault, and the expected status, content type and body.
type Refusal = (Fault, u16, &'static str, fn(&Value) -> bool);

/// The kind of the I/O error among the sources, if there is one.
fn io_kind(error: &reqwest::Error) -> Option<ErrorKind> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        source = error.source();
    }
    None
}

#[tokio::test]
async fn refusal_applies_to_one_attempt_and_leaves_the_bot_waiting() {
    let problem = "application/problem+json";
    let too_many = |header, body| Fault::TooManyRequests { header, body };
    let rows: Vec<Refusal> = vec![
        (Fault::Status(500), 500, problem, |body| body["trace_id"].is_string()),
        (Fault::Status(504), 504, problem, |body| body["status"] == 504),
        (Fault::Status(422), 422, problem, |body| body["detail"].is_string()),
        (Fault::Status(400), 400, problem, |body| {
            body["validation-errors"][0]["errors"][0]["code"].is_string()
        }),
        (Fault::Forbidden, 403, problem, |body| body["title"] == "Forbidden"),
        (Fault::Unauthorized, 401, problem, |body| body["title"] == "Unauthorized"),
        (Fault::PaymentRequired, 402, problem, |body| body["status"] == 402),
        (Fault::HtmlForbidden, 403, "text/html", Value::is_null),
        (Fault::HtmlNotFound, 404, "text/html", Value::is_null),
        (Fault::HtmlOk, 200, "text/html", Value::is_null),
        (too_many(None, Some(300)), 429, problem, |body| body["retry_after"] == 300),
        (too_many(Some(2), None), 429, "text/html", Value::is_null),
        (Fault::Redirect("https://elsewhere.example/".into()), 307, "text/html", Value::is_null),
    ];
    let simulator = simulator().await;
    for (fault, status, content_type, check) in rows {
        let bot = with(&simulator, fault.clone());
        let response = to(&simulator, &bot).json(&json!({ "data": {} })).send().await.unwrap();
        assert_eq!(response.status(), status, "{fault}");
        assert_eq!(response.headers()["content-type"], content_type, "{fault}");
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (location, retry_after) = (header("location"), header("retry-after"));
        assert_eq!(location, (status == 307).then(|| "https://elsewhere.example/".into()), "{fault}");
        assert_eq!(retry_after, (fault == too_many(Some(2), None)).then(|| "2".into()), "{fault}");
        let body = serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default();
        assert!(check(&body), "{fault}: {body}");
        assert!(!bot.report().is_done(), "{fault}");
        assert_eq!(resume(&simulator, &bot, json!({ "data": {} })).await.0, 202, "{fault}");
    }
}

#[tokio::test]
async fn fault_with_a_2xx_status_replaces_202() {
    let simulator = simulator().await;
    for status in [200, 204] {
        let bot = with(&simulator, Fault::Status(status));
        assert_eq!(resume(&simulator, &bot, json!({ "data": {} })).await.0, status);
        assert!(bot.report().is_done());
    }
    let bot = with(&simulator, Fault::Status(200));
    assert_eq!(resume(&simulator, &bot, json!({ "data": 1 })).await.0, 400, "a bad body stays bad");
}

#[tokio::test]
async fn reset_breaks_the_connection_without_continuing_the_bot() {
    let simulator = simulator().await;
    let bot = with(&simulator, Fault::Reset);
    let error = to(&simulator, &bot).json(&json!({ "data": {} })).send().await.unwrap_err();
    assert_eq!(io_kind(&error), Some(ErrorKind::ConnectionReset), "{error:?}");
    assert!(!bot.report().is_done());
    assert_eq!(resume(&simulator, &bot, json!({ "data": {} })).await.0, 202);
}

#[tokio::test]
async fn lost_answer_continues_the_bot_and_later_attempts_get_404() {
    let simulator = simulator().await;
    let bot = with(&simulator, Fault::AnswerLost);
    let error = to(&simulator, &bot).json(&json!({ "data": { "n": 1 } })).send().await.unwrap_err();
    assert_ne!(io_kind(&error), Some(ErrorKind::ConnectionReset), "{error:?}");
    assert_eq!(bot.continued().await.data["n"], 1);
    assert_eq!(resume(&simulator, &bot, json!({ "data": { "n": 2 } })).await.0, 404);
    assert_eq!((bot.report().continued, bot.report().attempts), (1, 2));
    let statuses: Vec<_> = simulator.calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [None, Some(404)]);
}

#[tokio::test]
async fn lost_answer_to_an_invalid_continue_changes_nothing() {
    let simulator = simulator().await;
    let bot = with(&simulator, Fault::AnswerLost);
    to(&simulator, &bot).json(&json!([])).send().await.unwrap_err();
    assert!(!bot.report().is_done());
}

#[tokio::test]
async fn hang_and_drip_never_complete_a_response() {
    let simulator = simulator().await;
    for fault in [Fault::Hang, Fault::Drip] {
        let bot = with(&simulator, fault.clone());
        let request = to(&simulator, &bot).timeout(Duration::from_millis(200)).json(&json!({ "data": {} }));
        let error = request.send().await.unwrap_err();
        assert!(error.is_timeout(), "{fault}: {error:?}");
        assert_eq!((bot.report().attempts, bot.report().continued), (1, 0), "{fault}");
        assert_eq!(resume(&simulator, &bot, json!({ "data": {} })).await.0, 202, "{fault}");
    }
}

#[tokio::test]
async fn shutdown_closes_hanging_connections() {
    let simulator = simulator().await;
    let bot = with(&simulator, Fault::Hang);
    let request = to(&simulator, &bot).json(&json!({ "data": {} }));
    let pending = tokio::spawn(request.send());
    while bot.report().attempts == 0 {
        tokio::task::yield_now().await;
    }
    simulator.shutdown().await;
    pending.await.unwrap().unwrap_err();
    assert!(!bot.report().is_done(), "handles outlive the simulator");
}

#[tokio::test]
async fn garbage_is_not_http() {
    let simulator = simulator().await;
    let bot = with(&simulator, Fault::Garbage);
    let error = to(&simulator, &bot).json(&json!({ "data": {} })).send().await.unwrap_err();
    assert!(format!("{error:?}").contains("Parse"), "{error:?}");
    assert!(!bot.report().is_done());
}

#[tokio::test]
async fn outage_applies_to_every_continue_and_keeps_the_planned_faults() {
    let simulator = simulator().await;
    let bots = [with(&simulator, Fault::Status(500)), simulator.bot(ordinary())];
    simulator.set_outage(Some(Fault::Status(503)));
    for bot in &bots {
        assert_eq!(resume(&simulator, bot, json!({ "data": {} })).await.0, 503);
    }
    simulator.set_outage(None);
    assert_eq!(resume(&simulator, &bots[0], json!({ "data": {} })).await.0, 500);
    assert_eq!(resume(&simulator, &bots[0], json!({ "data": {} })).await.0, 202);
    assert_eq!(resume(&simulator, &bots[1], json!({ "data": {} })).await.0, 202);
}
