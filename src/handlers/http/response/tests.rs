//! The table of responses.

use serde_json::{Value, json};

use super::*;

const fn rules<'a>(handler: &'a HandlerName, mode: Mode, preset: Preset, has_callback: bool) -> Rules<'a> {
    Rules { handler, mode, preset, has_callback }
}

fn name() -> HandlerName {
    "greet".parse().unwrap()
}

fn received(status: u16, body: &str) -> Received {
    let response = Response { status, body: body.as_bytes().to_owned(), ..Response::default() };
    Received { response, ..Received::default() }
}

/// A verdict in a form that tables can compare.
#[derive(Debug, PartialEq)]
enum Short {
    Data(Value),
    Later,
    Retry(Option<u64>),
    Fail,
}
use Short::{Data, Fail, Later};

fn short(verdict: &Verdict) -> Short {
    match verdict {
        Verdict::Completion(completion, _) => {
            let checked = completion.clone().check().unwrap();
            let body: Value = serde_json::from_str(checked.as_json()).unwrap();
            Data(body["data"].clone())
        }
        Verdict::Later(_) => Later,
        Verdict::Retry(after, _) => Short::Retry(after.map(|span| span.as_secs())),
        Verdict::Fail(_) => Fail,
    }
}

fn why(verdict: Verdict) -> String {
    match verdict {
        Verdict::Retry(_, why) | Verdict::Fail(why) => why,
        other => panic!("{other:?} has no reason"),
    }
}

const N8N: &str = r#"{"message":"Workflow was started"}"#;
const ZAPIER: &str = r#"{"attempt":"a","id":"b","request_id":"c","status":"success"}"#;
const RETRY: Short = Short::Retry(None);

#[test]
fn statuses_and_bodies_decide_as_documented() {
    let handler = name();
    // What follows with a callback URL in mode auto, sync and async.
    for (status, body, auto, sync, r#async) in [
        (200, r#"{"data":{"a":1}}"#, Data(json!({"a":1})), Data(json!({"a":1})), Data(json!({"a":1}))),
        (201, r#"{"data":{"a":1}}"#, Data(json!({"a":1})), Data(json!({"a":1})), Data(json!({"a":1}))),
        (202, r#"{"data":{"a":1}}"#, Later, Fail, Data(json!({"a":1}))),
        (200, r#"{"a":1}"#, Data(json!({"a":1})), Data(json!({"a":1})), Later),
        (200, r#"[{"a":1}]"#, Data(json!({"a":1})), Data(json!({"a":1})), Later),
        (200, "Hi", Data(json!({"reply":"Hi"})), Data(json!({"reply":"Hi"})), Later),
        (200, "", Data(json!({"status":"success"})), Data(json!({"status":"success"})), Later),
        (204, "", Data(json!({"status":"success"})), Data(json!({"status":"success"})), Later),
        (203, r#"{"a":1}"#, Data(json!({"a":1})), Data(json!({"a":1})), Later),
        (202, "", Later, Fail, Later),
        (202, "<html>", Later, Fail, Later),
        (200, N8N, Later, Fail, Later),
        (200, "Accepted", Later, Fail, Later),
        (200, ZAPIER, Later, Fail, Later),
        (200, "{broken", Fail, Fail, Later),
        (200, "<!doctype html>", Fail, Fail, Later),
        (200, "[1,2]", Fail, Fail, Later),
        (200, r#"{"data":"a text"}"#, Fail, Fail, Fail),
        (200, r#"{"execute_handlers":[]}"#, Fail, Fail, Fail),
        (301, "", Fail, Fail, Fail),
        (308, "", Fail, Fail, Fail),
        (304, "", Fail, Fail, Fail),
        (400, "", Fail, Fail, Fail),
        (401, "", Fail, Fail, Fail),
        (403, "", Fail, Fail, Fail),
        (404, "", RETRY, RETRY, RETRY),
        (405, "", Fail, Fail, Fail),
        (408, "", RETRY, RETRY, RETRY),
        (409, "", Fail, Fail, Fail),
        (410, "", Fail, Fail, Fail),
        (422, "", Fail, Fail, Fail),
        (425, "", RETRY, RETRY, RETRY),
        (429, "", RETRY, RETRY, RETRY),
        (499, "", Fail, Fail, Fail),
        (500, "", RETRY, RETRY, RETRY),
        (502, "<html>", RETRY, RETRY, RETRY),
        (503, "", RETRY, RETRY, RETRY),
        (599, "", RETRY, RETRY, RETRY),
        (600, "", Fail, Fail, Fail),
    ] {
        for (mode, expected) in [(Mode::Auto, auto), (Mode::Sync, sync), (Mode::Async, r#async)] {
            let verdict = decide(&received(status, body), rules(&handler, mode, Preset::Bridge, true));
            assert_eq!(short(&verdict), expected, "{status} `{body}` in {mode:?}");
        }
    }
}

#[test]
fn an_answer_that_comes_later_needs_a_callback_url() {
    let handler = name();
    for (status, body, mode) in [
        (202, "", Mode::Auto),
        (200, N8N, Mode::Auto),
        (200, "Accepted", Mode::Auto),
        (200, "x", Mode::Async),
    ] {
        for (preset, part) in
            [(Preset::Bridge, "set server.callback_url"), (Preset::Data, "the preset \"bridge\"")]
        {
            let why = why(decide(&received(status, body), rules(&handler, mode, preset, false)));
            assert!(why.contains(part), "{status} `{body}`: {why}");
            assert_eq!(why.contains("in n8n, "), body == N8N, "{why}");
        }
    }
}

#[test]
fn only_a_tools_own_acknowledgement_is_reported_as_one() {
    let handler = name();
    for (status, body, expected) in [
        (202, "", None),
        (200, N8N, Some(Acknowledged::N8n)),
        (200, "Accepted", Some(Acknowledged::Make)),
        (200, ZAPIER, Some(Acknowledged::Zapier)),
    ] {
        let verdict = decide(&received(status, body), rules(&handler, Mode::Auto, Preset::Bridge, true));
        assert_eq!(verdict, Verdict::Later(expected), "{status} `{body}`");
    }
}

#[test]
fn a_body_that_did_not_arrive_whole_does_not_count() {
    let handler = name();
    for (end, expected) in [(BodyEnd::TooLong, Fail), (BodyEnd::BrokeOff, RETRY)] {
        let mut received = received(200, r#"{"data":{}}"#);
        received.response.body_end = end;
        let verdict = decide(&received, rules(&handler, Mode::Auto, Preset::Bridge, true));
        assert_eq!(short(&verdict), expected, "{end:?}");
        // A 202 needs no body.
        received.response.status = 202;
        let verdict = decide(&received, rules(&handler, Mode::Auto, Preset::Bridge, true));
        assert_eq!(short(&verdict), Later, "{end:?}");
    }
}

#[test]
fn retry_after_counts_only_for_a_retry() {
    let handler = name();
    for (status, expected) in [(503, Short::Retry(Some(7))), (429, Short::Retry(Some(7))), (400, Fail)] {
        let mut received = received(status, "");
        received.response.retry_after = Some(Duration::from_secs(7));
        let verdict = decide(&received, rules(&handler, Mode::Auto, Preset::Bridge, true));
        assert_eq!(short(&verdict), expected, "{status}");
    }
}

#[test]
fn bridge_retry_overrides_the_table() {
    let handler = name();
    let five = BridgeRetry::After(Duration::from_secs(5));
    for (status, header, expected) in [
        (503, BridgeRetry::No, Fail),
        (404, BridgeRetry::No, Fail),
        (400, BridgeRetry::No, Fail),
        (204, BridgeRetry::No, Data(json!({"status":"success"}))),
        (202, BridgeRetry::No, Later),
        (503, five, Short::Retry(Some(5))),
        (400, five, Short::Retry(Some(5))),
        (302, five, Short::Retry(Some(5))),
        (204, five, Short::Retry(Some(5))),
        (202, five, Short::Retry(Some(5))),
    ] {
        let mut received = received(status, "");
        received.response.retry_after = Some(Duration::from_secs(60));
        received.bridge_retry = Some(header);
        let verdict = decide(&received, rules(&handler, Mode::Auto, Preset::Bridge, true));
        assert_eq!(short(&verdict), expected, "{status} {header:?}");
    }
}

#[test]
fn bridge_retry_accepts_no_or_a_number_of_seconds() {
    for (text, expected) in [
        ("no", Some(BridgeRetry::No)),
        (" No ", Some(BridgeRetry::No)),
        ("5", Some(BridgeRetry::After(Duration::from_secs(5)))),
        ("0", Some(BridgeRetry::After(Duration::ZERO))),
        ("yes", None),
        ("", None),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("5s", None),
        ("99999999999", None),
    ] {
        assert_eq!(BridgeRetry::read(text), expected, "`{text}`");
    }
}

#[test]
fn presets_read_the_reply_and_the_tools_id() {
    let handler = name();
    let reply = json!({ "status": "success", "reply": "Hi" });
    for (preset, body, expected, id) in [
        (Preset::Data, r#"{"a":1}"#, Data(json!({"a":1})), ToolId::Unchanged),
        (Preset::N8nChat, r#"[{"output":"Hi"}]"#, Data(reply.clone()), ToolId::Unchanged),
        (Preset::N8nChat, "Hi", Data(json!({"reply":"Hi"})), ToolId::Unchanged),
        (Preset::Flowise, r#"{"text":"Hi"}"#, Data(reply.clone()), ToolId::Unchanged),
        (
            Preset::Dify,
            r#"{"answer":"Hi","conversation_id":"c"}"#,
            Data(reply.clone()),
            ToolId::New("c".into()),
        ),
        (
            Preset::Typebot,
            r#"{"messages":[{"type":"text","content":{"markdown":"Hi"}}]}"#,
            Data(reply),
            ToolId::Over,
        ),
    ] {
        let verdict = decide(&received(200, body), rules(&handler, Mode::Auto, preset, false));
        assert_eq!(short(&verdict), expected, "{preset:?}");
        assert!(matches!(&verdict, Verdict::Completion(_, found) if *found == id), "{verdict:?}");
    }
    for (preset, body) in [(Preset::Dify, "{}"), (Preset::Typebot, "[]"), (Preset::Flowise, "{}")] {
        let verdict = decide(&received(200, body), rules(&handler, Mode::Auto, preset, false));
        assert_eq!(short(&verdict), Fail, "{preset:?}");
    }
}

#[test]
fn no_reason_quotes_the_body() {
    let handler = name();
    for status in [200, 202, 301, 400, 404, 500] {
        for body in
            ["{hidden", "[\"hidden\"]", "<html>hidden", r#"{"data":"hidden"}"#, r#"{"data":{},"hidden":1}"#]
        {
            for end in [BodyEnd::Complete, BodyEnd::TooLong, BodyEnd::BrokeOff] {
                let mut received = received(status, body);
                received.response.body_end = end;
                let verdict = decide(&received, rules(&handler, Mode::Sync, Preset::Bridge, false));
                assert!(!why(verdict).contains("hidden"), "{status} {body}");
            }
        }
    }
}
