//! Compares every response of the other tests with the description of the API: its status, its type, its headers and all
//! fields of its body.

use std::sync::LazyLock;

use super::super::{access, document, routes};
use super::*;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_slice(&document::render(&routes().1, true)).unwrap());

/// The description of the API.
pub(super) fn description() -> &'static Value {
    &DOCUMENT
}

/// Checks a response of the API. A path or a method without a description gets 404 or 405, or is refused.
pub(super) fn check(method: &str, path: &str, answer: &Answer) {
    let path = path.split('?').next().unwrap();
    if !access::is_for_programs(path) {
        return;
    }
    let status = answer.status.as_u16().to_string();
    let Some(operation) = operation(method, path) else {
        assert!(matches!(&*status, "401" | "403" | "404" | "405"), "{method} {path}: {status}");
        return;
    };
    let context = format!("{method} {path}: {status} {}", answer.text);
    let described = &operation["responses"][&status];
    assert!(described.is_object(), "a status without a description: {context}");
    for (name, _) in described["headers"].as_object().into_iter().flatten() {
        assert!(answer.headers.contains_key(name), "no `{name}`: {context}");
    }
    for name in ["retry-after", "location", "www-authenticate"] {
        let is_described = described["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .any(|(known, _)| known.eq_ignore_ascii_case(name));
        // Only a token that may not write gets a 403 with this header.
        if (&*status, name) == ("403", "www-authenticate") {
            continue;
        }
        assert_eq!(answer.headers.contains_key(name), is_described, "`{name}`: {context}");
    }
    let kind = answer.headers["content-type"].to_str().unwrap().split(';').next().unwrap();
    let content = &described["content"][kind];
    assert!(content.is_object(), "a type without a description, `{kind}`: {context}");
    if kind.ends_with("json") {
        validate(&content["schema"], &answer.json(), &context);
    }
}

/// Checks `value`, which may have only fields that the schema names.
pub(super) fn validate(schema: &Value, value: &Value, context: &str) {
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.enable_format_assertions();
    compiler.add_resource("schema.json", closed(schema)).unwrap();
    let index = compiler.compile("schema.json", &mut schemas).unwrap_or_else(|error| panic!("{error}"));
    if let Err(error) = schemas.validate(value, index) {
        panic!("{error}\n{context}");
    }
}

/// The operation that serves this path. A path without parameters comes first, as in the router.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let matches = |template: &str| {
        let (template, path): (Vec<&str>, Vec<&str>) =
            (template.split('/').collect(), path.split('/').collect());
        let is_same = |(known, given): (&&str, &&str)| known.starts_with('{') || known == given;
        template.len() == path.len() && template.iter().zip(&path).all(is_same)
    };
    let item =
        paths.get(path).or_else(|| paths.iter().find(|(known, _)| matches(known)).map(|(_, item)| item));
    item?.get(method.to_lowercase())
}

/// The schema without references, in which an object has no other fields than those that the schema names.
fn closed(schema: &Value) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        let found = DOCUMENT.pointer(name.trim_start_matches('#'));
        return closed(found.unwrap_or_else(|| panic!("no schema `{name}`")));
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let (mut fields, mut required) = (serde_json::Map::new(), Vec::new());
        for part in parts.iter().map(closed) {
            fields.extend(part["properties"].as_object().unwrap().clone());
            required.extend(part["required"].as_array().into_iter().flatten().cloned());
        }
        return json!({ "type": "object", "properties": fields, "required": required, "additionalProperties": false });
    }
    let mut schema = schema.clone();
    for key in ["oneOf", "anyOf"] {
        if let Some(choices) = schema.get_mut(key).and_then(Value::as_array_mut) {
            choices.iter_mut().for_each(|choice| *choice = closed(choice));
        }
    }
    for key in ["items", "additionalProperties", "propertyNames"] {
        if let Some(part) = schema.get_mut(key).filter(|part| part.is_object()) {
            *part = closed(part);
        }
    }
    if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        fields.values_mut().for_each(|field| *field = closed(field));
        schema.as_object_mut().unwrap().entry("additionalProperties").or_insert(json!(false));
    }
    schema
}
