//! The description of the API itself.

use std::collections::BTreeSet;

use super::super::accounts::PauseView;
use super::super::document::tag;
use super::super::live::PaceView;
use super::super::{AccountView, AccountsView, InstallationView};
use super::conformance::{description, validate};
use super::*;
use crate::listed_account::ListedAccount;
use model::{AccountId, AccountState, AccountWait, Timestamp, WaitCause};

/// Calls `check` with each operation, its method and its path.
fn operations() -> impl Iterator<Item = (String, &'static Value)> {
    description()["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
    })
}

#[tokio::test]
async fn the_document_is_served_and_says_whether_a_token_is_required() {
    for token in [None, Some(TOKEN)] {
        let it = Fixture::new(token).await;
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("host", "localhost"), ("authorization", bearer.as_str())];
        let answer = it.call_with("GET", "/api/v1/openapi.json", "", &headers).await;
        assert_eq!(
            (answer.status, &answer.headers["content-type"]),
            (StatusCode::OK, &"application/json".parse().unwrap())
        );
        let document = answer.json();
        assert_eq!(
            (&document["openapi"], &document["info"]["version"]),
            (&json!("3.1.0"), &json!(env!("CARGO_PKG_VERSION")))
        );
        let security = |path: &str| document["paths"][path]["get"]["security"].clone();
        let expected = token.map_or(json!([]), |_| json!([{ "bearer": [] }]));
        assert_eq!((security("/api/v1/jobs"), security("/metrics")), (expected.clone(), expected));
        assert_eq!(security("/health/ready"), json!([]));
        let responses = |path: &str| document["paths"][path]["get"]["responses"].clone();
        assert!(responses("/api/v1/jobs")["401"].is_object() && responses("/api/v1/jobs")["403"].is_object());
        assert!(responses("/health/live").get("401").is_none());
    }
}

/// `routes!` adds a route together with its description. So what is left to check is that nothing bypasses it.
#[tokio::test]
async fn every_operation_is_routed_and_every_path_of_the_tests_is_described() {
    let it = Fixture::new(None).await;
    for (name, _) in operations().filter(|(name, _)| !name.ends_with("/events")) {
        let (method, path) = name.split_once(' ').unwrap();
        let path = path.replace("{id}", "1");
        let answer = it.call(method, &path, "").await;
        assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{name}");
        assert!(!answer.text.contains("There is nothing at this path"), "{name}");
        let other = if method == "GET" { "POST" } else { "PUT" };
        let refused = it.call(other, &path, "").await;
        let is_described =
            operations().any(|(known, _)| known == format!("{other} {}", name.split_once(' ').unwrap().1));
        assert_eq!(refused.status == StatusCode::METHOD_NOT_ALLOWED, !is_described, "{other} {path}");
    }
    let source = include_str!("../mod.rs");
    assert!(!source.contains(".route("), "a route without a description: use `.routes(routes!(…))`");
    assert_eq!(source.matches("routes!(").count(), operations().count());
}

#[test]
fn every_operation_and_field_is_described() {
    let tags = [tag::JOBS, tag::BULK, tag::ERRORS, tag::STATE, tag::HEALTH, tag::ACTIONS, tag::API];
    let (mut ids, mut used) = (BTreeSet::new(), BTreeSet::new());
    for (name, operation) in operations() {
        let summary = operation["summary"].as_str().unwrap_or_else(|| panic!("{name} has no summary"));
        assert!(!summary.ends_with('.') && !summary.contains('`'), "{name}: {summary}");
        assert!(
            ids.insert(operation["operationId"].as_str().unwrap()),
            "{name}: the id of another operation"
        );
        let tag = operation["tags"][0].as_str().unwrap();
        assert!(tags.contains(&tag), "{name}: {tag}");
        used.insert(tag);
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
        for (status, response) in responses {
            assert!(
                response["description"].as_str().is_some_and(|text| text.ends_with('.')),
                "{name} {status}"
            );
            assert!(response["content"].is_object(), "{name} {status}");
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(
                parameter["description"].is_string() && parameter["schema"].is_object(),
                "{name}: {parameter}"
            );
        }
    }
    assert_eq!(used, tags.into());
    for (name, schema) in description()["components"]["schemas"].as_object().unwrap() {
        let parts = schema["allOf"].as_array().into_iter().flatten().chain([schema]);
        for (field, schema) in parts.flat_map(|part| part["properties"].as_object().into_iter().flatten()) {
            assert!(schema["description"].is_string(), "{name}.{field}: {schema}");
        }
    }
}

#[test]
fn an_operation_describes_only_its_own_reasons() {
    let about = |path: &str, method: &str, status: &str| {
        description()["paths"][path][method]["responses"][status]["description"].as_str().unwrap_or_default()
    };
    for (path, method, status, reason, expected) in [
        ("/api/v1/jobs", "get", "403", "hidden-text", true),
        ("/api/v1/jobs", "get", "403", "cross-site", true),
        ("/api/v1/jobs", "get", "403", "read-only", false),
        ("/api/v1/store", "get", "403", "hidden-text", false),
        ("/api/v1/store", "get", "503", "too-many-lists", false),
        ("/api/v1/jobs", "get", "503", "too-many-lists", true),
        ("/api/v1/jobs/{id}/cancel", "post", "403", "read-only", true),
        ("/api/v1/jobs/{id}/cancel", "post", "409", "wrong-state", true),
        ("/api/v1/jobs/{id}/cancel", "post", "409", "no-handler-completion", false),
        ("/api/v1/jobs/{id}/complete", "post", "409", "superseded", false),
        ("/api/v1/jobs/{id}/retry", "post", "409", "no-handler-completion", true),
    ] {
        let text = about(path, method, status);
        assert!(!text.is_empty(), "{method} {path} {status}");
        assert_eq!(text.contains(reason), expected, "{method} {path} {status}: {text}");
    }
}

#[test]
fn a_response_has_all_fields_and_a_request_may_omit_some() {
    let schemas = &description()["components"]["schemas"];
    let required = |name: &str, field: &str| {
        let parts = schemas[name]["allOf"].as_array().into_iter().flatten().chain([&schemas[name]]);
        parts.flat_map(|part| part["required"].as_array().into_iter().flatten()).any(|known| known == field)
    };
    for (name, field, expected) in [
        ("JobSummary", "id", true),
        ("JobSummary", "finished_at", true),
        ("Job", "data", true),
        ("Account", "pause", true),
        ("Ready", "everybody_waits", true),
        ("Ready", "degraded", false),
        ("EraseRequest", "lead", false),
        ("BulkRequest", "filter", true),
        ("BulkRequest", "token", false),
        ("Completion", "execute_handlers", false),
    ] {
        assert_eq!(required(name, field), expected, "{name}.{field}");
    }
    assert_eq!(schemas["EraseRequest"]["additionalProperties"], false);
}

/// The fixture has no accounts.
#[test]
fn an_account_has_exactly_the_described_fields() {
    let now = Timestamp::from_millis(1_700_000_000_000);
    let cause = WaitCause::TooMany;
    let wait = AccountWait { cause, why: "429".into(), advice: "wait".into(), since: now, until: Some(now) };
    let account = ListedAccount {
        origin: Some("https://a1.kommo.com".into()),
        host: Some("a1.kommo.com".into()),
        name: None,
        account_id: Some(AccountId(7)),
        integration: Some("main".into()),
        state: AccountState::NeedsAuthorization,
        reason: Some("Kommo answered 401".into()),
        expires_at: Some(now),
        connected_at: None,
        waiting: 3,
        waits_for: Some(wait),
        key: None,
    };
    let view = AccountView {
        account,
        pause: Some(PauseView { cause, until: now }),
        pace: Some(PaceView { used: 7, limit: 7, next_at: Some(now) }),
        authorize: None,
    };
    let installation = InstallationView {
        host: "a2.kommo.com".into(),
        integration: "main".into(),
        codes: 1,
        received_at: now,
        expires_at: now,
    };
    let view = AccountsView { accounts: vec![view], installations: vec![installation] };
    validate(&json!({ "$ref": "#/components/schemas/AccountsView" }), &json!(view), "the accounts");
    let fields = json!(view)["accounts"][0].as_object().unwrap().len();
    assert_eq!(fields, 13, "the key and the origin are not shown");
}
