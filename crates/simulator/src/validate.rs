//! Validates the body of a continue as Kommo does. Pure: bytes in, the body or its error out.

use serde_json::{Map, Value};

use super::options::DataAlone;

const MAX_HANDLERS: usize = 10;
const MAX_VALUE_UNITS: usize = 80;
const MAX_BUTTONS: usize = 25;

const HANDLERS: &str = "execute_handlers";
const VALUE: &str = "execute_handlers.params.value";
const BUTTONS: &str = "execute_handlers.params.buttons";
const TYPE: &str = "execute_handlers.params.type";
const STEP: &str = "execute_handlers.params.step";

/// A valid body.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Body {
    pub(super) data: Value,
    pub(super) execute_handlers: Option<Vec<Value>>,
}

/// One entry of Kommo's `validation-errors`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Invalid {
    pub(super) code: &'static str,
    pub(super) path: &'static str,
    pub(super) detail: &'static str,
}

const fn invalid(code: &'static str, path: &'static str, detail: &'static str) -> Invalid {
    Invalid { code, path, detail }
}

pub(super) fn body(bytes: &[u8], data_alone: DataAlone) -> Result<Body, Invalid> {
    let Ok(Value::Object(mut keys)) = serde_json::from_slice(bytes) else {
        return Err(invalid("InvalidType", "", "The body should be a JSON object."));
    };
    let data = keys.remove("data");
    if data.as_ref().is_some_and(|data| !data.is_object() && !data.is_array()) {
        return Err(invalid("InvalidType", "data", "This value should be of type array."));
    }
    let execute_handlers = match keys.remove(HANDLERS) {
        None if data.is_none() => return Err(missing("data")),
        None if data_alone == DataAlone::TooFew400 => return Err(too_few()),
        None => None,
        Some(Value::Array(list)) => Some(handlers(list)?),
        Some(_) => return Err(invalid("InvalidType", HANDLERS, "This value should be of type array.")),
    };
    Ok(Body { data: data.unwrap_or_default(), execute_handlers })
}

fn handlers(list: Vec<Value>) -> Result<Vec<Value>, Invalid> {
    if list.is_empty() {
        return Err(too_few());
    }
    if list.len() > MAX_HANDLERS {
        return Err(invalid("TooMany", HANDLERS, "This collection should contain 10 elements or less."));
    }
    for entry in &list {
        let params = entry.get("params").and_then(Value::as_object);
        match (entry.get("handler").and_then(Value::as_str), params) {
            (Some("show" | "goto"), None) => return Err(missing("execute_handlers.params")),
            (Some("show"), Some(params)) => show(params)?,
            (Some("goto"), Some(params)) => goto(params)?,
            (Some(_), _) => {
                return Err(invalid(
                    "UnsupportedHandler",
                    "execute_handlers.handler",
                    "Unsupported handler code",
                ));
            }
            (None, _) => return Err(missing("execute_handlers.handler")),
        }
    }
    Ok(list)
}

fn show(params: &Map<String, Value>) -> Result<(), Invalid> {
    let kind = one_of(params, &["text", "buttons", "buttons_url"])?;
    match params.get("value") {
        None => return Err(missing(VALUE)),
        Some(Value::String(text)) if text.encode_utf16().count() > MAX_VALUE_UNITS => {
            return Err(invalid(
                "TooLong",
                VALUE,
                "This value is too long. It should have 80 characters or less.",
            ));
        }
        Some(Value::String(_)) => {}
        Some(_) => return Err(invalid("InvalidType", VALUE, "This value should be of type string.")),
    }
    if kind == "text" { Ok(()) } else { buttons(params, kind == "buttons_url") }
}

fn buttons(params: &Map<String, Value>, urls: bool) -> Result<(), Invalid> {
    let list = match params.get("buttons") {
        None => return Err(missing(BUTTONS)),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(invalid("InvalidType", BUTTONS, "This value should be of type array.")),
    };
    if list.len() > MAX_BUTTONS {
        return Err(invalid("TooMany", BUTTONS, "This collection should contain 25 elements or less."));
    }
    // Kommo documents two forms of URL buttons: strings, and objects with `text` and `url`.
    if list
        .iter()
        .all(|button| button.is_string() || (urls && button["text"].is_string() && button["url"].is_string()))
    {
        Ok(())
    } else {
        Err(invalid("InvalidType", BUTTONS, "This value should be of type string."))
    }
}

fn goto(params: &Map<String, Value>) -> Result<(), Invalid> {
    one_of(params, &["question", "answer", "finish"])?;
    match params.get("step") {
        None => Err(missing(STEP)),
        Some(step) if step.is_u64() => Ok(()),
        Some(_) => Err(invalid("InvalidType", STEP, "This value should be of type int.")),
    }
}

fn one_of<'a>(params: &'a Map<String, Value>, allowed: &[&str]) -> Result<&'a str, Invalid> {
    match params.get("type") {
        None => Err(missing(TYPE)),
        Some(Value::String(kind)) if allowed.contains(&kind.as_str()) => Ok(kind),
        Some(_) => Err(invalid("NoSuchChoice", TYPE, "The value you selected is not a valid choice.")),
    }
}

const fn missing(path: &'static str) -> Invalid {
    invalid("FieldMissing", path, "This field is missing.")
}

const fn too_few() -> Invalid {
    invalid("TooFew", HANDLERS, "This collection should contain 1 element or more.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code(bytes: &[u8], data_alone: DataAlone) -> Result<Body, (&'static str, &'static str)> {
        body(bytes, data_alone).map_err(|error| (error.code, error.path))
    }

    fn handler(name: &str, params: Value) -> Value {
        json!({ "data": {}, "execute_handlers": [{ "handler": name, "params": params }] })
    }

    fn show(kind: &str, value: &str, buttons: Value) -> Value {
        handler("show", json!({ "type": kind, "value": value, "buttons": buttons }))
    }

    #[test]
    fn bodies_that_kommo_refuses_are_refused() {
        let goto = json!({ "handler": "goto", "params": { "type": "question", "step": 1 } });
        let rows = [
            (json!([]), "InvalidType", ""),
            (json!({}), "FieldMissing", "data"),
            (json!({ "data": "text" }), "InvalidType", "data"),
            (json!({ "data": null }), "InvalidType", "data"),
            (json!({ "data": {}, "execute_handlers": [] }), "TooFew", HANDLERS),
            (json!({ "data": {}, "execute_handlers": null }), "InvalidType", HANDLERS),
            (json!({ "data": {}, "execute_handlers": vec![goto; 11] }), "TooMany", HANDLERS),
            (json!({ "data": {}, "execute_handlers": [{}] }), "FieldMissing", "execute_handlers.handler"),
            (
                json!({ "data": {}, "execute_handlers": [{ "handler": "goto" }] }),
                "FieldMissing",
                "execute_handlers.params",
            ),
            (handler("find", json!({})), "UnsupportedHandler", "execute_handlers.handler"),
            (handler("show", json!({ "value": "x" })), "FieldMissing", TYPE),
            (handler("show", json!({ "type": "text" })), "FieldMissing", VALUE),
            (handler("show", json!({ "type": "text", "value": 1 })), "InvalidType", VALUE),
            (show("picture", "x", json!([])), "NoSuchChoice", TYPE),
            (show("text", &"я".repeat(81), json!([])), "TooLong", VALUE),
            (show("text", &"🙂".repeat(41), json!([])), "TooLong", VALUE),
            (show("buttons", "x", json!("a")), "InvalidType", BUTTONS),
            (show("buttons", "x", json!([1])), "InvalidType", BUTTONS),
            (show("buttons", "x", json!(vec!["b"; 26])), "TooMany", BUTTONS),
            (show("buttons", "x", json!([{ "text": "a", "url": "b" }])), "InvalidType", BUTTONS),
            (handler("show", json!({ "type": "buttons", "value": "x" })), "FieldMissing", BUTTONS),
            (handler("goto", json!({ "type": "question" })), "FieldMissing", STEP),
            (handler("goto", json!({ "type": "question", "step": "1" })), "InvalidType", STEP),
            (handler("goto", json!({ "type": "exit", "step": 1 })), "NoSuchChoice", TYPE),
            (handler("goto", json!({ "step": 1 })), "FieldMissing", TYPE),
        ];
        for (sent, expected, path) in rows {
            let bytes = sent.to_string();
            assert_eq!(code(bytes.as_bytes(), DataAlone::Accept202), Err((expected, path)), "{sent}");
        }
        assert_eq!(code(b"no json", DataAlone::Accept202), Err(("InvalidType", "")));
        assert_eq!(code(br#"{"data":{}}"#, DataAlone::TooFew400), Err(("TooFew", HANDLERS)));
    }

    #[test]
    fn bodies_within_the_limits_are_accepted() {
        let goto = json!({ "handler": "goto", "params": { "type": "finish", "step": 0 } });
        let rows = [
            json!({ "data": {} }),
            json!({ "data": [] }),
            json!({ "execute_handlers": [goto] }),
            json!({ "data": {}, "execute_handlers": vec![goto; 10] }),
            show("text", &"я".repeat(80), json!([])),
            show("text", &"🙂".repeat(40), json!([])),
            show("buttons", "x", json!(vec!["b"; 25])),
            show("buttons_url", "x", json!(["https://a.example", { "text": "a", "url": "b" }])),
        ];
        for sent in rows {
            let body = body(sent.to_string().as_bytes(), DataAlone::Accept202).unwrap();
            assert_eq!(body.data, sent["data"], "{sent}");
            assert_eq!(json!(body.execute_handlers), sent["execute_handlers"], "{sent}");
        }
    }
}
