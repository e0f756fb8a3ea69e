//! Every address while the store hangs, and every form with bodies that it does not expect.

use tokio::time::Instant;

use super::access::PATHS;
use super::*;

/// How long a page may take: its parts and what surrounds it share two seconds.
const PAGE_LIMIT: Duration = Duration::from_millis(2_100);
/// How long everything else may take: a change has ten seconds, and the page that shows its result has some of its own.
const LIMIT: Duration = Duration::from_secs(15);

const FORM: [(&str, &str); 4] = [
    ("host", "127.0.0.1:9090"),
    ("origin", "http://127.0.0.1:9090"),
    ("accept", "text/html"),
    ("content-type", "application/x-www-form-urlencoded"),
];

/// Whether an address is one of the dashboard.
fn is_page(path: &str) -> bool {
    !path.starts_with("/api/") && path != "/metrics"
}

/// The field that a form must have.
async fn csrf(it: &Fixture) -> String {
    let page = it.call_with("GET", "/store", "", &FORM[..3]).await.text;
    let value = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    format!("csrf={}", value.expect("the page has no form"))
}

#[tokio::test]
async fn every_address_answers_in_time_while_the_store_hangs() {
    let it = Fixture::new(None).await;
    it.health.ready();
    let form = csrf(&it).await;
    let _hang = it.jobs.store.maintenance().hang().await;
    tokio::time::pause();
    for (method, path) in PATHS.iter().copied() {
        let (body, headers) = match (method, is_page(path)) {
            ("POST", true) => (&*form, &FORM[..]),
            (_, true) => ("", &FORM[..3]),
            _ => ("", &FORM[..1]),
        };
        let started = Instant::now();
        let limit = if method == "GET" && is_page(path) { PAGE_LIMIT } else { LIMIT };
        let answer = tokio::time::timeout(limit, it.call_with(method, path, body, headers)).await;
        let Ok(Answer { status, text, .. }) = answer else {
            panic!("{method} {path}: no answer in {limit:?}")
        };
        let took = started.elapsed();
        assert!(!status.is_server_error() || status == 503, "{method} {path}: {status} after {took:?}");
        if method == "GET" && is_page(path) && status != 303 {
            assert!(matches!(status.as_u16(), 200 | 503), "{path}: {status}");
            // The page says what it could not read, unless it needs nothing.
            let needs_store = !matches!(path, "/settings" | "/accounts" | "/handlers/echo/test");
            assert!(
                !needs_store || text.contains("could not be read") || text.contains("did not answer"),
                "{path}: {text}"
            );
            assert!(text.contains("</html>"), "{path}");
        }
    }
}

#[tokio::test]
async fn every_form_refuses_a_body_that_it_does_not_expect() {
    let it = Fixture::new(None).await;
    it.health.ready();
    let form = csrf(&it).await;
    let long = "x".repeat(20_000);
    let bodies = [
        (String::new(), false),
        ("{\"csrf\":1}".to_owned(), false),
        ("csrf=&csrf=".to_owned(), false),
        (format!("{form}&csrf=x"), false),
        (format!("{form}&{long}"), false),
        (form.clone(), true),
        (format!("{form}&%ff=%00&%=&&=;"), true),
        (format!("{form}&job=&job=%00&action=%ff&filter=&q=&token=&account=%ff&group=-1"), true),
        (
            format!("{form}&job=1&action=retry&q=state:&jobs=-1&newest=x&completion=[&data=%7b&input=%7b"),
            true,
        ),
        (format!("{form}&action=cancel&filter=%22&q=%22&token=..&completion=%00&force=maybe"), true),
    ];
    for (method, path) in PATHS.iter().copied().filter(|(method, path)| *method == "POST" && is_page(path)) {
        for (body, has_field) in &bodies {
            let answer = it.call_with(method, path, body, &FORM).await;
            let status = answer.status.as_u16();
            // Anyone may sign out, and backups are not configured here.
            let expected: &[u16] =
                if *has_field { &[200, 303, 400, 404, 409, 422] } else { &[400, 403, 413] };
            assert!(expected.contains(&status), "{path} with {body:.90}: {status} {}", answer.text);
        }
    }
}
