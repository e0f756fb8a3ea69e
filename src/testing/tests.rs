//! What the assertions of the kit accept, and what they say if they fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde_json::{Value, json};

use super::difference::differences;
use super::{AssertAnswer, AssertCalls, AssertError, Options, TestKommo};
use crate::handler::HandlerError;
use model::{Completion, Show, Step};

/// The message with which `assertion` fails.
fn failure<T>(assertion: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(assertion)) {
        Ok(_) => panic!("the assertion holds"),
        Err(failed) => match failed.downcast::<String>() {
            Ok(message) => *message,
            Err(literal) => (*literal.downcast::<&str>().expect("a message")).to_owned(),
        },
    }
}

fn completion() -> Completion {
    Completion::success()
        .data("lead", json!({ "name": "Ann", "prices": [1, 2] }))
        .show(Show::buttons("Pick", ["a", "b"]))
        .goto(Step::question(1))
}

#[test]
fn assertions_accept_what_is_there() {
    completion()
        .assert_data("status", "success")
        .assert_data("lead.name", "Ann")
        .assert_data("lead.prices.1", 2)
        .assert_data("lead", json!({ "name": "Ann", "prices": [1, 2] }))
        .assert_show(&Show::buttons("Pick", ["a", "b"]))
        .assert_goto(Step::question(1))
        .assert_body(json!({
            "data": { "status": "success", "lead": { "name": "Ann", "prices": [1, 2] } },
            "execute_handlers": [
                { "handler": "show", "params": { "type": "buttons", "value": "Pick", "buttons": ["a", "b"] } },
                { "handler": "goto", "params": { "type": "question", "step": 1 } },
            ],
        }));
    Completion::fail().assert_all_data(json!({ "status": "fail" })).assert_no_instructions();
    let dotted = Completion::new().data("lead.name", "Ann").data("lead", json!({ "name": "Bob", "age": 7 }));
    dotted.assert_data("lead.name", "Ann").assert_data("lead.age", 7);
}

#[test]
fn a_failed_assertion_shows_the_difference() {
    let (found, empty) = (completion(), Completion::new());
    let rows: [(String, &[&str]); 9] = [
        (
            failure(|| found.assert_data("status", "fail")),
            &["data.status: expected \"fail\", found \"success\""],
        ),
        (
            failure(|| found.assert_data("lead.age", 7)),
            &["data.lead.age: expected 7, but it is missing", "\"Ann\""],
        ),
        (
            failure(|| found.assert_data("lead", json!({ "name": "Bob", "prices": [1], "vip": true }))),
            &[
                "data.lead.name: expected \"Bob\", found \"Ann\"",
                "data.lead.prices: expected 1 entries, found 2",
                "data.lead.vip: expected true, but it is missing",
            ],
        ),
        (
            failure(|| found.assert_all_data(json!({ "status": "success" }))),
            &["data.lead: unexpected, it is {\"name\":\"Ann\""],
        ),
        (
            failure(|| found.assert_show(&Show::text("Pick"))),
            &["lacks an instruction", "expected: {\"handler\":\"show\"", "\"buttons\":[\"a\",\"b\"]"],
        ),
        (failure(|| found.assert_goto(Step::question(2))), &["\"step\":2", "\"step\":1"]),
        (failure(|| empty.assert_goto(Step::question(2))), &["found: none"]),
        (failure(|| found.assert_no_instructions()), &["has instructions (expected none)", "\"goto\""]),
        (
            failure(|| found.assert_body(json!({ "data": {} }))),
            &["body.data.status: unexpected", "body.execute_handlers: unexpected"],
        ),
    ];
    for (message, parts) in rows {
        for part in parts {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}

#[test]
fn an_answer_that_kommo_would_refuse_passes_no_assertion() {
    let long = Completion::success().show(Show::text("x".repeat(81)));
    let message = failure(|| long.assert_data("status", "success"));
    assert!(
        message.contains("Kommo would refuse") && message.contains("81") && message.contains("80"),
        "{message}"
    );
}

#[test]
fn each_kind_of_error_passes_its_own_assertion_alone() {
    let second = Duration::from_secs(1);
    let errors = [HandlerError::retry("x"), HandlerError::retry_after(second, "x"), HandlerError::fail("x")];
    let assertions: [fn(&HandlerError) -> &HandlerError; 3] = [
        |error| error.assert_retry(),
        |error| error.assert_retry_after(Duration::from_secs(1)),
        |error| error.assert_fail(),
    ];
    for (at, error) in errors.iter().enumerate() {
        for (kind, assertion) in assertions.iter().enumerate() {
            if at == kind {
                assertion(error);
            } else {
                let message = failure(|| assertion(error));
                assert!(message.starts_with("expected ") && message.ends_with(": x"), "{message}");
            }
        }
    }
    let message = failure(|| errors[1].assert_retry_after(second * 2));
    assert_eq!(message, "expected a retry after 2s, found a retry after 1s: x");
}

#[test]
fn differences_are_named_by_their_places() {
    let rows: [(Value, Value, &[&str]); 5] = [
        (json!({ "a": [1, { "b": 2 }] }), json!({ "a": [1, { "b": 2 }] }), &[]),
        (
            json!({ "a": [1, { "b": 2 }] }),
            json!({ "a": [1, { "b": 3 }] }),
            &["all.a[1].b: expected 2, found 3"],
        ),
        (json!([1]), json!([2, 3]), &["all[0]: expected 1, found 2", "all: expected 1 entries, found 2"]),
        (json!({}), json!([]), &["all: expected {}, found []"]),
        (json!(1), json!(1.0), &["all: expected 1, found 1.0"]),
    ];
    for (expected, actual, lines) in rows {
        assert_eq!(differences("all", &expected, &actual), lines);
    }
}

#[tokio::test]
async fn assertion_on_a_call_that_cannot_match_fails() {
    let kommo = TestKommo::start().await;
    for call in
        ["", "GET", "/api/v4/leads/5", "get /api/v4/leads/5", "GET api/v4/leads/5", "GET  /api/v4/leads/5"]
    {
        let message = failure(|| kommo.assert_not_called(call));
        assert!(message.contains(&format!("`{call}` cannot match a call")), "{message}");
        assert_eq!(failure(|| kommo.assert_called(call)), message);
    }
    kommo.assert_not_called("GET /api/v4/leads/5");
    let forgets = TestKommo::with(Options { record: false, ..Options::default() }).await;
    let message = failure(|| forgets.assert_not_called("GET /api/v4/leads/5"));
    assert!(message.contains("Options::record"), "{message}");
}
