//! Tests of what `handlers` prints.

use std::time::Duration;

use super::*;

fn config(more: &str) -> Config {
    let text = format!(
        "integrations.main = {{ client_uuid = \"9b2cf3a5-0c1e-4d57-8c6e-2f6f3f1f0d11\", client_secret = \"{}\" }}\n\
         store.url = \"sqlite:/nowhere/bridge.db\"\nhandlers.echo.kind = \"echo\"\n{more}",
        "s".repeat(64)
    );
    Config::from_toml(&text).unwrap()
}

const ASSISTANT: &str = "handlers.assistant = { kind = \"http\", url = \"http://127.0.0.1:1/webhook\", auth = \"Bearer x\", \
     ordering = \"conversation\", coalesce = \"2s\" }";

fn trial(status: Option<u16>, meaning: Meaning) -> Trial {
    let response = status.map(|_| "{\"reply\":\"\u{1b}[31mHi\"}".to_owned());
    Trial { request_bytes: 412, status, took: Duration::from_millis(35), response, meaning }
}

#[tokio::test]
async fn all_handlers_are_listed() {
    let registered = || HashSet::from(["echo", "greet", "assistant"].map(str::to_owned));
    let text = list(&config(ASSISTANT), registered(), false).await.unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines[1],
        ["assistant", "http", "-", "-", "50s", "conversation,", "joins", "2s", "http://127.0.0.1:1/webhook"]
    );
    assert_eq!(lines[2], ["echo", "echo", "-", "-", "50s", "-", "-"]);
    assert_eq!(lines[3], ["greet", "rust", "-", "-", "50s", "-", "-"]);
    let json: Value =
        serde_json::from_str(&list(&config(ASSISTANT), registered(), true).await.unwrap()).unwrap();
    assert_eq!(json["handlers"][0]["url"], "http://127.0.0.1:1/webhook");
    assert_eq!(json["handlers"][0]["ordering"], "conversation");
    assert_eq!(json["handlers"][0]["coalesce_ms"], 2_000);
    assert_eq!(json["handlers"][2]["answer_within_ms"], 50_000);
    assert_eq!(
        (&json["handlers"][0]["max_awaiting"], &json["handlers"][0]["breaker"]),
        (&json!(10_000), &Value::Null)
    );
}

#[test]
fn a_running_bridge_adds_what_its_handlers_do() {
    for (handler, expected) in [
        (json!({ "concurrency": { "in_use": 3, "limit": 64, "shared": true } }), "3 of 64 (shared)"),
        (json!({ "concurrency": { "in_use": 3, "limit": 4, "shared": false } }), "3 of 4"),
        (json!({ "concurrency": { "in_use": 3, "limit": 4 }, "breaker": { "open": true } }), "unreachable"),
        (json!({ "concurrency": null, "breaker": null }), ""),
    ] {
        assert_eq!(running(&handler), expected);
    }
}

#[tokio::test]
async fn only_a_handler_at_a_url_can_be_tested() {
    let registered = HashSet::from(["echo".to_owned()]);
    for (more, name, parts) in [
        ("", "echo", ["`echo` runs in this program", "no handler has kind = \"http\""]),
        (ASSISTANT, "asistant", ["unknown handler `asistant`", "kind = \"http\": assistant"]),
    ] {
        let refused =
            test(&config(more), &registered, &name.parse().unwrap(), json!({}), false).await.unwrap_err();
        let refused = format!("{refused:?}").replace('\\', "");
        for part in parts {
            assert!(refused.contains(part), "{part} in {refused}");
        }
    }
}

#[test]
fn the_response_and_its_meaning_are_explained() {
    let http = config(ASSISTANT).handlers.remove("assistant").unwrap().http.unwrap();
    for (status, meaning, parts) in [
        (
            Some(200),
            Meaning::Answer("{\"data\":{}}".into()),
            ["200 after 35 ms", "the bot gets {\"data\":{}}"],
        ),
        (
            Some(202),
            Meaning::Later(Some("do this".into())),
            ["waits for a callback", "to answer directly: do this"],
        ),
        (None, Meaning::Retry("refused".into()), ["none after 35 ms", "the bridge retries: refused"]),
        (
            Some(400),
            Meaning::Fail("bad".into()),
            ["with auth, not signed, 412 bytes", "the bot gets the fallback: bad"],
        ),
    ] {
        let trial = trial(status, meaning);
        let text = as_text(&http, &trial);
        for part in parts {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains('\u{1b}') && !text.contains("Bearer"), "{text}");
        assert_eq!(json!(trial_view(&trial))["duration_ms"], 35);
    }
}
