//! What a browser and a program get at an address without a page.

use super::error_pages::READ;
use super::*;

const HOST: (&str, &str) = ("host", "127.0.0.1:9090");
const HTML: (&str, &str) = ("accept", "text/html,*/*;q=0.8");

#[tokio::test]
async fn a_browser_gets_a_page_and_a_program_a_problem() {
    let it = Fixture::new(None).await;
    for (path, status, sentence) in [
        ("/x", 404, "There is no page /x"),
        ("/jobs/a/b/c", 404, "There is no page /jobs/a/b/c"),
        ("/store/nothing/here", 404, "There is no page /store/nothing/here"),
        ("/%3Cscript%3E", 404, "There is no page /%3Cscript%3E"),
        ("/accounts/resume", 405, "There is nothing to show at /accounts/resume"),
        ("/jobs/bulk/1/stop", 405, "There is nothing to show at /jobs/bulk/1/stop"),
    ] {
        let answer = it.call_with("GET", path, "", &[HOST, HTML]).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
        assert!(answer.headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
        for part in [&format!("<h1>{sentence}</h1>"), "aria-label=\"Pages\"", "role=\"search\"", "Start page"]
        {
            assert!(answer.text.contains(part), "{path}: {part} in {}", answer.text);
        }
        assert_eq!(answer.headers.get("allow").is_some(), status == 405, "{path}");
        assert!(answer.text.len() < 20_000 && !answer.text.contains("Try again"), "{path}");
        let program = it.call_with("GET", path, "", &[HOST, ("accept", "*/*")]).await;
        program.problem(status);
    }
    let below_jobs = it.call_with("GET", "/jobs/a/b/c", "", &[HOST, HTML]).await.text;
    assert!(below_jobs.contains("href=\"/jobs\" data-go=\"j\" aria-current=\"page\""), "{below_jobs}");
    it.call_with("GET", "/api/v1/x", "", &[HOST, HTML]).await.problem(404);
}

#[tokio::test]
async fn the_login_comes_first() {
    let it = Fixture::with_read_token(TOKEN, READ).await;
    let answer = it.call_with("GET", "/x", "", &[HOST, HTML]).await;
    assert_eq!(
        (answer.status, answer.headers["location"].to_str().unwrap()),
        (StatusCode::SEE_OTHER, "/login?next=%2Fx")
    );
    let bearer = format!("Bearer {READ}");
    let answer = it.call_with("GET", "/x", "", &[HOST, HTML, ("authorization", &bearer)]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(
        answer.text.contains("There is no page /x") && answer.text.contains("read only"),
        "{}",
        answer.text
    );
    let foreign = it.call_with("GET", "/x", "", &[("host", "rebound.example"), HTML]).await;
    assert!(!foreign.text.contains("aria-label=\"Pages\""), "{}", foreign.text);
}
