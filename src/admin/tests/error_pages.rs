//! The pages of errors.

use super::*;

/// Loads a page.
pub(super) async fn page(it: &Fixture, path: &str) -> String {
    let answer = it.call("GET", path, "").await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    assert!(answer.text.len() < 60 * 1024, "{path} has {} bytes", answer.text.len());
    plain(&answer.text)
}

/// Text with ordinary spaces.
pub(super) fn plain(text: &str) -> String {
    text.replace('\u{a0}', " ")
}

/// Sends the form of a page, with its hidden field.
pub(super) async fn send(it: &Fixture, page: &str, action: &str, fields: &str) -> Answer {
    let form = page.split(&format!("action=\"{action}\"")).nth(1).expect("no such form");
    let csrf = form.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let body = format!("csrf={}&{fields}", csrf.expect("the form has no csrf field"));
    let headers = [
        ("host", "127.0.0.1:9090"),
        ("origin", "http://127.0.0.1:9090"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    it.call_with("POST", action, &body, &headers).await
}

/// A page as a caller with `admin.read_token` gets it.
pub(super) async fn as_reader(it: &Fixture, method: &str, path: &str) -> Answer {
    it.call_with(method, path, "", &[("authorization", &format!("Bearer {READ}"))]).await
}

pub(super) const READ: &str = "a-token-that-only-reads";

#[tokio::test]
async fn an_empty_list_says_that_nothing_failed() {
    let it = Fixture::new(None).await;
    let html = page(&it, "/errors").await;
    assert!(html.contains("<h1>No errors</h1>") && html.contains("Nothing has failed"), "{html}");
}

#[tokio::test]
async fn a_new_error_leads_to_its_group_and_its_dead_job_is_retried() {
    let it = Fixture::new(None).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let list = page(&it, "/errors").await;
    for part in [
        "1 kind of error in 24 hours, and it is new",
        "href=\"/errors/1\"",
        &format!("/jobs/{dead}"),
        ">1 new<",
    ] {
        assert!(list.contains(part), "{part} in {list}");
    }
    let group = page(&it, "/errors/1").await;
    for part in
        ["Kommo refused it:", "1 error in 24 hours", "href=\"/errors/1/retry\"", "/jobs?q=error%3A%22"]
    {
        assert!(group.contains(part), "{part} in {group}");
    }
    let question = page(&it, "/errors/1/retry").await;
    assert!(question.contains("<h1>Retry 1 dead job?</h1>"), "{question}");
    assert_eq!(it.ids("state=dead").await, [dead.to_string()], "a question changes nothing");

    for fields in ["all=1", "force=yes"] {
        let answer = send(&it, &question, "/errors/1/retry", fields).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{fields}");
        assert!(
            answer.text.contains("were not retried.") && answer.text.contains("unknown field"),
            "{}",
            answer.text
        );
    }
    let answer = send(&it, &question, "/errors/1/retry", "").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    assert_eq!(answer.headers["location"], "/errors/1?retried=1&superseded=0");
    assert_eq!(it.ids("state=delivering").await, [dead.to_string()]);
    assert!(page(&it, "/errors/1?retried=1&superseded=0").await.contains("1 dead job is delivered again."));
    assert!(page(&it, "/errors/1/retry").await.contains("<h1>No dead job to retry</h1>"));
    let log = it.get("/api/v1/actions").await;
    assert_eq!(
        (&log["actions"][0]["source"], &log["actions"][0]["jobs"]),
        (&json!("page"), &json!(1)),
        "{log}"
    );
}

#[tokio::test]
async fn a_superseded_job_is_left_out_unless_the_box_is_ticked() {
    let it = Fixture::new(None).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    it.jobs.next_question("other").await;
    let question = page(&it, "/errors/1/retry").await;
    assert!(question.contains("Retry 0 dead jobs?") && question.contains("name=\"force\""), "{question}");
    let answer = send(&it, &question, "/errors/1/retry", "").await;
    assert_eq!(answer.headers["location"], "/errors/1?retried=0&superseded=1");
    let answer = send(&it, &question, "/errors/1/retry", "force=1").await;
    assert_eq!(answer.headers["location"], "/errors/1?retried=1&superseded=0");
    assert_eq!(it.ids("state=delivering").await, [dead.to_string()]);
}

#[tokio::test]
async fn an_unknown_group_is_404_and_says_so() {
    let it = Fixture::new(None).await;
    for path in ["/errors/77", "/errors/greet", "/errors/77/retry", "/errors/%3Cscript%3E"] {
        let answer = it.call("GET", path, "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.text.contains("There is no group of errors"), "{}", answer.text);
        assert!(!answer.text.contains("errors <script>"), "{}", answer.text);
    }
}

#[tokio::test]
async fn ten_thousand_groups_are_paged_and_new_ones_come_first() {
    let it = Fixture::new(None).await;
    it.jobs.many_errors(10_000).await;
    let mut path = "/errors".to_owned();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let html = page(&it, &path).await;
        seen.extend(
            html.split("<a href=\"/errors/")
                .skip(1)
                .filter_map(|rest| rest.split('"').next()?.parse::<u32>().ok()),
        );
        let next = html.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next());
        path = next.expect("no further page").to_owned();
    }
    // Every hundredth group is new; the first ones have the newest errors.
    let expected: Vec<u32> = (1..=75).map(|new| 100 * new).collect();
    assert_eq!(seen, expected);
    assert!(page(&it, "/errors").await.contains("10,000 kinds of error in 24 hours, 100 are new"));
}

#[tokio::test]
async fn what_a_customer_wrote_is_text() {
    let it = Fixture::new(None).await;
    it.jobs.many_errors(1).await;
    for path in ["/errors", "/errors/1"] {
        let html = page(&it, path).await;
        assert!(html.contains("&lt;script&gt;alert") && !html.contains("<script>alert"), "{html}");
    }
    assert!(page(&it, "/errors/1").await.contains("deleted when its retention was over"));
}

#[tokio::test]
async fn a_store_that_is_down_leaves_the_page() {
    let it = Fixture::new(None).await;
    it.jobs.make("echo", StateName::Dead).await;
    it.jobs.store.close().await;
    let html = page(&it, "/errors").await;
    assert!(html.contains("The errors could not be read") && html.contains("Try again"), "{html}");
    for path in ["/errors/1", "/errors/1/retry"] {
        assert_eq!(it.call("GET", path, "").await.status, StatusCode::SERVICE_UNAVAILABLE);
    }
}

#[tokio::test]
async fn a_reader_sees_the_numbers_and_no_button() {
    let it = Fixture::with_live(Some(TOKEN), Some(READ), crate::admin::fixture::live()).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    for path in ["/errors/1", "/errors/1/retry"] {
        let answer = as_reader(&it, "GET", path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.text.contains("read-only token"), "{path}: {}", answer.text);
        assert!(!answer.text.contains("<button class=\"btn go\""), "{path}: {}", answer.text);
    }
    assert_eq!(as_reader(&it, "POST", "/errors/1/retry").await.status, StatusCode::FORBIDDEN);
    let (record, _) = it.jobs.store.jobs().get(dead).await.unwrap().unwrap();
    assert_eq!(record.summary().state, StateName::Dead);
}

#[tokio::test]
async fn every_page_shows_the_same_short_id_and_the_search_box_finds_it() {
    let it = Fixture::new(None).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let short = dead.shortened();
    for path in ["/jobs", "/errors", "/errors/1", &format!("/jobs/{dead}")] {
        let html = page(&it, path).await;
        assert!(html.contains(&format!("{short}<")) || html.contains(&format!("{short} ")), "{path}: {html}");
    }
    let found = it.call("GET", &format!("/jobs?q={short}"), "").await;
    assert_eq!(found.status, StatusCode::SEE_OTHER, "{}", found.text);
    assert_eq!(found.headers["location"], format!("/jobs/{dead}").as_str());
}
