//! The PHP-style form that Kommo sends, read with the form parser of the `url` crate.

use serde_json::{Map, Value};

/// The three keys of a `widget_request`.
#[derive(Debug, Default)]
pub(super) struct WidgetRequest {
    pub(super) token: String,
    pub(super) return_url: String,
    pub(super) data: Value,
}

/// Parses a form. Ignores unknown keys; the last of several equal keys wins.
pub(super) fn parse(body: &[u8]) -> WidgetRequest {
    let mut request = WidgetRequest::default();
    for (key, value) in url::form_urlencoded::parse(body) {
        match key.split_once('[').map_or((&*key, ""), |(name, path)| (name, path)) {
            ("token", _) => request.token = value.into_owned(),
            ("return_url", _) => request.return_url = value.into_owned(),
            ("data", path) => insert(&mut request.data, path.trim_end_matches(']'), value.into_owned()),
            _ => {}
        }
    }
    request
}

/// Inserts `value` at `path`, which has the form `lead][id`.
fn insert(mut node: &mut Value, path: &str, value: String) {
    for key in path.split("][").filter(|key| !key.is_empty()) {
        if !node.is_object() {
            *node = Value::Object(Map::new());
        }
        node = &mut node[key];
    }
    *node = Value::String(value);
}
