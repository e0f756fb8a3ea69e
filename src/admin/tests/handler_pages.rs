//! The page of handlers, and their test.

use std::sync::Arc;

use model::{AccountPace, AccountPause, HandlerLoad, HandlerName, Timestamp};

use super::error_pages::{READ, as_reader, page, plain, send};
use super::*;
use crate::admin::{
    AccountsView, HandlerSettings, ListedAccounts, Live, StoreSettings, TestedHandler, TrialView,
};

const LONG: &str = "a-handler-whose-name-has-as-many-characters-as-a-name-can-have-x";

/// A running bridge with the handler `echo`, and two at a URL: [`LONG`], which cannot be reached, and `n8n`.
struct Known;

impl Live for Known {
    fn load(&self, handler: &HandlerName) -> Option<HandlerLoad> {
        let unreachable_until =
            (handler.as_str() == LONG).then_some(Timestamp::from_millis(1_700_000_009_000));
        let in_use = if handler.as_str() == "n8n" { 8 } else { 0 };
        Some(HandlerLoad { in_use, limit: 8, is_shared: false, has_room: true, unreachable_until })
    }

    fn max_awaiting(&self, handler: &HandlerName) -> Option<u64> {
        (handler.as_str() == "n8n").then_some(100)
    }

    fn pace(&self, _: &str) -> Option<AccountPace> {
        None
    }

    fn pause(&self, _: &str) -> Option<AccountPause> {
        None
    }

    fn handlers(&self) -> Vec<HandlerSettings> {
        let echo = crate::admin::fixture::live().handlers().remove(0);
        let url = |name: &str| HandlerSettings {
            name: name.parse().unwrap(),
            kind: "http".into(),
            url: Some("https://bots.example.com/run".into()),
            ..echo.clone()
        };
        vec![url(LONG), echo.clone(), url("n8n")]
    }

    fn accounts(&self) -> ListedAccounts<'_> {
        Box::pin(async { Ok(AccountsView::default()) })
    }

    fn give_up_after(&self) -> Duration {
        crate::admin::fixture::live().give_up_after()
    }

    fn public_url(&self) -> Option<&str> {
        None
    }

    fn accounts_in_trouble(&self) -> usize {
        0
    }

    fn test_handler(&self, handler: &HandlerName, data: Value) -> Option<TestedHandler<'_>> {
        let trial = TrialView {
            request_bytes: 412,
            status: Some(200),
            duration_ms: 38,
            response: Some("<script>alert(1)</script>".into()),
            meaning: "answer",
            why: None,
            completion: Some(json!({ "data": { "echo": data } })),
        };
        (handler.as_str() == "n8n").then(|| -> TestedHandler<'_> { Box::pin(async { Ok(trial) }) })
    }

    fn backups(&self) -> Option<crate::admin::BackupsState> {
        None
    }

    fn back_up_now(&self, _: store::Actor) {}

    fn store(&self) -> StoreSettings {
        crate::admin::fixture::live().store()
    }
}

#[tokio::test]
async fn each_handler_shows_what_it_does_and_did() {
    let it = Fixture::with_live(None, None, Arc::new(Known)).await;
    let html = page(&it, "/handlers").await;
    assert!(html.contains(&format!("<h1>{LONG} cannot be reached</h1>")), "{html}");
    for part in
        ["tested again in <time", "8 of 8", "0 of 100", "at its limit", "no request", "/handlers/n8n/test"]
    {
        assert!(html.contains(part), "{part} in {html}");
    }
    assert!(!html.contains("/handlers/echo/test"), "there is no request to send: {html}");
    it.jobs.make("echo", StateName::Delivered).await;
    let html = page(&it, "/handlers").await;
    assert!(html.contains("0.2/min") && html.contains("1 answered"), "{html}");
    it.jobs.store.close().await;
    let html = page(&it, "/handlers").await;
    assert!(
        html.contains("could not be read") && html.contains("unknown") && html.contains("8 of 8"),
        "{html}"
    );
}

#[tokio::test]
async fn a_test_request_shows_what_the_bot_would_get() {
    let it = Fixture::with_live(None, None, Arc::new(Known)).await;
    let form = page(&it, "/handlers/n8n/test").await;
    let answer = send(&it, &form, "/handlers/n8n/test", "data=%7B%22lead%22%3A12345678901234567890%7D").await;
    let html = plain(&answer.text);
    assert_eq!(answer.status, StatusCode::OK, "{html}");
    for part in [
        "<h1>n8n answers after 38 ms</h1>",
        "12345678901234567890",
        "&lt;script&gt;alert(1)",
        "412 B",
        "data-still",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
    assert!(!html.contains("<script>alert"), "{html}");
    let refused = send(&it, &form, "/handlers/n8n/test", "data=%7B%3Cb%3E").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(
        refused.text.contains("not valid JSON") && refused.text.contains("{&lt;b&gt;"),
        "{}",
        refused.text
    );
}

#[tokio::test]
async fn only_a_handler_at_a_url_can_be_tested_and_only_with_the_full_token() {
    let it = Fixture::with_live(Some(TOKEN), Some(READ), Arc::new(Known)).await;
    let answer = as_reader(&it, "GET", "/handlers").await;
    assert!(answer.text.contains("read-only token") && !answer.text.contains("/test"), "{}", answer.text);
    let answer = as_reader(&it, "GET", "/handlers/n8n/test").await;
    assert!(!answer.text.contains("<textarea"), "{}", answer.text);
    assert_eq!(as_reader(&it, "POST", "/handlers/n8n/test").await.status, StatusCode::FORBIDDEN);
    let answer = as_reader(&it, "GET", "/handlers/echo/test").await;
    assert!(
        answer.text.contains("runs in this program") && !answer.text.contains("<textarea"),
        "{}",
        answer.text
    );
    for name in ["nothing", "%3Cscript%3E", "%FF"] {
        let answer = as_reader(&it, "GET", &format!("/handlers/{name}/test")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{name}");
    }
}
