//! What follows each response of the tool.

use super::*;
use crate::handler::{Next, Retry};

const RETRY: Next = Next::Retry(Retry::WithBackoff);

#[tokio::test]
async fn responses_have_the_documented_effect() {
    let tool = Tool::start().await;
    let fixture = Fixture::of(&tool);
    let after = |seconds| Next::Retry(Retry::After(Duration::from_secs(seconds)));
    for (status, headers, body, expected) in [
        (200, vec![], r#"{"data":{"a":1}}"#, Ok(json!({ "a": 1 }))),
        (201, vec![], r#"[{"a":1}]"#, Ok(json!({ "a": 1 }))),
        (200, vec![("content-type", "text/html")], "Hi", Ok(json!({ "reply": "Hi" }))),
        (200, vec![("content-type", "image/png")], r#"{"a":1}"#, Ok(json!({ "a": 1 }))),
        (204, vec![], "", Ok(json!({ "status": "success" }))),
        (202, vec![], "", Err(Next::AwaitCallback)),
        (200, vec![], r#"{"message":"Workflow was started"}"#, Err(Next::AwaitCallback)),
        (404, vec![], "", Err(RETRY)),
        (408, vec![], "", Err(RETRY)),
        (425, vec![], "", Err(RETRY)),
        (429, vec![("retry-after", "3")], "", Err(after(3))),
        (500, vec![], "", Err(RETRY)),
        (503, vec![("bridge-retry", "4"), ("retry-after", "3")], "", Err(after(4))),
        (503, vec![("bridge-retry", "no")], "", Err(Next::Fail)),
        (
            503,
            vec![("date", "Thu, 26 Nov 2026 12:00:00 GMT"), ("retry-after", "Thu, 26 Nov 2026 12:00:09 GMT")],
            "",
            Err(after(9)),
        ),
        (301, vec![("location", "/elsewhere")], "", Err(Next::Fail)),
        (400, vec![], "", Err(Next::Fail)),
        (410, vec![], "", Err(Next::Fail)),
        (200, vec![("content-type", "application/json")], "Hi", Err(Next::Fail)),
        (200, vec![], "{\"a\":", Err(Next::Fail)),
        (200, vec![], "<!DOCTYPE html>", Err(Next::Fail)),
        (200, vec![], "[1]", Err(Next::Fail)),
        (200, vec![], &"x".repeat(300_000), Err(Next::Fail)),
    ] {
        tool.answers_with(status, headers, body);
        let result = fixture.run().await;
        let shown = format!("{status} {:.60}: {result:?}", body);
        match expected {
            Ok(data) => assert_eq!(data_of(result), data, "{shown}"),
            Err(next) => assert_eq!(result.unwrap_err().next(), next, "{shown}"),
        }
    }
}

#[tokio::test]
async fn the_operator_gets_the_beginning_of_a_failed_response_and_the_log_does_not() {
    let tool = Tool::start().await;
    let fixture = Fixture::of(&tool);
    let log = test_log::collect(tracing::Level::DEBUG);
    let body = format!("hidden {}", "é".repeat(600));
    tool.answers(400, &body);
    let error = fixture.run().await.unwrap_err();
    let expected: String = body.chars().take(500).collect();
    assert_eq!(fixture.notes(), [expected]);
    assert!(!error.to_string().contains("hidden") && log.with("hidden").is_empty(), "{error}");
    // Neither a retry nor an empty body leaves a note.
    tool.answers(500, "hidden");
    tool.answers(400, "");
    for _ in 0..2 {
        fixture.run().await.unwrap_err();
    }
    assert_eq!(fixture.notes().len(), 1);
}

#[tokio::test]
async fn a_problem_keeps_its_title_and_detail_as_the_error() {
    let tool = Tool::start().await;
    let problem = r#"{"title":"No stock","detail":"Item 7 is sold out.","lead":"hidden"}"#;
    tool.answers_with(422, vec![("content-type", "application/problem+json")], problem);
    let error = Fixture::of(&tool).run().await.unwrap_err();
    let expected = "the handler answered 422 Unprocessable Entity: No stock: Item 7 is sold out";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn without_a_callback_url_an_answer_cannot_come_later() {
    let tool = Tool::start().await;
    let mut fixture = Fixture::of(&tool);
    fixture.has_callbacks = false;
    for body in ["", "Accepted"] {
        tool.answers(if body.is_empty() { 202 } else { 200 }, body);
        let error = fixture.run().await.unwrap_err();
        assert_eq!(error.next(), Next::Fail);
        assert!(error.to_string().contains("set server.callback_url"), "{error}");
        assert_eq!(error.to_string().contains("in Make, "), !body.is_empty(), "{error}");
    }
    assert!(tool.got()[0].json()["data"].get("callback").is_none());
}

#[tokio::test]
async fn a_tools_acknowledgement_is_logged_once() {
    let tool = Tool::start().await;
    let fixture = Fixture::of(&tool);
    let log = test_log::collect(tracing::Level::INFO);
    for _ in 0..3 {
        tool.answers(200, "Accepted");
        assert_eq!(fixture.run().await.unwrap_err().next(), Next::AwaitCallback);
    }
    let lines = log.with("only acknowledged a request");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("handler=assistant") && lines[0].contains("in Make, "), "{lines:?}");
}

#[tokio::test]
async fn what_a_tool_repeats_of_its_request_is_hidden() {
    let tool = Tool::start().await;
    let keys = HttpHandlerConfig {
        secret: Some(SECRET.into()),
        auth: Some("Bearer the-key-of-the-tool".into()),
        ..config(&tool.url)
    };
    let fixture = Fixture::new(&keys);
    let token =
        fixture.context(1).callback_url().unwrap().expose_secret().rsplit_once('/').unwrap().1.to_owned();
    let repeated = format!("cannot POST to {token} with the-key-of-the-tool and {SECRET}");
    for (status, body) in
        [(400, repeated.clone()), (500, json!({ "title": "Bad", "detail": repeated }).to_string())]
    {
        tool.answers_with(status, vec![("content-type", "application/problem+json")], &body);
        let error = fixture.run().await.unwrap_err().to_string();
        let shown = format!("{error} {:?}", fixture.notes());
        for hidden in [token.as_str(), "the-key-of-the-tool", SECRET] {
            assert!(!shown.contains(hidden), "{hidden} in {shown}");
        }
        assert!(shown.contains("cannot POST to … with … and …"), "{shown}");
    }
}
