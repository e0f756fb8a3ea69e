//! `GET /api/v1/openapi.json`: the description of this API, OpenAPI 3.1, collected from the routes.
//!
//! Every route has a description, because `routes!` takes both from the same function. Access is described here for all
//! routes at once, as the guard checks it for all of them.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::server::Server;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};

use crate::problem::Problem;

use super::Shared;
use super::access;
use super::events::Change;
use super::responses::problem;

/// The tags of the operations.
pub(super) mod tag {
    pub(in crate::admin) const JOBS: &str = "jobs";
    pub(in crate::admin) const BULK: &str = "bulk changes";
    pub(in crate::admin) const ERRORS: &str = "errors";
    pub(in crate::admin) const STATE: &str = "state";
    pub(in crate::admin) const HEALTH: &str = "health";
    pub(in crate::admin) const ACTIONS: &str = "actions";
    pub(in crate::admin) const API: &str = "description";
}

const TAGS: [(&str, &str); 7] = [
    (tag::JOBS, "Find, explain and change jobs."),
    (tag::BULK, "Change or erase many jobs. The changes run in the background."),
    (tag::ERRORS, "Errors of jobs in groups, and the retry of a group."),
    (tag::STATE, "What the bridge does at the moment and did lately."),
    (tag::ACTIONS, "What operators did."),
    (tag::HEALTH, "For probes and for monitoring."),
    (tag::API, "This document."),
];

/// The name of the security scheme.
const BEARER: &str = "bearer";

const ABOUT: &str = "The admin listener of salesbot-bridge (`admin.listen`): for the operators of a bridge and their tools.

## Access

If `admin.token` is set, everything except `/health/*` requires `Authorization: Bearer TOKEN`. The response to a wrong token \
comes a second later. Without `admin.token`, requests from pages of other sites get 403, and so do requests whose URL contains \
neither an IP address nor `localhost`.

## Lists

The newest entry comes first. A page has at most `limit` entries. Its `next_cursor` is the `cursor` of the next page, and null at \
the end: continue until it is null, because a page can be short although more follow. Unknown and repeated parameters are refused. \
An empty value counts as absent.

## Values

Every field of a response is always present, unless its description says otherwise, and is null if it does not apply. New \
fields may be added. Every error is `application/problem+json` (RFC 9457): decide on `status` and `type`; `title` and `detail` \
are for people. Retry a 503 after `Retry-After` seconds. A retry of a change is safe: a job whose state no longer allows it gets 409.";

/// Returns the document of a router without routes.
pub(super) fn empty() -> OpenApi {
    let license = LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0"));
    let info = InfoBuilder::new().title("salesbot-bridge admin API").version(env!("CARGO_PKG_VERSION"));
    let info = info.description(Some(ABOUT)).license(Some(license.build()));
    let tags = TAGS.map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build());
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = ComponentsBuilder::new()
        .schema_from::<Problem>()
        .schema_from::<Change>()
        .security_scheme(BEARER, bearer);
    OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([Server::new("/")]))
        .tags(Some(tags))
        .components(Some(components.build()))
        .build()
}

/// Completes the document that was collected from the routes, and renders it.
pub(super) fn render(api: &OpenApi, requires_token: bool) -> Bytes {
    let mut document = json!(api);
    for (path, operations) in members(&mut document["paths"]) {
        let is_open = access::is_open(path);
        for (method, operation) in members(operations) {
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten().filter(|parameter| parameter["in"] == "query") {
                // An empty value counts as absent.
                parameter["allowEmptyValue"] = json!(true);
            }
            body_is_an_object(operation);
            operation["security"] =
                if requires_token && !is_open { json!([{ BEARER: [] }]) } else { json!([]) };
            if !is_open {
                operation["responses"]["401"] = json!(problem(401, "The token is missing or wrong."));
                let own = operation["responses"]["403"]["description"].as_str();
                let about = forbidden(method == "get", own);
                operation["responses"]["403"] = json!(problem(403, &about));
            }
        }
    }
    members(&mut document["components"]["schemas"]).for_each(|(_, schema)| {
        always_present(schema);
        describe_fields(schema);
    });
    document.to_string().into()
}

/// A body that may be absent is an object if it is there, and not null.
fn body_is_an_object(operation: &mut Value) {
    let Some(schema) = operation.pointer_mut("/requestBody/content/application~1json/schema") else { return };
    let mut choices = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let object = choices.find(|choice| choice["type"] != "null").cloned();
    if let Some(object) = object {
        *schema = object;
    }
}

/// Why an operation responds 403: its own reason, if it has one, and those of the guard.
fn forbidden(only_reads: bool, own: Option<&str>) -> String {
    let of_writes = "The token is `admin.read_token`, which changes nothing (`read-only`), or the request has a session instead of \
                     a token (`session-at-api`).";
    let of_all = "A browser sent the request from a page of another site, without a token (`cross-site`), or `admin.token` is not \
                  set and the URL contains neither an IP address nor `localhost` (`foreign-host`).";
    let of_method = (!only_reads).then_some(of_writes);
    own.into_iter().chain(of_method).chain([of_all]).collect::<Vec<_>>().join(" ")
}

/// Moves the description of a field that may be null from its value to the field, where tools look for it.
fn describe_fields(schema: &mut Value) {
    let parts = schema.get_mut("allOf").and_then(Value::as_array_mut);
    parts.into_iter().flatten().for_each(describe_fields);
    let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for field in fields.values_mut().filter(|field| field.get("description").is_none()) {
        let choices = field.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten();
        let about = choices.filter_map(|choice| choice.as_object_mut()?.remove("description")).next();
        if let Some(about) = about {
            field["description"] = about;
        }
    }
}

/// Says that a response has all fields, also those that are null. A closed object is the body of a request, in which a
/// field that may be null may also be absent.
fn always_present(schema: &mut Value) {
    if schema.get("additionalProperties") == Some(&json!(false)) {
        return;
    }
    let parts = schema.get_mut("allOf").and_then(Value::as_array_mut);
    parts.into_iter().flatten().for_each(always_present);
    let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let nullable: Vec<Value> =
        fields.filter(|(_, field)| is_nullable(field)).map(|(name, _)| json!(name)).collect();
    if nullable.is_empty() {
        return;
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let added = nullable.into_iter().filter(|name| !required.contains(name));
    schema["required"] = required.iter().cloned().chain(added).collect();
}

fn is_nullable(field: &Value) -> bool {
    let is_null = |value: &Value| value == "null" || value["type"] == "null";
    ["type", "oneOf", "anyOf"].iter().any(|key| field[*key].as_array().into_iter().flatten().any(is_null))
}

fn members(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value.as_object_mut().into_iter().flatten()
}

/// Describes this API
///
/// OpenAPI 3.1. The document says whether this bridge requires a token.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = tag::API, operation_id = "describe",
    responses((status = 200, description = "The document.", body = Value)))]
pub(super) async fn show(State(shared): State<Shared>) -> Response {
    ([(CONTENT_TYPE, "application/json")], shared.document).into_response()
}
