//! The bodies of Kommo's requests. Forms follow PHP's `http_build_query`: nested arrays become bracketed
//! keys, lists have the keys 0, 1, …, `true` is 1, `false` is 0; `null` and empty arrays are omitted.

use serde_json::{Value, json};

pub(super) const TYPE: &str = "application/x-www-form-urlencoded";

/// Whether the brackets of a key are percent-encoded. Kommo sends both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brackets {
    Encoded,
    Plain,
}

pub(super) fn nested(token: &str, data: &Value, return_url: &str, brackets: Brackets) -> String {
    let mut out = String::new();
    pair(&mut out, "token", token);
    flatten(&mut out, "data", data, brackets);
    pair(&mut out, "return_url", return_url);
    out
}

pub(super) fn with_json_data(token: &str, data: &Value, return_url: &str) -> String {
    let mut out = String::new();
    pair(&mut out, "token", token);
    if !data.is_null() {
        pair(&mut out, "data", &data.to_string());
    }
    pair(&mut out, "return_url", return_url);
    out
}

pub(super) fn json(token: &str, data: &Value, return_url: &str) -> String {
    let mut body = json!({ "token": token, "return_url": return_url });
    if !data.is_null() {
        body["data"] = data.clone();
    }
    body.to_string()
}

fn flatten(out: &mut String, key: &str, value: &Value, brackets: Brackets) {
    let step = |name: &str| match brackets {
        Brackets::Encoded => format!("{key}%5B{}%5D", encoded(name)),
        Brackets::Plain => format!("{key}[{}]", encoded(name)),
    };
    match value {
        Value::Null => {}
        Value::Bool(yes) => pair(out, key, if *yes { "1" } else { "0" }),
        Value::Number(number) => pair(out, key, &number.to_string()),
        Value::String(text) => pair(out, key, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(out, &step(&index.to_string()), item, brackets);
            }
        }
        Value::Object(entries) => {
            for (name, entry) in entries {
                flatten(out, &step(name), entry, brackets);
            }
        }
    }
}

/// Appends a pair; `key` is already encoded.
fn pair(out: &mut String, key: &str, value: &str) {
    if !out.is_empty() {
        out.push('&');
    }
    out.push_str(key);
    out.push('=');
    out.push_str(&encoded(value));
}

/// PHP's `urlencode`: escapes everything but letters, digits, `-`, `_` and `.`; a space becomes `+`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_written_as_php_does() {
        let rows = [
            (json!(null), ""),
            (json!("plain"), "&data=plain"),
            (json!({}), ""),
            (json!({"a": []}), ""),
            (json!({"a": null, "b": true, "c": false, "d": 1.5}), "&data[b]=1&data[c]=0&data[d]=1.5"),
            (json!({"lead": {"id": 31764961}}), "&data[lead][id]=31764961"),
            (json!({"a": ["x", ["y"]]}), "&data[a][0]=x&data[a][1][0]=y"),
            (json!({"m": "a b&c=d+[é]~"}), "&data[m]=a+b%26c%3Dd%2B%5B%C3%A9%5D%7E"),
            (json!({"k[0] x": ""}), "&data[k%5B0%5D+x]="),
        ];
        for (data, expected) in rows {
            let body = nested("t", &data, "http://h/", Brackets::Plain);
            assert_eq!(body, format!("token=t{expected}&return_url=http%3A%2F%2Fh%2F"), "{data}");
        }
    }

    #[test]
    fn brackets_can_be_percent_encoded() {
        let data = json!({"lead": {"id": 1}});
        let body = nested("t", &data, "u", Brackets::Encoded);
        assert_eq!(body, "token=t&data%5Blead%5D%5Bid%5D=1&return_url=u");
    }

    #[test]
    fn null_data_is_omitted() {
        assert_eq!(with_json_data("t", &json!(null), "u"), "token=t&return_url=u");
        assert_eq!(with_json_data("t", &json!({"a": 1}), "u"), "token=t&data=%7B%22a%22%3A1%7D&return_url=u");
        assert_eq!(json("t", &json!(null), "u"), r#"{"return_url":"u","token":"t"}"#);
        assert_eq!(json("t", &json!([1]), "u"), r#"{"data":[1],"return_url":"u","token":"t"}"#);
    }
}
