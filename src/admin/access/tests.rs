//! The guard around a page that does not know it: what its handler gets, and which forms reach it.

use axum::Extension;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::post;
use http::{Request as HttpRequest, StatusCode};
use tower::ServiceExt;

use super::*;
use crate::problem::ProblemDetails;
use model::Timestamp;
use model::clock::ManualClock;

const FULL: &str = "the-full-token";
const READ: &str = "the-read-token";

fn access(token: Option<&str>) -> Arc<Access> {
    let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000)).clock();
    let read = token.map(|_| READ.into());
    let random = |bytes: &mut [u8]| getrandom::fill(bytes).is_ok();
    Arc::new(Access::new(token.map(Into::into), read, ShowData::default(), random, clock))
}

fn cookie(access: &Access, role: Role, id: u8) -> String {
    let token = access.tokens.as_ref().unwrap().of(role).unwrap();
    format!("__Host-bridge-session={}", Session::begin(role, [id; 16], access.clock.now()).sign(&token))
}

/// Sends a form to a page. The page answers with its actor, the role, and the form that it got.
async fn send(access: &Arc<Access>, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let page = async |Extension(by): Extension<Actor>,
                      Extension(visitor): Extension<Visitor>,
                      body: String| {
        format!("{} {} {:?} {} {body}", by.source().as_str(), by.name(), visitor.role, visitor.is_signed_in)
    };
    let error_page: ErrorPage = Arc::new(|_, response| {
        let problem = response.extensions().get::<ProblemDetails>();
        let text = problem.map(|problem| format!("in the layout: {}", problem.detail()));
        Box::pin(async { text.map_or(response, |text| (StatusCode::FORBIDDEN, text).into_response()) })
    });
    let guard = from_fn_with_state((access.clone(), error_page), check);
    let router = axum::Router::new().route("/page", post(page)).layer(guard);
    let mut request = HttpRequest::post("/page").header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const OWN: (&str, &str) = ("origin", "http://localhost");

#[tokio::test]
async fn a_form_reaches_its_page_only_with_the_field_of_its_own_session() {
    let access = access(Some(FULL));
    let now = access.clock.now();
    let (mine, other) = (cookie(&access, Role::Operator, 1), cookie(&access, Role::Operator, 2));
    let (own, foreign) = (csrf_of(&mine, FULL, now), csrf_of(&other, FULL, now));
    let headers = [FORM, OWN, ("cookie", mine.as_str())];
    let good = format!("a=b%20c&csrf={own}");
    let reached = send(&access, &headers, &good).await;
    let expected = format!("page admin.token, session 01010101 Operator true {good}");
    assert_eq!(reached, (StatusCode::OK.as_u16(), expected));
    for body in [
        String::new(),
        "a=b".to_owned(),
        "csrf=".to_owned(),
        format!("csrf={foreign}"),
        format!("csrf={}", &own[1..]),
        format!("csrf={own}&csrf={own}"),
        format!("csrf={own}&csrf={foreign}"),
        format!("CSRF={own}"),
        format!("{{\"csrf\":\"{own}\"}}"),
    ] {
        let (status, text) = send(&access, &headers, &body).await;
        assert!(status == 403 && text.contains("problem:csrf"), "{body}: {status} {text}");
    }
    let json = ("content-type", "application/json");
    assert_eq!(send(&access, &[json, OWN, headers[2]], &good).await.0, 415);
    assert_eq!(send(&access, &[OWN, headers[2]], &good).await.0, 415);
    assert_eq!(send(&access, &headers, &format!("{good}&x={}", "x".repeat(20_000))).await.0, 413);
    for from in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "same-site")] {
        assert_eq!(send(&access, &[FORM, from, headers[2]], &good).await.0, 403, "{from:?}");
    }
    assert_eq!(send(&access, &[FORM, headers[2]], &good).await.0, 403, "no page is named");
}

#[tokio::test]
async fn a_bearer_needs_no_field_and_a_reader_reaches_no_write() {
    let access = access(Some(FULL));
    let bearer = format!("Bearer {FULL}");
    let (status, text) = send(&access, &[("authorization", &bearer)], "{}").await;
    assert_eq!((status, text.as_str()), (200, "api admin.token Operator false {}"));
    let reader = cookie(&access, Role::Reader, 1);
    let csrf = csrf_of(&reader, READ, access.clock.now());
    for body in [format!("csrf={csrf}"), "a=b".to_owned()] {
        let (status, text) = send(&access, &[FORM, OWN, ("cookie", &reader)], &body).await;
        assert!(status == 403 && text.contains("admin.token"), "{text}");
    }
}

#[tokio::test]
async fn without_a_token_a_form_needs_the_field_of_this_process() {
    let (access, other) = (access(None), access(None));
    let csrf = access.open_csrf.clone().unwrap();
    let headers = [FORM, OWN];
    let (status, text) = send(&access, &headers, &format!("csrf={csrf}")).await;
    assert_eq!((status, text), (200, format!("page without a token Operator false csrf={csrf}")));
    assert_eq!(send(&other, &headers, &format!("csrf={csrf}")).await.0, 403);
    assert_eq!(send(&access, &headers, "a=b").await.0, 403);
    assert_eq!(send(&access, &[FORM], &format!("csrf={csrf}")).await.0, 403);
    let clock = access.clock.clone();
    let no_random = Arc::new(Access::new(None, None, ShowData::default(), |_| false, clock));
    assert_eq!(send(&no_random, &headers, "csrf=").await.0, 403, "no random bytes: no form is accepted");
}

#[tokio::test]
async fn an_action_of_a_person_gets_a_page_that_says_what_to_do() {
    let access = access(Some(FULL));
    let html = ("accept", "text/html");
    let (status, text) = send(&access, &[FORM, OWN, html], "a=b").await;
    assert_eq!(status, 401);
    assert!(text.starts_with("<!DOCTYPE html>") && text.contains("href=\"/login\""), "{text}");
    let reader = cookie(&access, Role::Reader, 1);
    let (status, text) = send(&access, &[FORM, OWN, html, ("cookie", &reader)], "a=b").await;
    assert_eq!(status, 403);
    assert!(text.starts_with("in the layout: ") && text.contains("Sign in with admin.token"), "{text}");
    let evil = ("origin", "https://evil.example");
    let (status, text) = send(&access, &[FORM, evil, html, ("cookie", &reader)], "a=b").await;
    assert_eq!(status, 403);
    assert!(text.starts_with("<!DOCTYPE html>") && text.contains("Cross-site"), "not in the layout: {text}");
}
