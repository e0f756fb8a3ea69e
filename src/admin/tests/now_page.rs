//! The first page, through the router.

use super::*;
use model::{FallbackReason, StateName};

async fn page(it: &Fixture) -> String {
    let answer = it.call_with("GET", "/", "", &[("host", "127.0.0.1:9090"), ("accept", "text/html")]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(answer.text.len() < 60_000, "{} bytes", answer.text.len());
    assert!(!answer.text.contains("style=") && !answer.text.contains("<script>"), "{}", answer.text);
    answer.text.replace('\u{a0}', " ")
}

fn has(html: &str, parts: &[&str]) {
    for part in parts {
        assert!(html.contains(part), "{part} in\n{html}");
    }
}

#[tokio::test]
async fn the_first_run_names_the_url_to_set() {
    let it = Fixture::new(None).await;
    it.health.ready();
    let html = page(&it).await;
    has(
        &html,
        &[
            "<title>No request yet",
            "https://bots.example.com/widget_request/echo",
            "No bot is waiting.",
            "No errors in 24 hours.",
            "No account is configured or connected yet.",
            "First point in a few seconds.",
            "<code>store.backup_folder</code> is not set",
        ],
    );
}

#[tokio::test]
async fn waiting_bots_are_listed_with_what_they_wait_for() {
    let it = Fixture::new(None).await;
    it.health.ready();
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let delivering = it.jobs.make("echo", StateName::Delivering).await;
    let running = it.jobs.make("echo", StateName::Running).await;
    it.jobs.clock.advance(Duration::from_secs(7));
    let html = page(&it).await;
    has(
        &html,
        &[
            "<h1>2 bots are waiting, oldest 8 s</h1>",
            "<strong>1 is with its handler.</strong>",
            "<strong>1 is being delivered.</strong>",
            &format!("href=\"/jobs/{delivering}\""),
            &format!("href=\"/jobs/{running}\""),
            "href=\"https://a2.kommo.com/leads/detail/7\"",
            "handler, attempt 1",
            "fallback in",
            "it waits for its turn",
            "href=\"/jobs?q=state%3Adead\"",
        ],
    );
    assert!(!html.contains(&dead.to_string()), "a dead job does not wait");
    let oldest = html.find(&delivering.to_string()).unwrap();
    assert!(oldest < html.find(&running.to_string()).unwrap(), "the oldest comes first");
}

#[tokio::test]
async fn at_most_ten_bots_are_listed_and_all_are_counted() {
    let it = Fixture::new(None).await;
    it.health.ready();
    let name = "n".repeat(64);
    for _ in 0..30 {
        it.jobs.accept_for(&name, Duration::from_secs(50)).await;
    }
    let html = page(&it).await;
    has(&html, &["30 bots are waiting", "title=\"30 unfinished\""]);
    assert_eq!(html.matches("this program has no handler").count(), 2 * 10, "text and title");
}

#[tokio::test]
async fn errors_are_listed_and_every_text_is_escaped() {
    let it = Fixture::new(None).await;
    it.health.ready();
    it.jobs.make_fallback("echo", FallbackReason::Failed).await;
    it.health.misdirected("/<script>alert(1)</script>".to_owned());
    let html = page(&it).await;
    has(&html, &["Handler echo: no such lead", "href=\"/errors/1\""]);
}

#[tokio::test]
async fn a_new_error_is_listed_at_once() {
    let it = Fixture::new(None).await;
    it.health.ready();
    has(&page(&it).await, &["No errors in 24 hours."]);
    it.jobs.make_fallback("echo", FallbackReason::Failed).await;
    let first = page(&it).await;
    assert_eq!(first.matches("href=\"/errors/").count(), 1, "{first}");
    assert_eq!(page(&it).await.matches("href=\"/errors/").count(), 1);
    it.jobs.make("echo", StateName::Dead).await;
    has(&page(&it).await, &["href=\"/errors/1\"", "href=\"/errors/2\""]);
    it.jobs.clock.advance(Duration::from_secs(25 * 3_600));
    has(&page(&it).await, &["No errors in 24 hours."]);
}

#[tokio::test]
async fn a_store_that_is_down_leaves_the_rest_of_the_page() {
    let it = Fixture::new(None).await;
    it.health.ready();
    it.jobs.make("echo", StateName::Queued).await;
    it.jobs.store.close().await;
    let html = page(&it).await;
    has(
        &html,
        &["The store cannot be read", "This part could not be read.", "Receipt to continue", "answer_within"],
    );
}
