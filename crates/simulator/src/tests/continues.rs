//! The continue endpoint without faults.

use std::time::Duration;

use serde_json::json;

use super::super::{BotType, DataAlone, Options, Plan, Simulator, What};
use super::{client, ordinary, resume, simulator, to};

#[tokio::test]
async fn waiting_bot_is_continued_once() {
    let simulator = simulator().await;
    let bot = simulator.bot(ordinary());
    let body = json!({ "data": { "status": "success" }, "execute_handlers": [
        { "handler": "goto", "params": { "type": "question", "step": 1 } },
    ] });

    assert_eq!(resume(&simulator, &bot, body.clone()).await.0, 202);
    let with = bot.continued().await;
    assert_eq!(with.data, body["data"]);
    assert_eq!(json!(with.execute_handlers), body["execute_handlers"]);

    let (status, problem) = resume(&simulator, &bot, body).await;
    assert_eq!((status, &problem["status"]), (404, &json!(404)));
    let report = bot.report();
    assert_eq!((report.waits, report.continued, report.attempts, report.is_done()), (1, 1, 2, true));
    let statuses: Vec<_> =
        simulator.calls().iter().map(|call| (call.bot, call.authorized, call.status)).collect();
    assert_eq!(statuses, [(Some(bot.id()), true, Some(202)), (Some(bot.id()), true, Some(404))]);
}

#[tokio::test]
async fn body_of_202_is_empty_or_one_word() {
    let simulator = simulator().await;
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let bot = simulator.bot(ordinary());
        let response = to(&simulator, &bot).json(&json!({ "data": {} })).send().await.unwrap();
        assert_eq!(response.status(), 202);
        bodies.push(response.text().await.unwrap());
    }
    bodies.sort();
    assert_eq!(bodies, ["", "Accepted"]);
}

#[tokio::test]
async fn waits_of_one_session_share_the_return_url() {
    let simulator = simulator().await;
    let bot = simulator.bot(ordinary());
    let first = bot.request("http://127.0.0.1:8080/widget_request/echo");
    assert_eq!(
        bot.request("http://127.0.0.1:8080/widget_request/echo").jti,
        first.jti,
        "a repeated request has the same jti"
    );
    assert_eq!(resume(&simulator, &bot, json!({ "data": { "n": 1 } })).await.0, 202);

    let second = bot.next_request("http://127.0.0.1:8080/widget_request/echo", json!({ "message": "more" }));
    assert_eq!(second.return_url, first.return_url);
    assert_ne!(second.jti, first.jti);
    assert!(!bot.report().is_done());
    assert_eq!(resume(&simulator, &bot, json!({ "data": { "n": 2 } })).await.0, 202);
    assert_eq!(bot.continued().await.data, json!({ "n": 2 }));
    let all: Vec<_> = bot.continues().into_iter().map(|with| with.data).collect();
    assert_eq!(all, [json!({ "n": 1 }), json!({ "n": 2 })]);
    assert_eq!(resume(&simulator, &bot, json!({ "data": {} })).await.0, 404);
}

#[tokio::test]
async fn continued_wakes_when_the_continue_arrives() {
    let simulator = simulator().await;
    let bot = simulator.bot(ordinary());
    let waiter = tokio::spawn({
        let bot = bot.clone();
        async move { bot.continued().await }
    });
    assert_eq!(resume(&simulator, &bot, json!({ "data": ["x"] })).await.0, 202);
    let with = waiter.await.unwrap();
    assert_eq!((with.data, with.execute_handlers), (json!(["x"]), None));
}

#[tokio::test]
async fn missing_or_wrong_bearer_is_refused() {
    let simulator = simulator().await;
    let bot = simulator.bot(ordinary());
    let body = json!({ "data": {} });
    for request in [client().post(bot.return_url()), client().post(bot.return_url()).bearer_auth("stale")] {
        let response = request.json(&body).send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
    assert!(!bot.report().is_done());
    assert!(simulator.calls().iter().all(|call| !call.authorized));
}

#[tokio::test]
async fn only_the_exact_path_of_a_bot_is_served() {
    let simulator = simulator().await;
    let bot = simulator.bot(Plan { bot_type: BotType::Marketingbot, ..ordinary() });
    let url = bot.return_url();
    let rows = [
        (url.replace("marketingbot", "salesbot"), 404),
        (format!("{url}0"), 404),
        (format!("{}/api/v4/salesbot/12/continue/13", simulator.base_url()), 404),
        (format!("{}/api/v4/leads", simulator.base_url()), 404),
        (url, 202),
    ];
    for (url, expected) in rows {
        let request = client().post(&url).bearer_auth(&simulator.options().access_token);
        let status = request.json(&json!({ "data": {} })).send().await.unwrap().status();
        assert_eq!(status, expected, "{url}");
    }
    let response = client().get(bot.return_url()).send().await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["allow"]), (405, &"POST".parse().unwrap()));
}

#[tokio::test]
async fn refused_body_names_its_error_and_leaves_the_bot_waiting() {
    let simulator = simulator().await;
    let bot = simulator.bot(ordinary());
    let long = json!({ "data": {}, "execute_handlers": [
        { "handler": "show", "params": { "type": "text", "value": "x".repeat(81) } },
    ] });
    let (status, problem) = resume(&simulator, &bot, long).await;
    assert_eq!(status, 400);
    let errors = &problem["validation-errors"][0];
    assert_eq!(errors["request_id"], "0");
    assert_eq!(errors["errors"][0]["code"], "TooLong");
    assert_eq!(errors["errors"][0]["path"], "execute_handlers.params.value");
    assert!(!bot.report().is_done());
    assert_eq!(resume(&simulator, &bot, json!({ "data": {} })).await.0, 202);
}

#[tokio::test]
async fn data_without_handlers_can_be_refused_as_too_few() {
    let options = Options { data_alone: DataAlone::TooFew400, ..Options::default() };
    let simulator = Simulator::start(options).await.unwrap();
    let bot = simulator.bot(ordinary());
    let (status, problem) = resume(&simulator, &bot, json!({ "data": {} })).await;
    assert_eq!((status, &problem["validation-errors"][0]["errors"][0]["code"]), (400, &json!("TooFew")));
    let goto = json!([{ "handler": "goto", "params": { "type": "question", "step": 1 } }]);
    assert_eq!(resume(&simulator, &bot, json!({ "data": {}, "execute_handlers": goto })).await.0, 202);
}

#[tokio::test]
async fn call_over_the_rate_limit_gets_429_with_retry_after_in_the_body() {
    let options = Options { rate_limit: Some(0), ..Options::default() };
    let simulator = Simulator::start(options).await.unwrap();
    let bot = simulator.bot(ordinary());
    let (status, problem) = resume(&simulator, &bot, json!({ "data": {} })).await;
    assert_eq!((status, &problem["retry_after"]), (429, &json!(1)));
    assert!(!bot.report().is_done());
}

#[tokio::test]
async fn latency_passes_before_the_continue_is_checked() {
    let latency = Duration::from_millis(30);
    let simulator = Simulator::start(Options { latency, ..Options::default() }).await.unwrap();
    let bot = simulator.bot(ordinary());
    assert_eq!(resume(&simulator, &bot, json!({ "data": {} })).await.0, 202);
    assert!(bot.continued().await.at >= simulator.calls()[0].at + latency);
}

#[tokio::test]
async fn without_recording_only_counts_and_the_last_continue_are_kept() {
    let simulator = Simulator::start(Options { record: false, ..Options::default() }).await.unwrap();
    let bot = simulator.bot(ordinary());
    bot.next_wait(json!({}));
    for n in [1, 2] {
        assert_eq!(resume(&simulator, &bot, json!({ "data": { "n": n } })).await.0, 202);
    }
    assert_eq!(bot.continues().len(), 1);
    assert_eq!(bot.continued().await.data["n"], 2);
    let report = bot.report();
    assert_eq!((report.attempts, report.continued, report.events.len()), (2, 2, 0));
    assert!(simulator.calls().is_empty());
}

#[tokio::test]
async fn events_are_kept_in_order() {
    let simulator = simulator().await;
    let bot = simulator.bot(ordinary());
    bot.call(&format!("{}/nowhere", simulator.base_url())).await.unwrap();
    resume(&simulator, &bot, json!({ "data": {} })).await;
    let events = bot.report().events;
    assert!(events.is_sorted_by_key(|event| event.at));
    assert!(events[3].at <= simulator.elapsed());
    let names: Vec<_> = events.iter().map(|event| json!(event)["what"].clone()).collect();
    assert_eq!(names, ["asked", "acknowledged", "continued", "continue"]);
    assert_eq!(events[3].what, What::Continue { status: Some(202), fault: None });
}
