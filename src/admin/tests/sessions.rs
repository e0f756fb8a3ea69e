//! Login, logout, and the session between them, as a browser sees them.

use metrics_exporter_prometheus::PrometheusBuilder;

use super::super::access::csrf_of;
use super::*;
use crate::problem::SendAfter;
use crate::secrets::SharedSecret;

pub(super) const READ: &str = "a-very-secret-read-token";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const HOST: (&str, &str) = ("host", "localhost:9090");
const OWN: (&str, &str) = ("origin", "http://localhost:9090");
const HTML: (&str, &str) = ("accept", "text/html,*/*;q=0.8");

pub(super) async fn two_tokens() -> Fixture {
    Fixture::with(|admin| (admin.token, admin.read_token) = (Some(TOKEN.into()), Some(READ.into()))).await
}

async fn post_login(it: &Fixture, token: &str, next: &str) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("username", "operator"), ("token", token), ("next", next)])
        .finish();
    it.call_with("POST", "/login", &body, &[FORM, HOST, OWN]).await
}

fn location(answer: &Answer) -> &str {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    answer.headers["location"].to_str().unwrap()
}

/// Signs in. Returns the cookie as the browser sends it back.
pub(super) async fn sign_in(it: &Fixture, token: &str) -> String {
    let answer = post_login(it, token, "").await;
    let set = answer.headers["set-cookie"].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_browser_signs_in_and_the_cookie_is_refused_after_the_logout() {
    let it = two_tokens().await;
    for token in [TOKEN, READ] {
        let answer = post_login(&it, &format!(" {token}\n"), "/jobs?q=state:dead").await;
        let landing = "/login?signed_in=1&next=%2Fjobs%3Fq%3Dstate%3Adead";
        assert_eq!(location(&answer), landing);
        let set = answer.headers["set-cookie"].to_str().unwrap();
        assert!(set.starts_with("__Host-bridge-session="), "{set}");
        assert!(set.ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200"), "{set}");
        let cookie = set.split(';').next().unwrap().to_owned();
        let with = [HOST, HTML, ("cookie", cookie.as_str())];
        let arrived = it.call_with("GET", landing, "", &with).await;
        assert_eq!(location(&arrived), "/jobs?q=state:dead");
        assert_eq!(it.call_with("GET", "/api/v1/jobs", "", &with).await.status, StatusCode::OK);

        let out = async |body: &str| it.call_with("POST", "/logout", body, &[FORM, HOST, OWN, with[2]]).await;
        out("").await.problem(403);
        assert_eq!(it.call_with("GET", "/api/v1/jobs", "", &with).await.status, StatusCode::OK);
        let ended = out(&format!("csrf={}", csrf_of(&cookie, token, it.jobs.clock.now()))).await;
        assert_eq!(location(&ended), "/login");
        assert_eq!(ended.headers["clear-site-data"], "\"cache\"");
        let removed = ended.headers["set-cookie"].to_str().unwrap();
        assert!(
            removed.starts_with("__Host-bridge-session=; ") && removed.ends_with("Max-Age=0"),
            "{removed}"
        );
        it.call_with("GET", "/api/v1/jobs", "", &with).await.problem(401);
        assert_eq!(location(&it.call_with("GET", "/jobs", "", &with).await), "/login?next=%2Fjobs");
        // Another session of the same token continues.
        let other = sign_in(&it, token).await;
        assert_eq!(
            it.call_with("GET", "/api/v1/jobs", "", &[HOST, ("cookie", &other)]).await.status,
            StatusCode::OK
        );
    }
}

#[tokio::test]
async fn a_session_ends_after_twelve_hours_or_with_its_token_but_not_with_a_restart() {
    let shared = SharedSecret::from(READ);
    let in_listener = shared.clone();
    let it = Fixture::with(|admin| {
        (admin.token, admin.read_token) = (Some(TOKEN.into()), Some(in_listener));
    })
    .await;
    let (reader, operator) = (sign_in(&it, READ).await, sign_in(&it, TOKEN).await);
    let status = async |it: &Fixture, cookie: &str| {
        it.call_with("GET", "/api/v1/stats", "", &[HOST, ("cookie", cookie)]).await.status.as_u16()
    };
    assert_eq!((status(&it, &reader).await, status(&it, &operator).await), (200, 200));
    let restarted = two_tokens().await;
    assert_eq!((status(&restarted, &reader).await, status(&restarted, &operator).await), (200, 200));
    shared.exchange("a-new-read-token".into());
    assert_eq!((status(&it, &reader).await, status(&it, &operator).await), (401, 200));
    it.jobs.clock.advance(Duration::from_secs(12 * 3_600));
    assert_eq!(status(&it, &operator).await, 401);
}

#[tokio::test]
async fn a_cookie_that_was_changed_gives_no_access() {
    let it = two_tokens().await;
    let (reader, operator) = (sign_in(&it, READ).await, sign_in(&it, TOKEN).await);
    for cookie in [
        reader.replace("reader", "operator"),
        operator.replace("operator", "reader"),
        operator[..operator.len() - 1].to_owned(),
        format!("{operator}; {reader}"),
        "__Host-bridge-session=".to_owned(),
        operator.replace("__Host-", ""),
    ] {
        let headers = [HOST, OWN, FORM, ("cookie", cookie.as_str())];
        for (method, path) in super::access::PATHS.iter().copied() {
            it.call_with(method, path, "", &headers).await.problem(401);
        }
    }
}

#[tokio::test]
async fn only_a_browsers_page_request_leads_to_the_login() {
    let it = two_tokens().await;
    for (path, expected) in [
        ("/", "/login"),
        ("/jobs?q=lead:7&x=%2F", "/login?next=%2Fjobs%3Fq%3Dlead%3A7%26x%3D%252F"),
        ("//evil.example/x", "/login"),
        ("/logout", "/login"),
    ] {
        assert_eq!(location(&it.call_with("GET", path, "", &[HOST, HTML]).await), expected, "{path}");
    }
    for path in ["/api/v1/jobs", "/metrics"] {
        it.call_with("GET", path, "", &[HOST, HTML]).await.problem(401);
    }
    it.call_with("GET", "/", "", &[HOST, ("accept", "*/*")]).await.problem(401);
    let icon = it.call_with("GET", "/favicon.ico", "", &[HOST]).await;
    assert_eq!(icon.headers["content-type"], "image/svg+xml");
}

#[tokio::test]
async fn a_login_leads_only_to_this_listener() {
    let it = two_tokens().await;
    for next in [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/a\r\nset-cookie: x=y",
        "/.//evil.example",
    ] {
        assert_eq!(location(&post_login(&it, TOKEN, next).await), "/login?signed_in=1", "{next:?}");
        let cookie = sign_in(&it, TOKEN).await;
        let path = format!(
            "/login?next={}",
            url::form_urlencoded::byte_serialize(next.as_bytes()).collect::<String>()
        );
        let answer = it.call_with("GET", &path, "", &[HOST, ("cookie", &cookie)]).await;
        assert_eq!(location(&answer), "/", "{next:?}");
        let page = it.call_with("GET", &path, "", &[HOST, HTML]).await;
        assert!(
            !page.text.contains("evil") && page.text.contains(r#"name="next" value="/""#),
            "{}",
            page.text
        );
    }
    let page = it.call_with("GET", "/login?next=/%22%3E%3Cscript%3Ealert(1)", "", &[HOST]).await;
    assert!(!page.text.contains("<script>"), "{}", page.text);
}

#[tokio::test]
async fn a_browser_that_does_not_keep_the_cookie_learns_why() {
    let it = two_tokens().await;
    let answer = it.call_with("GET", "/login?signed_in=1&next=%2Fjobs", "", &[HOST, HTML]).await;
    assert_eq!(answer.status, StatusCode::OK);
    for part in ["did not keep the session cookie", "https", "http://localhost:9090", r#"value="/jobs""#] {
        assert!(answer.text.contains(part), "{part}: {}", answer.text);
    }
    let plain = it.call_with("GET", "/login", "", &[HOST, HTML]).await;
    assert!(plain.text.contains("Admin token") && !plain.text.contains("did not keep"), "{}", plain.text);
}

#[tokio::test]
async fn a_link_from_another_site_finds_the_session() {
    let it = two_tokens().await;
    let from = ("sec-fetch-site", "cross-site");
    let first = it.call_with("GET", "/login?next=%2Fjobs%2F1", "", &[HOST, HTML, from]).await;
    let refresh = r#"<meta http-equiv="refresh" content="0; url=/login?next=%2Fjobs%2F1">"#;
    assert!(first.text.contains(refresh), "{}", first.text);
    let own = ("sec-fetch-site", "same-origin");
    let second = it.call_with("GET", "/login?next=%2Fjobs%2F1", "", &[HOST, HTML, own]).await;
    assert!(second.text.contains("Admin token") && !second.text.contains("http-equiv"), "{}", second.text);
    let cookie = sign_in(&it, READ).await;
    let headers = [HOST, HTML, own, ("cookie", cookie.as_str())];
    assert_eq!(location(&it.call_with("GET", "/login?next=%2Fjobs%2F1", "", &headers).await), "/jobs/1");
}

#[tokio::test]
async fn wrong_logins_are_delayed_counted_and_logged_without_the_token() {
    let it = two_tokens().await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let lines = test_log::collect(tracing::Level::INFO);
    for _ in 0..100 {
        let request =
            Request::post("/login").header(FORM.0, FORM.1).body(Body::from("token=guess-4711&next=/jobs"));
        let response = it.router.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let pause = response.extensions().get::<SendAfter>();
        assert_eq!(pause, Some(&SendAfter(Duration::from_secs(1))));
        assert!(response.headers().get("set-cookie").is_none());
    }
    sign_in(&it, TOKEN).await;
    let text = handle.render();
    assert!(text.contains(r#"bridge_admin_refused_total{reason="token_wrong"} 100"#), "{text}");
    let log = lines.text();
    assert_eq!(log.lines().filter(|line| line.contains("token_wrong")).count(), 10, "{log}");
    assert!(
        log.contains("signed in to the admin listener") && !log.contains("4711") && !log.contains(TOKEN),
        "{log}"
    );
    let wrong = post_login(&it, "guess", "/jobs").await;
    assert!(wrong.text.contains("neither") && wrong.text.contains(r#"value="/jobs""#), "{}", wrong.text);
    for empty in ["", " "] {
        assert_eq!(post_login(&it, empty, "").await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn only_a_small_form_from_this_site_is_a_login() {
    let it = two_tokens().await;
    let login =
        async |body: &str, headers: &[(&str, &str)]| it.call_with("POST", "/login", body, headers).await;
    let good = format!("token={TOKEN}");
    let large = format!("{good}&x={}", "x".repeat(1 << 20));
    assert_eq!(login(&large, &[HOST, OWN, FORM]).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    for kind in ["application/json", "text/plain", "multipart/form-data; boundary=x"] {
        let answer = login(&good, &[HOST, OWN, ("content-type", kind)]).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
    assert_eq!(login(&good, &[HOST, OWN]).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for from in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        let answer = login(&good, &[HOST, FORM, from]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{from:?}");
        assert!(answer.headers.get("set-cookie").is_none());
    }
    let body = Body::from_stream(futures_util::stream::pending::<Result<String, std::io::Error>>());
    let request = Request::post("/login").header(FORM.0, FORM.1).body(body).unwrap();
    tokio::time::pause();
    let answered = tokio::time::timeout(Duration::from_secs(60), it.router.clone().oneshot(request)).await;
    assert_eq!(answered.unwrap().unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn without_a_token_there_is_no_login_and_programs_work_as_before() {
    let it = Fixture::new(None).await;
    it.jobs.make("echo", StateName::Dead).await;
    let shown = it.call_with("GET", "/login?next=%2Fjobs", "", &[HOST, HTML]).await;
    assert_eq!(location(&shown), "/jobs");
    assert_eq!(location(&post_login(&it, "any", "/jobs").await), "/jobs");
    let body = r#"{"state":"dead"}"#;
    let answer = it.call_with("POST", "/api/v1/jobs/retry", body, &[HOST, FORM]).await;
    assert_eq!(answer.json()["retried"], 1, "curl marks any body as a form");
    it.call_with("POST", "/jobs/retry", body, &[HOST, OWN]).await.problem(415);
    it.call_with("POST", "/jobs/retry", "csrf=x", &[HOST, OWN, FORM]).await.problem(403);
}

#[tokio::test]
async fn a_stream_of_events_ends_with_its_session() {
    let it = two_tokens().await;
    let cookie = sign_in(&it, READ).await;
    let request = Request::get("/api/v1/events").header("host", HOST.1).header("cookie", &cookie);
    let response = it.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = tokio::spawn(to_bytes(response.into_body(), 1 << 20));
    let csrf = csrf_of(&cookie, READ, it.jobs.clock.now());
    it.call_with("POST", "/logout", &format!("csrf={csrf}"), &[FORM, HOST, OWN, ("cookie", &cookie)]).await;
    let ended = async {
        while !body.is_finished() {
            it.jobs.clock.advance(Duration::from_millis(500));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended).await.expect("the stream did not end");
}
