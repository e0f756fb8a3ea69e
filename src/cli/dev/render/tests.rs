//! Tests of the lines, one row for each kind of event.

use std::time::Duration;

use serde_json::json;

use model::Timestamp;

use super::*;

fn event(what: What) -> Event {
    let at = Timestamp::from_millis(0);
    Event { at, request: 3, after: Duration::from_millis(1_250), what }
}

fn attempt(status: Option<u16>, number: u32, error: Option<&str>) -> What {
    let error = error.map(str::to_owned);
    What::Attempt(Attempt { number, status, duration_ms: 35, result: "ok".to_owned(), error })
}

fn answer(data: Value, shown: Vec<Shown>, goto: Option<&str>, outcome: &str) -> What {
    What::Answer(Answer { outcome: outcome.to_owned(), shown, data, goto: goto.map(str::to_owned) })
}

/// The lines of the text, without the columns before it.
fn shown_as(what: What) -> Vec<String> {
    let text = lines(&event(what), Screen::FILE);
    text.lines().map(|line| line.chars().skip(INDENT).collect()).collect()
}

#[test]
fn each_event_says_what_happened() {
    for (what, expected) in [
        (
            What::Request { lead: 7, data: json!({ "message": "hi" }), replay: false },
            vec!["→ request \"hi\" (lead 7)"],
        ),
        (
            What::Request { lead: 7, data: json!({ "message": "hi", "n": 1 }), replay: true },
            vec!["→ request {\"message\":\"hi\",\"n\":1} (lead 7, again)"],
        ),
        (
            What::Refused { status: Some(413), error: "too large".into() },
            vec!["the bridge refused the request with 413: too large"],
        ),
        (attempt(Some(200), 1, None), vec!["handler 200 in 35 ms"]),
        (attempt(None, 1, None), vec!["handler in 35 ms"]),
        (attempt(Some(500), 2, Some("boom")), vec!["handler 500 in 35 ms, attempt 2: boom"]),
        (attempt(None, 1, Some("refused")), vec!["no response after 35 ms: refused"]),
        (
            What::Retry { in_ms: 500, fallback_in_ms: Some(49_870), advice: Some("start it") },
            vec!["retry in 500 ms; the bot gets the fallback in 49.8 s", "to do: start it"],
        ),
        (What::Retry { in_ms: 8_000, fallback_in_ms: None, advice: None }, vec!["retry in 8.0 s"]),
        (
            What::Later { fallback_in_ms: 49_000 },
            vec!["waits for the callback; the bot gets the fallback in 49.0 s"],
        ),
        (What::Callback { error: None }, vec!["the handler called back"]),
        (
            What::Callback { error: Some("no stock".into()) },
            vec!["the handler called back with an error: no stock"],
        ),
        (What::Note { text: "half\nway".into() }, vec!["note: half way"]),
        (
            What::Fallback { reason: "failed".into(), error: Some("boom".into()), advice: Some("look") },
            vec!["the bot gets the fallback (failed): boom", "to do: look"],
        ),
        (
            What::Unanswered { state: "dead".into(), error: None },
            vec!["the bot gets no answer: the job is dead"],
        ),
    ] {
        assert_eq!(shown_as(what), expected);
    }
}

#[test]
fn an_answer_is_what_the_customer_sees_and_what_the_bot_reads() {
    let buttons = ["Yes", "No"].map(str::to_owned).to_vec();
    let shown = vec![Shown { text: "Sure?".to_owned(), buttons }];
    let data = json!({ "status": "success", "reply": "Hi", "n": 3 });
    assert_eq!(
        shown_as(answer(data, shown, Some("question 1"), "handler")),
        [
            "bot says: Sure?  [Yes]  [No]",
            "bot ← n: 3",
            "bot ← reply: Hi",
            "bot continued after 1.25 s, status success, goes to question 1",
        ]
    );
    assert_eq!(
        shown_as(answer(json!({ "status": "fail" }), vec![], None, "fallback")),
        ["bot continued after 1.25 s, status fail, with the fallback"]
    );
    assert_eq!(
        shown_as(answer(json!([1]), vec![], None, "handler")),
        ["bot ← data: [1]", "bot continued after 1.25 s"]
    );
}

#[test]
fn every_line_has_the_request_and_the_time_and_fits_the_terminal() {
    let what = What::Fallback {
        reason: "failed".into(),
        error: Some("word ".repeat(40)),
        advice: Some("look at the log"),
    };
    let screen = Screen { width: Some(60), colours: false };
    let text = lines(&event(what), screen);
    assert!(text.starts_with("#3    1.25 s  the bot gets the fallback"), "{text}");
    assert!(text.lines().count() > 3 && text.lines().all(|line| line.chars().count() <= 60), "{text}");
    assert!(text.lines().skip(1).all(|line| line.starts_with(&" ".repeat(INDENT))), "{text}");
}

#[test]
fn a_text_from_outside_cannot_control_the_terminal_and_a_note_is_short() {
    let lines = shown_as(answer(json!({ "reply": "a\u{1b}[2Jb" }), vec![], None, "handler"));
    assert_eq!(lines[0], "bot ← reply: a\u{fffd}[2Jb");
    let note = shown_as(What::Note { text: "ä".repeat(500) });
    assert_eq!(note[0].chars().count(), "note: ".len() + MAX_NOTE_CHARS + 1);
}

#[test]
fn the_last_request_is_shown_in_full() {
    let played = |sent: Option<&str>| Played {
        number: 2,
        is_answered: true,
        sent: sent.map(str::to_owned),
        completion: json!({ "data": { "n": 1 } }),
        last: event(What::Callback { error: None }),
    };
    let text = data(&played(Some(r#"{"a":[1]}"#)));
    assert!(
        text.starts_with("#2 request to the handler:\n{\n  \"a\": [\n    1\n  ]\n}\n#2 the bot got:\n{"),
        "{text}"
    );
    assert!(data(&played(None)).contains("no request went to a URL"));
}
