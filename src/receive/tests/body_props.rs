//! Any nested strings survive a form in every bracket style, and the limits are exact.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::receive::body::{BodyError, MAX_DATA_DEPTH, MAX_FORM_FIELDS, RawRequest};

/// Any text that can be a key in a form: a bracket would end it, and an empty one means the next number.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any::<String>().prop_map(|text| text.replace(['[', ']'], "_")).prop_filter("empty", |text| !text.is_empty()),
        2 => "[0-9]{1,12}",
        1 => Just("lead".to_owned()),
    ]
}

fn strings() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![any::<String>(), Just(String::new()), Just("{{lead.id}}".to_owned())];
    leaf.prop_map(Value::String).prop_recursive(6, 60, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..5).prop_map(Value::Array),
            prop::collection::btree_map(key(), inner, 1..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Converts like PHP: an object whose keys count from 0 is a list.
fn as_php_list(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut map: Map<String, Value> =
                map.into_iter().map(|(key, value)| (key, as_php_list(value))).collect();
            if (0..map.len()).all(|index| map.contains_key(&index.to_string())) {
                let items = (0..map.len()).filter_map(|index| map.remove(&index.to_string()));
                Value::Array(items.collect())
            } else {
                Value::Object(map)
            }
        }
        Value::Array(items) => Value::Array(items.into_iter().map(as_php_list).collect()),
        leaf => leaf,
    }
}

#[derive(Clone, Copy, Debug)]
struct Style {
    escaped_brackets: bool,
    lowercase: bool,
    numbered: bool,
}

impl Style {
    fn bracketed(self, key: &str) -> String {
        let key = escaped(key);
        match (self.escaped_brackets, self.lowercase) {
            (false, _) => format!("[{key}]"),
            (true, false) => format!("%5B{key}%5D"),
            (true, true) => format!("%5b{key}%5d"),
        }
    }

    fn fields(self, prefix: &str, value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                map.iter().for_each(|(key, inner)| {
                    self.fields(&(prefix.to_owned() + &self.bracketed(key)), inner, out)
                });
            }
            Value::Array(items) => {
                for (index, inner) in items.iter().enumerate() {
                    // `[]` creates a new entry each time, so only a leaf can be below it.
                    let number =
                        if self.numbered || !inner.is_string() { index.to_string() } else { String::new() };
                    self.fields(&(prefix.to_owned() + &self.bracketed(&number)), inner, out);
                }
            }
            leaf => out.push(format!("{prefix}={}", escaped(leaf.as_str().unwrap_or_default()))),
        }
    }
}

fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn style() -> impl Strategy<Value = Style> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(escaped_brackets, lowercase, numbered)| Style {
        escaped_brackets,
        lowercase,
        numbered,
    })
}

fn data_of(body: &str) -> Result<Value, BodyError> {
    RawRequest::parse(body.as_bytes()).map(|request| request.data)
}

proptest! {
    #[test]
    fn nested_strings_survive_a_form(
        data in prop::collection::btree_map(key(), strings(), 1..5),
        style in style(),
    ) {
        let data = Value::Object(data.into_iter().collect());
        let mut fields = vec!["token=t".to_owned(), "return_url=r".to_owned()];
        style.fields("data", &data, &mut fields);
        prop_assume!(fields.len() <= MAX_FORM_FIELDS);
        prop_assert_eq!(data_of(&fields.join("&")), Ok(as_php_list(data)));
    }

    #[test]
    fn depth_is_limited_exactly(depth in 1..80_usize, escaped_brackets: bool) {
        let expected = depth <= MAX_DATA_DEPTH;
        let (open, close) = if escaped_brackets { ("%5B", "%5D") } else { ("[", "]") };
        let form = format!("return_url=r&data{}=x", format!("{open}a{close}").repeat(depth));
        let json = format!(r#"{{"return_url":"r","data":{}1{}}}"#, r#"{"a":"#.repeat(depth), "}".repeat(depth));
        let text = format!("return_url=r&data={}", escaped(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))));
        for body in [form, json, text] {
            prop_assert_eq!(data_of(&body).is_ok(), expected, "{}", body);
        }
    }

    #[test]
    fn the_number_of_fields_is_limited_exactly(count in MAX_FORM_FIELDS - 5..MAX_FORM_FIELDS + 5, empty in 0..5_usize) {
        let body = format!("return_url=r{}{}", "&".repeat(empty), "&data[]=x".repeat(count - 1));
        let expected = if count <= MAX_FORM_FIELDS { Ok(json!(vec!["x"; count - 1])) } else { Err(BodyError::TooManyFields) };
        prop_assert_eq!(data_of(&body), expected);
    }

    #[test]
    fn body_properties_hold_for_any_input(body in "\\PC{0,60}", bytes: Vec<u8>, shape in "[data\\[\\]=&%0-9+{}\":,\n ]{0,120}") {
        for input in [body.as_bytes(), &bytes, shape.as_bytes(), format!("return_url=r&{shape}").as_bytes()] {
            crate::receive::fuzzing::body(input);
        }
    }
}
