//! The pages of `/jobs`: the list, its filter, and changes of the jobs that are selected or that match.

use model::FallbackReason;

use super::actions::ended;
use super::*;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const LOCAL: (&str, &str) = ("host", "127.0.0.1:9090");

async fn page(it: &Fixture, path: &str) -> String {
    let answer = it.call("GET", path, "").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert!(answer.text.len() <= 60_000, "{path}: {} bytes", answer.text.len());
    answer.text
}

/// Sends a form of a page, with the field `csrf` that the page contains.
async fn send(it: &Fixture, path: &str, form: &str) -> Answer {
    let list = it.call("GET", "/jobs", "").await.text;
    let csrf = list.split(r#"name="csrf" value=""#).nth(1).and_then(|rest| rest.split('"').next());
    let form = format!("csrf={}&{form}", csrf.unwrap_or_default());
    it.call_with("POST", path, &form, &[LOCAL, FORM, ("origin", "http://127.0.0.1:9090")]).await
}

fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    answer.headers["location"].to_str().unwrap().to_owned()
}

fn plain(html: &str) -> String {
    html.replace('\u{a0}', " ")
}

#[tokio::test]
async fn the_list_shows_what_jobs_wait_for_and_how_they_ended() {
    let it = Fixture::new(None).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    it.jobs.make("echo", StateName::Running).await;
    it.jobs.make("other", StateName::Delivering).await;
    let html = page(&it, "/jobs").await;
    for part in [
        "<h1>3 jobs are stored</h1>",
        "2 are still under way, 1 is dead",
        "its handler, attempt 1",
        "its turn to be delivered",
        "Kommo refused it: [31mTooLong",
        "href=\"https://a1.kommo.com/leads/detail/7\" rel=\"noreferrer\"",
        &format!("href=\"/jobs/{dead}\""),
        &format!("name=\"id\" value=\"{dead}\""),
        "title=\"a1.kommo.com\">a1<span",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
    let html = page(&it, "/jobs?q=state:dead%20since:1h").await;
    for part in [
        "<h1>1 job is dead in the last hour</h1>",
        "aria-label=\"Remove filter state dead\"",
        "href=\"/jobs?q=since%3A1h\"",
        "value=\"state:dead since:1h\"",
        "Retry all that match: dry run",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
    assert!(!html.contains("its handler, attempt 1"));
}

#[tokio::test]
async fn a_list_continues_on_the_next_page_with_the_same_filter() {
    let it = Fixture::new(None).await;
    for _ in 0..31 {
        it.jobs.make("echo", StateName::Delivered).await;
    }
    let first = page(&it, "/jobs?q=handler:echo").await;
    assert!(first.contains("<h1>More than 30 jobs match</h1>"), "{first}");
    let older = first
        .split("href=\"")
        .find_map(|link| link.split('"').next().filter(|link| link.contains("cursor=")));
    let older = older.unwrap().replace("&amp;", "&");
    assert!(older.starts_with("/jobs?q=handler%3Aecho&cursor="), "{older}");
    let second = page(&it, &older).await;
    assert!(second.contains("<h1>1 older job matches</h1>") && !second.contains("rel=\"next\""), "{second}");
}

#[tokio::test]
async fn what_is_pasted_leads_to_its_only_job() {
    let it = Fixture::new(None).await;
    let first = it.jobs.make("echo", StateName::Dead).await;
    let trace = first.to_string().replace('-', "");
    for pasted in [
        "https%3A%2F%2Fa1.kommo.com%2Fleads%2Fdetail%2F7".to_owned(),
        "https://a1.kommo.com/api/v4/salesbot/1/continue/c1".to_owned(),
        format!("00-{trace}-00f067aa0ba902b7-01"),
        trace,
        first.to_string(),
    ] {
        let answer = it.call("GET", &format!("/jobs?q={pasted}"), "").await;
        assert_eq!(location(&answer), format!("/jobs/{first}"), "{pasted}");
    }
    it.jobs.next_question("echo").await;
    let html = page(&it, "/jobs?q=https://a1.kommo.com/leads/detail/7").await;
    assert!(html.contains("<h1>2 jobs match</h1>"), "{html}");
    let html = page(&it, "/jobs?q=https://a2.kommo.com/leads/detail/7").await;
    assert!(html.contains("No job matches.") && html.contains("came to a wrong path"), "{html}");
}

#[tokio::test]
async fn a_wrong_filter_is_explained_and_kept() {
    let it = Fixture::new(None).await;
    it.jobs.make("echo", StateName::Dead).await;
    let html = page(&it, "/jobs?q=state:deda").await;
    assert!(
        html.contains("unknown state <code>deda</code> (expected one of: queued")
            && html.contains("value=\"state:deda\"")
    );
    let html = page(&it, "/jobs?q=state:dead%20is:").await;
    for part in ["Type a value behind", "href=\"/jobs?q=state%3Adead+is%3Alate\"", "<h1>1 job is dead</h1>"] {
        assert!(html.contains(part), "{part} in {html}");
    }
    let long = page(&it, &format!("/jobs?q={}", "x".repeat(5_000))).await;
    assert!(long.contains("too long"), "{long}");
}

#[tokio::test]
async fn script_in_what_others_send_is_only_text() {
    let it = Fixture::new(None).await;
    it.jobs.make_fallback("echo", FallbackReason::Failed).await;
    let script = "%3Cscript%3Ealert(1)%3C/script%3E%22%3E";
    for path in [
        format!("/jobs?q={script}"),
        format!("/jobs?q=error:%22{script}"),
        format!("/jobs?q=state:{script}"),
        format!("/jobs?q={script}:x"),
        format!("/jobs?done={script}&jobs={script}"),
        format!("/jobs?cursor={script}"),
    ] {
        let html = page(&it, &path).await;
        assert!(!html.contains("<script>") && !html.contains("alert(1)</script>"), "{path}: {html}");
    }
}

#[tokio::test]
async fn empty_and_unreadable_lists_say_what_to_do() {
    let it = Fixture::new(None).await;
    let html = page(&it, "/jobs").await;
    assert!(html.contains("<h1>No job yet</h1>") && html.contains("How to connect a bot"), "{html}");
    it.jobs.make("echo", StateName::Delivered).await;
    let html = page(&it, "/jobs?q=state:dead%20since:1h").await;
    assert!(html.contains("Look at any time") && html.contains("href=\"/jobs?q=state%3Adead\""), "{html}");
    let html = page(&it, "/jobs?q=since:24h%20-state:delivered").await;
    assert!(html.contains("<h1>No undelivered job in the last 24 hours</h1>"), "{html}");
    it.jobs.store.close().await;
    let html = page(&it, "/jobs?q=state:dead").await;
    assert!(html.contains("The jobs could not be read") && html.contains("value=\"state:dead\""), "{html}");
}

#[tokio::test]
async fn selected_jobs_are_changed_and_the_page_says_how_many() {
    let it = Fixture::new(None).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let delivered = it.jobs.make("echo", StateName::Delivered).await;
    let form = format!("q=since%3A1h&id={dead}&id={delivered}&do=retry");
    let next = location(&send(&it, "/jobs/selected", &form).await);
    assert_eq!(next, "/jobs?q=since%3A1h&done=retry&jobs=1&left=1");
    assert_eq!(it.get(&format!("/api/v1/jobs/{dead}")).await["state"], "delivering");
    let html = plain(&page(&it, &next).await);
    assert!(html.contains("1 job will be delivered again. 1 job was left unchanged: only dead"), "{html}");
    let next = location(&send(&it, "/jobs/selected", &format!("id={dead}&do=cancel")).await);
    assert_eq!(it.get(&format!("/api/v1/jobs/{dead}")).await["state"], "cancelled");
    assert!(plain(&page(&it, &next).await).contains("1 job was cancelled"));
    let log = it.get("/api/v1/actions").await["actions"].clone();
    assert_eq!((&log[0]["what"], &log[0]["source"]), (&json!("jobs cancel"), &json!("page")));
    for form in ["do=retry", "do=erase&id=1", &format!("id={dead}")] {
        let next = location(&send(&it, "/jobs/selected", form).await);
        assert_eq!(next, "/jobs?done=nothing");
        assert!(page(&it, &next).await.contains("No job was selected"));
    }
    let refuses = it.jobs.store.maintenance().commit_refusal().await;
    refuses.store(true, std::sync::atomic::Ordering::SeqCst);
    let next = location(&send(&it, "/jobs/selected", &format!("id={delivered}&id={dead}&do=retry")).await);
    refuses.store(false, std::sync::atomic::Ordering::SeqCst);
    assert!(next.contains("failed="), "{next}");
    assert!(page(&it, &next).await.contains("The store did not change"));
}

#[tokio::test]
async fn all_that_match_are_changed_after_a_dry_run() {
    let it = Fixture::new(None).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let gone = it.jobs.make("echo", StateName::Gone).await;
    it.jobs.make("echo", StateName::Cancelled).await;
    let dry = send(&it, "/jobs/bulk", "q=handler%3Aecho&do=retry").await;
    assert_eq!(dry.status, StatusCode::OK, "{}", dry.text);
    let html = plain(&dry.text);
    for part in [
        "Dry run: retry 2 of these 3 jobs",
        "nothing has changed yet",
        "1: 1 cancelled; only dead",
        "a1 1, a2 1",
        "about 1 s, at 7 requests per second and account",
        "1 is gone: Kommo said",
        "Retry 2 jobs",
        "href=\"/jobs?q=handler%3Aecho\">Do nothing",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
    assert_eq!(it.get(&format!("/api/v1/jobs/{dead}")).await["state"], "dead");
    let token = html.split(r#"name="token" value=""#).nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let form = format!("q=handler%3Aecho&do=retry&token={token}");
    let progress = location(&send(&it, "/jobs/bulk", &form).await);
    let html = plain(&page(&it, &progress).await);
    for part in ["<h1>Retrying 2 jobs: 0 done</h1>", "<progress max=\"2\" value=\"0\"", "2 to go", "/stop\""]
    {
        assert!(html.contains(part), "{part} in {html}");
    }
    ended(&it, &format!("/api/v1{progress}")).await;
    let html = plain(&page(&it, &progress).await);
    assert!(html.contains("<h1>2 jobs were retried</h1>") && !html.contains("<progress"), "{html}");
    assert_eq!(it.get(&format!("/api/v1/jobs/{gone}")).await["state"], "delivering");
    let used = send(&it, "/jobs/bulk", &form).await;
    assert_eq!(used.status, StatusCode::CONFLICT);
    assert!(used.text.contains("The token was used before"), "{}", used.text);
}

#[tokio::test]
async fn a_change_can_be_stopped_and_one_without_jobs_cannot_begin() {
    let it = Fixture::new(None).await;
    it.jobs.make("echo", StateName::Queued).await;
    let dry = plain(&send(&it, "/jobs/bulk", "q=handler%3Aecho&do=cancel").await.text);
    assert!(dry.contains("Dry run: cancel 1 job<"), "{dry}");
    let token = dry.split(r#"name="token" value=""#).nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let form = format!("q=handler%3Aecho&do=cancel&token={token}");
    let progress = location(&send(&it, "/jobs/bulk", &form).await);
    assert_eq!(location(&send(&it, &format!("{progress}/stop"), "").await), progress);
    let html = plain(&page(&it, &progress).await);
    assert!(html.contains("<h1>Stopped: 0 of 1 job cancelled</h1>"), "{html}");
    let none = send(&it, "/jobs/bulk", "q=state%3Adead&do=retry").await.text;
    assert!(none.contains("There is no job to retry.") && !none.contains("name=\"token\""), "{none}");
    let empty = send(&it, "/jobs/bulk", "q=&do=retry").await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    let wrong = send(&it, "/jobs/bulk", "q=state%3Adeda&do=retry").await;
    assert!(wrong.text.contains("unknown state <code>deda</code>"), "{}", wrong.text);
    for path in ["/jobs/bulk/9", "/jobs/bulk/x", "/jobs/bulk/%ff"] {
        let answer = it.call("GET", path, "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(answer.text.contains("There is no such bulk change"), "{}", answer.text);
    }
    for path in ["/jobs/bulk", "/jobs/selected"] {
        assert_eq!(
            location(&it.call("GET", path, "").await),
            "/jobs",
            "a browser loads the form's address again"
        );
    }
}

#[tokio::test]
async fn the_largest_page_stays_small() {
    let it = Fixture::new(None).await;
    let handler = "h".repeat(64);
    for _ in 0..30 {
        it.jobs.make_fallback(&handler, FallbackReason::Failed).await;
    }
    let html = page(&it, "/jobs").await;
    assert!(html.contains(&handler) && html.matches("<tr ").count() == 31, "{html}");
    page(&it, &format!("/jobs?q=handler:{handler}%20-error:{}", "%F0%9F%98%80".repeat(60))).await;
}

#[tokio::test]
async fn a_reader_sees_no_buttons_and_changes_nothing() {
    let it = Fixture::with_read_token(TOKEN, "a-read-only-admin-token").await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let reader = ("authorization", "Bearer a-read-only-admin-token");
    let list = it.call_with("GET", "/jobs?q=state:dead", "", &[LOCAL, reader]).await;
    assert_eq!(list.status, StatusCode::OK, "{}", list.text);
    assert!(
        list.text.contains("This token is read only") && list.text.contains("admin.token"),
        "{}",
        list.text
    );
    for part in ["type=\"checkbox\" name=\"id\"", "dry run", "/jobs/selected"] {
        assert!(!list.text.contains(part), "{part}");
    }
    for path in ["/jobs/selected", "/jobs/bulk", "/jobs/bulk/1/stop"] {
        let form = format!("id={dead}&do=retry&q=state%3Adead");
        let answer = it.call_with("POST", path, &form, &[LOCAL, FORM, reader]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
    let text = it.call_with("GET", "/jobs?q=hello", "", &[LOCAL, reader]).await.text;
    assert!(text.contains("admin.show_data hides"), "{text}");
}

#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let it = Fixture::new(None).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let form = format!("id={dead}&do=retry");
    for headers in [
        &[LOCAL, FORM, ("origin", "https://evil.example")][..],
        &[LOCAL, FORM, ("origin", "http://127.0.0.1:9090")],
    ] {
        let answer = it.call_with("POST", "/jobs/selected", &form, headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text);
    }
    assert_eq!(it.get(&format!("/api/v1/jobs/{dead}")).await["state"], "dead");
}
