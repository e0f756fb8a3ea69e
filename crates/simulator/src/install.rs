//! Checks settings against a widget's template. Pure: a body in, settings or all its errors out.

use serde_json::{Map, Value};

use super::answer::FieldError;
use super::widget_data::Field;

/// The settings to install the widget with. Drops the keys that the template does not name.
pub(super) fn settings(template: &[Field], body: &[u8]) -> Result<Map<String, Value>, Vec<FieldError>> {
    // A widget without mandatory settings needs no body.
    let body = if body.is_empty() { b"{}" } else { body };
    let mut given = match serde_json::from_slice(body) {
        Ok(Value::Object(given)) => given,
        // PHP writes an empty array as a list.
        Ok(Value::Array(list)) if list.is_empty() => Map::new(),
        _ => return Err(vec![wrong_type(String::new(), "object")]),
    };
    let mut errors = Vec::new();
    let mut settings = Map::new();
    for field in template {
        match given.remove(&field.key) {
            None | Some(Value::Null) if field.is_required => errors.push(missing(field.key.clone())),
            None | Some(Value::Null) => {}
            Some(value) => {
                check(field, &value, &mut errors);
                settings.insert(field.key.clone(), value);
            }
        }
    }
    if errors.is_empty() { Ok(settings) } else { Err(errors) }
}

fn check(field: &Field, value: &Value, errors: &mut Vec<FieldError>) {
    let path = field.key.clone();
    match (field.kind.as_str(), value) {
        ("text" | "pass", Value::String(text)) if text.is_empty() && field.is_required => {
            errors.push(FieldError {
                code: "NotBlank",
                path,
                detail: "This value should not be blank.".into(),
            });
        }
        ("text" | "pass", Value::String(_)) => {}
        ("text" | "pass", _) => errors.push(wrong_type(path, "string")),
        ("users" | "users_lp", Value::Object(users)) => {
            if users.is_empty() && field.is_required {
                errors.push(FieldError {
                    code: "TooFew",
                    path,
                    detail: "At least one user is required.".into(),
                });
            }
            for (user, value) in users {
                one_user(field, user, value, errors);
            }
        }
        ("users" | "users_lp", _) => errors.push(wrong_type(path, "object")),
        _ => {}
    }
}

fn one_user(field: &Field, user: &str, value: &Value, errors: &mut Vec<FieldError>) {
    let path = format!("{}.{user}", field.key);
    if user.is_empty() || !user.bytes().all(|byte| byte.is_ascii_digit()) {
        let detail = "The key should be the id of a user.".to_owned();
        errors.push(FieldError { code: "InvalidType", path, detail });
        return;
    }
    match (field.kind.as_str(), value) {
        ("users", Value::String(_)) => {}
        ("users", _) => errors.push(wrong_type(path, "string")),
        (_, Value::Object(pair)) => {
            for key in ["login", "password"] {
                match pair.get(key) {
                    None => errors.push(missing(format!("{path}.{key}"))),
                    Some(Value::String(_)) => {}
                    Some(_) => errors.push(wrong_type(format!("{path}.{key}"), "string")),
                }
            }
        }
        _ => errors.push(wrong_type(path, "object")),
    }
}

fn missing(path: String) -> FieldError {
    FieldError { code: "FieldMissing", path, detail: "This field is missing.".to_owned() }
}

fn wrong_type(path: String, wanted: &str) -> FieldError {
    FieldError { code: "InvalidType", path, detail: format!("This value should be of type {wanted}.") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::widget_data::field;
    use super::*;

    fn template() -> Vec<Field> {
        vec![
            field("login", "Login", "text", true),
            field("key", "Key", "pass", false),
            field("phones", "Phones", "users", true),
            field("agents", "Agents", "users_lp", false),
            field("conf", "Conf", "custom", false),
        ]
    }

    #[test]
    fn every_error_has_its_code_and_path() {
        let good = |agents: Value| json!({ "login": "a", "phones": { "5": "1" }, "agents": agents });
        let rows = [
            (json!([1]), vec![("InvalidType", "")]),
            (json!({}), vec![("FieldMissing", "login"), ("FieldMissing", "phones")]),
            (
                json!({ "login": null, "phones": [] }),
                vec![("FieldMissing", "login"), ("InvalidType", "phones")],
            ),
            (json!({ "login": 5, "phones": {} }), vec![("InvalidType", "login"), ("TooFew", "phones")]),
            (
                json!({ "login": "", "phones": { "x": "1" } }),
                vec![("NotBlank", "login"), ("InvalidType", "phones.x")],
            ),
            (
                json!({ "login": "a", "key": true, "phones": { "5": 1 } }),
                vec![("InvalidType", "key"), ("InvalidType", "phones.5")],
            ),
            (good(json!("x")), vec![("InvalidType", "agents")]),
            (good(json!({ "5": "x" })), vec![("InvalidType", "agents.5")]),
            (
                good(json!({ "5": { "login": 1 } })),
                vec![("InvalidType", "agents.5.login"), ("FieldMissing", "agents.5.password")],
            ),
        ];
        for (sent, expected) in rows {
            let errors = settings(&template(), sent.to_string().as_bytes()).unwrap_err();
            let found: Vec<_> = errors.iter().map(|error| (error.code, error.path.as_str())).collect();
            assert_eq!(found, expected, "{sent}");
        }
        assert_eq!(settings(&template(), b"no json").unwrap_err()[0].code, "InvalidType");
    }

    #[test]
    fn valid_settings_are_kept_and_unknown_keys_dropped() {
        let mut sent = json!({ "login": "a", "key": "", "phones": { "5": "1" }, "conf": [1],
            "agents": { "7": { "login": "l", "password": "p" } } });
        let expected = sent.clone();
        sent["unknown"] = json!(1);
        assert_eq!(Value::Object(settings(&template(), sent.to_string().as_bytes()).unwrap()), expected);
        assert_eq!(settings(&template()[4..], b"").unwrap(), Map::new());
        assert_eq!(settings(&template()[4..], b"[]").unwrap(), Map::new());
    }
}
