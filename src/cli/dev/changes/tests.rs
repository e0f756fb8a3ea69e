//! Tests of the changes as a table of looks at a job.

use serde_json::{Value, json};

use super::*;

const LOOK: Look = Look { now: Timestamp::from_millis(1_000_000_000), left: Duration::from_secs(40) };

/// A job with these keys; the others as the API writes them for a new job.
fn seen(keys: Value) -> Seen {
    let mut job = json!({
        "state": "queued", "completion": null, "outcome": null, "fallback_reason": null, "due_at": null,
        "last_error": null, "attempts": [], "notes": [],
    });
    for (key, value) in keys.as_object().unwrap() {
        job[key] = value.clone();
    }
    serde_json::from_value(job).unwrap()
}

fn tried(number: u32, result: &str, error: Option<&str>) -> Value {
    json!({ "stage": "handler", "number": number, "duration_ms": 7, "result": result, "error": error })
}

fn attempt(number: u32, status: Option<u16>, result: &str, error: Option<&str>) -> What {
    let error = error.map(str::to_owned);
    What::Attempt(Attempt { number, status, duration_ms: 7, result: result.to_owned(), error })
}

/// The events between two looks, if every attempt got `status`.
fn events(before: &Seen, now: &Seen, status: Option<u16>) -> Vec<What> {
    now.since(before, LOOK, |_| status)
}

#[test]
fn an_answer_at_once_is_one_attempt() {
    let new = seen(json!({}));
    let done =
        seen(json!({ "state": "delivered", "outcome": "handler", "attempts": [tried(1, "ok", None)] }));
    assert_eq!(events(&Seen::default(), &new, None), []);
    assert_eq!(events(&new, &done, Some(200)), [attempt(1, Some(200), "ok", None)]);
    assert_eq!(events(&done, &done, Some(200)), []);
}

#[test]
fn only_the_first_retry_has_advice_and_the_time_of_the_fallback() {
    const DOWN: &str = "the handler cannot be reached: Connection refused";
    let due_at = LOOK.now + Duration::from_millis(500);
    let failed =
        |attempts: Vec<Value>| seen(json!({ "due_at": due_at, "last_error": DOWN, "attempts": attempts }));
    let first = failed(vec![tried(1, "retry", Some(DOWN))]);
    let second = failed(vec![tried(1, "retry", Some(DOWN)), tried(2, "retry", Some(DOWN))]);
    let all = events(&seen(json!({})), &first, None);
    assert_eq!(all[0], attempt(1, None, "retry", Some(DOWN)));
    let What::Retry { in_ms: 500, fallback_in_ms: Some(40_000), advice: Some(advice) } = &all[1] else {
        panic!("{all:?}")
    };
    assert!(advice.starts_with("start your handler"), "{advice}");
    let retry = What::Retry { in_ms: 500, fallback_in_ms: None, advice: None };
    assert_eq!(events(&first, &second, None), [attempt(2, None, "retry", Some(DOWN)), retry]);
}

#[test]
fn a_fallback_repeats_no_error_of_its_attempt() {
    const WRONG: &str = "the response is not valid JSON";
    let job = seen(json!({
        "state": "delivering", "outcome": "fallback", "fallback_reason": "failed", "last_error": WRONG,
        "attempts": [tried(1, "fail", Some(WRONG))], "notes": [{ "text": "{nope" }],
    }));
    let all = events(&seen(json!({})), &job, Some(200));
    assert_eq!(all[..2], [attempt(1, Some(200), "fail", Some(WRONG)), What::Note { text: "{nope".into() }]);
    let What::Fallback { reason, error: None, advice: Some(advice) } = &all[2] else { panic!("{all:?}") };
    assert!(reason == "failed" && advice.contains("only JSON"), "{advice}");
    let overdue = seen(json!({
        "state": "delivering", "outcome": "fallback", "fallback_reason": "overdue", "last_error": "no worker was free",
    }));
    let expected = What::Fallback {
        reason: "overdue".to_owned(),
        error: Some("no worker was free".to_owned()),
        advice: None,
    };
    assert_eq!(events(&seen(json!({})), &overdue, None), [expected]);
}

#[test]
fn an_answer_that_comes_later_is_a_wait_and_a_callback() {
    let accepted = json!([tried(1, "accepted", None)]);
    let waits = seen(json!({ "state": "awaiting_callback", "attempts": accepted }));
    let done = seen(json!({
        "state": "delivered", "outcome": "handler", "attempts": accepted,
        "notes": [{ "text": "half way" }, { "text": CALLED_BACK }],
    }));
    let first = attempt(1, Some(202), "accepted", None);
    let later = What::Later { fallback_in_ms: 40_000 };
    let note = What::Note { text: "half way".to_owned() };
    let callback = What::Callback { error: None };
    assert_eq!(events(&seen(json!({})), &waits, Some(202)), [first.clone(), later]);
    assert_eq!(events(&waits, &done, Some(202)), [note.clone(), callback.clone()]);
    // A callback may come between two looks, and before the 202.
    assert_eq!(events(&seen(json!({})), &done, Some(202)), [first, note, callback.clone()]);
    let overtaking =
        seen(json!({ "state": "delivered", "outcome": "handler", "notes": [{ "text": CALLED_BACK }] }));
    assert_eq!(events(&seen(json!({ "state": "running" })), &overtaking, None), [callback]);
}

#[test]
fn a_callback_with_an_error_leads_to_a_retry() {
    let accepted = json!([tried(1, "accepted", None)]);
    let waits = seen(json!({ "state": "awaiting_callback", "attempts": accepted }));
    let failed = seen(json!({ "attempts": accepted, "last_error": "out of stock", "due_at": LOOK.now }));
    let expected = [
        What::Callback { error: Some("out of stock".to_owned()) },
        What::Retry { in_ms: 0, fallback_in_ms: None, advice: None },
    ];
    assert_eq!(events(&waits, &failed, None), expected);
    let too_late = seen(json!({
        "state": "delivering", "outcome": "fallback", "fallback_reason": "no_callback",
        "last_error": "it did not call back within handlers.NAME.answer_within", "attempts": accepted,
    }));
    let all = events(&waits, &too_late, None);
    let [What::Fallback { error: Some(error), advice: Some(advice), .. }] = all.as_slice() else {
        panic!("{all:?}")
    };
    assert!(error.ends_with("within --answer-within") && advice.contains("data.callback.url"), "{all:?}");
}

#[test]
fn attempts_to_deliver_are_not_shown() {
    let delivery =
        json!({ "stage": "delivery", "number": 1, "duration_ms": 7, "result": "ok", "error": null });
    let done = seen(json!({ "state": "delivered", "outcome": "handler", "attempts": [delivery] }));
    assert_eq!(events(&seen(json!({})), &done, None), []);
}

#[test]
fn a_job_without_an_answer_says_its_state_and_error() {
    let dead = seen(json!({ "state": "dead", "last_error": "Kommo answered 400" }));
    let expected =
        What::Unanswered { state: "dead".to_owned(), error: Some("Kommo answered 400".to_owned()) };
    assert!(dead.is_finished());
    assert_eq!(dead.unanswered(), expected);
}
