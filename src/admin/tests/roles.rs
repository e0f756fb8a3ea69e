//! Roles at every route, and what each of them sees of customers' texts.

use super::access::PATHS;
use super::sessions::{READ, sign_in, two_tokens};
use super::*;
use model::ShowData;

#[tokio::test]
async fn a_reader_changes_nothing_at_any_route_with_any_method() {
    let it = two_tokens().await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let before = it.jobs.store.actions(&store::ActionFilter::default(), None, 10).await.unwrap();
    let (bearer, cookie) = (format!("Bearer {READ}"), sign_in(&it, READ).await);
    let own = [("host", "localhost"), ("origin", "http://localhost")];
    let with_cookie = [own[0], own[1], ("cookie", cookie.as_str())];
    let with_bearer = [own[0], ("authorization", bearer.as_str())];
    let retry = format!("/api/v1/jobs/{dead}/retry");
    let paths =
        PATHS.iter().map(|(_, path)| *path).chain([retry.as_str(), "/api/v1/events", "/jobs", "/new/route"]);
    for path in paths.filter(|path| *path != "/logout") {
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
            for headers in [&with_bearer[..], &with_cookie] {
                let detail = it.call_with(method, path, r#"{"state":"dead"}"#, headers).await.problem(403);
                assert!(detail.contains("admin.token"), "{method} {path}: {detail}");
            }
        }
        if path != "/api/v1/events" {
            for headers in [&with_bearer[..], &with_cookie] {
                let answer = it.call_with("GET", path, "", headers).await;
                assert!(!matches!(answer.status.as_u16(), 401 | 403), "{path}: {}", answer.text);
            }
        }
    }
    assert_eq!(it.jobs.store.actions(&store::ActionFilter::default(), None, 10).await.unwrap(), before);
    let answer = it.call_with("GET", &format!("/api/v1/jobs/{dead}"), "", &with_bearer).await;
    assert_eq!(answer.json()["state"], "dead");
}

#[tokio::test]
async fn an_operators_session_changes_nothing_at_the_api() {
    let it = two_tokens().await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let cookie = sign_in(&it, TOKEN).await;
    let headers = [("host", "localhost"), ("origin", "http://localhost"), ("cookie", cookie.as_str())];
    for (method, path) in
        PATHS.iter().copied().filter(|(method, path)| *method != "GET" && path.starts_with("/api/"))
    {
        let detail = it.call_with(method, path, r#"{"state":"dead"}"#, &headers).await.problem(403);
        assert!(detail.contains("Authorization: Bearer"), "{path}: {detail}");
    }
    let answer = it.call_with("GET", &format!("/api/v1/jobs/{dead}"), "", &headers).await;
    assert_eq!(answer.json()["state"], "dead");
}

#[tokio::test]
async fn customers_texts_are_shown_as_configured_and_never_to_a_reader() {
    let full = json!({ "message": "hello 1" });
    let masked = json!({ "message": "(text of 7 characters)" });
    for (show_data, to_operator, to_reader) in [
        (ShowData::Never, &Value::Null, &Value::Null),
        (ShowData::Masked, &full, &masked),
        (ShowData::Full, &full, &masked),
    ] {
        let it = Fixture::with(|admin| {
            (admin.token, admin.read_token) = (Some(TOKEN.into()), Some(READ.into()));
            admin.show_data = show_data;
        })
        .await;
        let id = it.jobs.make("echo", StateName::Delivering).await;
        // A note may quote what a handler answered.
        it.jobs.store.callbacks().note(id, "refused: {\"name\":\"hello\"}").await.unwrap();
        for (token, expected) in [(TOKEN, to_operator), (READ, to_reader)] {
            let bearer = format!("Bearer {token}");
            let call = async |method: &str, path: &str| {
                it.call_with(method, path, "", &[("authorization", &bearer)]).await
            };
            let answer = call("GET", &format!("/api/v1/jobs/{id}")).await;
            assert_eq!(&answer.json()["data"], expected, "{show_data:?} {token}");
            assert_eq!(answer.text.contains("\"hi\""), *expected == full, "{show_data:?}: {}", answer.text);
            assert_eq!(answer.text.contains("refused:"), *expected == full, "{show_data:?}: {}", answer.text);
            let page = call("GET", &format!("/jobs/{id}")).await;
            let sees_bodies = show_data == ShowData::Full && token == TOKEN;
            assert_eq!(page.text.contains("refused:"), sees_bodies, "{show_data:?}: {}", page.text);
            // A search would reveal what the caller may not see.
            let search = call("GET", "/api/v1/jobs?q=hello").await;
            let by_key = call("GET", "/api/v1/jobs?q=handler:echo").await;
            assert_eq!(by_key.json()["jobs"][0]["id"], id.to_string());
            if *expected == full {
                assert_eq!(search.json()["jobs"][0]["id"], id.to_string());
            } else {
                assert!(search.problem(403).contains("admin.show_data"));
                call("GET", "/api/v1/jobs?q=-hello").await.problem(403);
            }
        }
        // The response to a change is the job, too.
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("authorization", bearer.as_str())];
        // The number of matches would reveal what the texts contain.
        let dry_run = r#"{"action":"cancel","filter":"hello","dry_run":true}"#;
        let counted = it.call_with("POST", "/api/v1/jobs/bulk", dry_run, &headers).await;
        if *to_operator == full {
            assert_eq!(counted.json()["jobs"], 1);
        } else {
            assert!(counted.problem(403).contains("admin.show_data"));
        }
        let answer = it.call_with("POST", &format!("/api/v1/jobs/{id}/cancel"), "", &headers).await;
        assert_eq!(&answer.json()["data"], to_operator, "{show_data:?}");
    }
}
