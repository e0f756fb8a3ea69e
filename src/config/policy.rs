//! The defaults of handlers. They depend on the handler's kind, so they are not in `config/default.toml`.

use std::time::Duration;

use super::http_handler::{Mode, Preset};
use super::ordering::Ordering;
use super::tree::{Content, Node, Origin};
use super::values::Span;
use model::HandlerPolicy;

/// The defaults of `concurrency` and `max_awaiting` of a handler over HTTP.
const HTTP_CONCURRENCY: i64 = 64;
const HTTP_MAX_AWAITING: i64 = 10_000;

/// Completes each configured handler with the standard policy's values.
pub(super) fn add_policies(tree: &mut Node) {
    for handler in handlers(tree) {
        let Some(entries) = handler.entries_mut() else { continue };
        let over_http = if is_http(entries.get("kind")) { over_http() } else { Vec::new() };
        for (key, value) in standard().into_iter().chain(over_http) {
            entries.entry(key.to_owned()).or_insert_with(|| Node::from_value(value, &Origin::BuiltIn));
        }
    }
}

/// Adds the defaults of the handlers of `tree` to `defaults`.
pub(super) fn add_defaults(defaults: &mut Node, tree: &Node) {
    let Some(Content::Table(handlers)) = tree.get(&["handlers"]).map(|node| &node.content) else { return };
    for (name, handler) in handlers {
        let over_http = if is_http(handler.get(&["kind"])) { over_http() } else { Vec::new() };
        for (key, value) in standard().into_iter().chain(over_http) {
            defaults.insert(&["handlers", name, key], Node::from_value(value, &Origin::BuiltIn));
        }
    }
}

fn handlers(tree: &mut Node) -> impl Iterator<Item = &mut Node> {
    let handlers = tree.entries_mut().and_then(|sections| sections.get_mut("handlers"));
    handlers.and_then(Node::entries_mut).into_iter().flat_map(|handlers| handlers.values_mut())
}

fn is_http(kind: Option<&Node>) -> bool {
    kind.is_some_and(
        |kind| matches!(&kind.content, Content::Leaf(toml::Value::String(kind)) if kind == "http"),
    )
}

/// The defaults of every handler.
fn standard() -> Vec<(&'static str, toml::Value)> {
    let policy = HandlerPolicy::default();
    let text = |span: Span| toml::Value::String(span.to_string());
    let mut standard = vec![
        ("max_attempts", toml::Value::Integer(policy.max_attempts.into())),
        ("attempt_timeout", text(Span(policy.attempt_timeout))),
        ("answer_within", text(Span(policy.answer_within))),
        ("ordering", toml::Value::from(Ordering::default().as_str())),
        ("coalesce", text(Span(Duration::ZERO))),
    ];
    standard.extend(toml::Value::try_from(&policy.fallback).ok().map(|fallback| ("fallback", fallback)));
    standard
}

/// The further defaults of a handler over HTTP.
fn over_http() -> Vec<(&'static str, toml::Value)> {
    vec![
        ("preset", toml::Value::from(Preset::default().as_str())),
        ("mode", toml::Value::from(Mode::default().as_str())),
        ("concurrency", toml::Value::from(HTTP_CONCURRENCY)),
        ("max_awaiting", toml::Value::from(HTTP_MAX_AWAITING)),
    ]
}
