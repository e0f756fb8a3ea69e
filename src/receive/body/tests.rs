//! Bodies in all accepted formats, and refused ones.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn data_of(body: &str) -> Value {
    RawRequest::parse(body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}")).data
}

fn form(data: &str) -> String {
    format!("token=t&{data}&return_url=r")
}

#[test]
fn json_and_form_yield_the_same() {
    let expected = RawRequest {
        token: "a.b.c".to_owned(),
        return_url: "https://x.kommo.com/api/v4/salesbot/1/continue/2".to_owned(),
        data: json!({"message": "Grüße & +1", "lead": {"id": "31764961"}}),
    };
    for body in [
        r#"{"token":"a.b.c","data":{"message":"Grüße & +1","lead":{"id":"31764961"}},"return_url":"https://x.kommo.com/api/v4/salesbot/1/continue/2","more":1}"#,
        "\u{feff}\r\n {\"return_url\":\"https://x.kommo.com/api/v4/salesbot/1/continue/2\",\"token\":\"a.b.c\",\"data\":{\"lead\":{\"id\":\"31764961\"},\"message\":\"Grüße & +1\"}}\n",
        "token=a.b.c&data[message]=Gr%C3%BC%c3%9fe+%26+%2B1&data[lead][id]=31764961&return_url=https://x.kommo.com/api/v4/salesbot/1/continue/2",
        "\u{feff}token=a.b.c&data%5Bmessage%5D=Grüße%20%26%20%2B1&data%5blead%5d%5bid%5d=31764961&return_url=https%3A%2F%2Fx.kommo.com%2Fapi%2Fv4%2Fsalesbot%2F1%2Fcontinue%2F2&more[x]=1",
        "return_url=https://x.kommo.com/api/v4/salesbot/1/continue/2&&token=a.b.c&data=%7B%22message%22%3A%22Gr%C3%BC%C3%9Fe+%26+%2B1%22%2C%22lead%22%3A%7B%22id%22%3A%2231764961%22%7D%7D",
    ] {
        assert_eq!(RawRequest::parse(body.as_bytes()), Ok(expected.clone()), "{body}");
    }
}

#[test]
fn forms_are_parsed_as_php_writes_them() {
    for (fields, expected) in [
        ("x=1", json!(null)),
        ("data=", json!("")),
        ("data", json!("")),
        ("data=hello", json!("hello")),
        ("data={{lead.id}}", json!("{{lead.id}}")),
        ("data[id]={{lead.id}}&data[empty]=", json!({"id": "{{lead.id}}", "empty": ""})),
        ("data=[1,{\"a\":null}]", json!([1, {"a": null}])),
        ("data=12", json!("12")),
        ("data={\"a\":1", json!("{\"a\":1")),
        ("data[a][0]=x&data[a][1]=y", json!({"a": ["x", "y"]})),
        ("data[a][1]=y&data[a][0]=x", json!({"a": ["x", "y"]})),
        ("data[]=x&data[]=y", json!(["x", "y"])),
        ("data[a][][b]=1&data[a][][b]=2", json!({"a": [{"b": "1"}, {"b": "2"}]})),
        ("data[a][1]=x", json!({"a": {"1": "x"}})),
        ("data[a][0]=x&data[a][k]=y", json!({"a": {"0": "x", "k": "y"}})),
        ("data[00]=x", json!({"00": "x"})),
        ("data[99999999]=x&data[]=y", json!({"99999999": "x", "100000000": "y"})),
        ("data[99999999999999999999]=x", json!({"99999999999999999999": "x"})),
        ("data[-1]=x", json!({"-1": "x"})),
        ("data[a]=1&data[a]=2", json!({"a": "2"})),
        ("data[a]=1&data[a][b]=2", json!({"a": {"b": "2"}})),
        ("data[a][b]=2&data[a]=1", json!({"a": "1"})),
        ("data=1&data[a]=2", json!({"a": "2"})),
        ("data[a]b=1", json!({"a": "1"})),
        ("data[a=1", json!("1")),
        ("data[a]=%zz%", json!({"a": "%zz%"})),
        ("data[a]=%4", json!({"a": "%4"})),
        ("data[a]=b=c", json!({"a": "b=c"})),
        ("data[ä]=%00", json!({"ä": "\0"})),
        ("database[a]=1", json!(null)),
    ] {
        assert_eq!(data_of(&form(fields)), expected, "{fields}");
    }
}

#[test]
fn json_data_is_unchanged() {
    for data in ["null", "\"{\"", "\"12\"", "[1]", "1.5", "{\"a\":{\"b\":[true]}}", "{\"a\":\"{}\"}"] {
        let body = format!(r#"{{"token":"t","return_url":"r","data":{data}}}"#);
        assert_eq!(data_of(&body), serde_json::from_str::<Value>(data).unwrap());
    }
    assert_eq!(data_of(r#"{"token":"t","return_url":"r"}"#), Value::Null);
    assert_eq!(data_of(r#"{"token":"t","return_url":"r","data":1,"data":2}"#), json!(2));
}

#[test]
fn a_json_string_of_json_becomes_that_json() {
    for (data, expected) in [
        (r#""{\"a\": 1}""#, json!({"a": 1})),
        (r#"" [1, {\"a\": null}]""#, json!([1, {"a": null}])),
        (r#""{\"m\":\"\\ud83d\"}""#, json!({"m": "\u{fffd}"})),
        (r#""{\"id\":123456789012345678901}""#, json!({"id": "123456789012345678901"})),
        (r#""{\"a\": 1""#, json!("{\"a\": 1")),
        (r#""{{lead.id}}""#, json!("{{lead.id}}")),
    ] {
        let body = format!(r#"{{"token":"t","return_url":"r","data":{data}}}"#);
        assert_eq!(data_of(&body), expected, "{data}");
    }
    let lists = format!(r#"{{"token":"t","return_url":"r","data":"{}{}"}}"#, "[".repeat(33), "]".repeat(33));
    assert_eq!(RawRequest::parse(lists.as_bytes()), Err(BodyError::TooDeep));
}

#[test]
fn json_truncated_within_a_character_keeps_the_rest() {
    for body in [
        &br#"{"token":"t","return_url":"r","data":{"m":"Hi \ud83d","n":"1"}}"#[..],
        b"{\"token\":\"t\",\"return_url\":\"r\",\"data\":{\"m\":\"Hi \xf0\x9f\x98\",\"n\":\"1\"}}",
        b"token=t&return_url=r&data[m]=Hi+\xf0\x9f\x98&data[n]=1",
    ] {
        let request = RawRequest::parse(body).unwrap();
        assert_eq!(request.data, json!({"m": "Hi \u{fffd}", "n": "1"}), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn numbers_keep_every_digit() {
    let body = r#"{"token":"t","return_url":"r","data":{"max":18446744073709551615,"big":18446744073709551616,
                   "small":-9223372036854775809,"sum":0.30000000000000004,"long":1.00000000000000000001,"huge":1e400}}"#;
    let digits = json!({"max": u64::MAX, "big": "18446744073709551616", "small": "-9223372036854775809",
                        "sum": 0.30000000000000004, "long": "1.00000000000000000001", "huge": "1e400"});
    assert_eq!(data_of(body), digits);
    assert!(data_of(body).to_string().contains("0.30000000000000004"));
}

#[test]
fn refusals_say_what_is_wrong() {
    let many = |count| vec!["data[]=1"; count].join("&");
    let nested = |depth| format!("data{}=1", "[a]".repeat(depth));
    let lists = |depth| format!("data={}{}", "[".repeat(depth), "]".repeat(depth));
    let json_lists = |depth| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"token":"t","return_url":"r","data":{open}{close}}}"#)
    };
    for (body, expected) in [
        (String::new(), Err(BodyError::Missing("return_url"))),
        ("[1]".to_owned(), Err(BodyError::Missing("return_url"))),
        ("{}".to_owned(), Err(BodyError::Missing("return_url"))),
        (r#"{"token":"t","return_url":null}"#.to_owned(), Err(BodyError::Missing("return_url"))),
        (r#"{"token":1,"return_url":"r"}"#.to_owned(), Err(BodyError::NoString("token"))),
        (r#"{"token":"t","return_url":["r"]}"#.to_owned(), Err(BodyError::NoString("return_url"))),
        ("token[]=t&return_url=r".to_owned(), Err(BodyError::NoString("token"))),
        ("token=t&return_url[a]=r".to_owned(), Err(BodyError::NoString("return_url"))),
        ("{\"token\":\n tru}".to_owned(), Err(BodyError::Json { line: 2, column: 5 })),
        (r#"{"token":"t"} x"#.to_owned(), Err(BodyError::Json { line: 1, column: 15 })),
        (form("data[%ff]=a"), Err(BodyError::Utf8)),
        (form("token=%ff"), Err(BodyError::Utf8)),
        (form(&many(998)), Ok(())),
        (form(&many(999)), Err(BodyError::TooManyFields)),
        (form(&nested(32)), Ok(())),
        (form(&nested(33)), Err(BodyError::TooDeep)),
        (form(&lists(32)), Ok(())),
        (form(&lists(33)), Err(BodyError::TooDeep)),
        (json_lists(32), Ok(())),
        (json_lists(33), Err(BodyError::TooDeep)),
        ("return_url=r".to_owned(), Ok(())),
    ] {
        assert_eq!(RawRequest::parse(body.as_bytes()).map(drop), expected, "{body:.80}");
    }
    assert_eq!(RawRequest::parse(b"token=\xff&return_url=r"), Err(BodyError::Utf8));
}

#[test]
fn a_message_truncated_within_a_character_keeps_the_rest() {
    let request = RawRequest::parse(b"token=t&return_url=r&data[m]=Hi+%F0%9F%98&data[n]=1").unwrap();
    assert_eq!(request.data, serde_json::json!({"m": "Hi \u{fffd}", "n": "1"}));
}

#[test]
fn a_body_full_of_brackets_is_cheap_to_parse() {
    let deep = format!("data{}=1", "[a]".repeat(80_000));
    assert_eq!(RawRequest::parse(form(&deep).as_bytes()), Err(BodyError::TooDeep));
    let wide = vec!["a"; 120_000].join("&");
    assert_eq!(RawRequest::parse(wide.as_bytes()), Err(BodyError::TooManyFields));
    let json = format!(r#"{{"data":{}"#, "[".repeat(200_000));
    assert!(matches!(RawRequest::parse(json.as_bytes()), Err(BodyError::Json { .. })));
}

/// Objects and arrays that a form can express: leaves are strings, no level is empty, no key is a number.
fn tree() -> impl Strategy<Value = Value> {
    let leaf = any::<String>().prop_map(Value::String);
    let inner = leaf.prop_recursive(6, 60, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..5).prop_map(Value::Array),
            prop::collection::btree_map("[^\\[\\]0-9]{1,8}", inner, 1..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    prop::collection::btree_map("[a-zäß%+& =]{1,8}", inner, 1..5)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn to_form(prefix: &str, value: &Value, encode: &impl Fn(&str) -> String, out: &mut String) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let key = url::form_urlencoded::byte_serialize(key.as_bytes()).collect::<String>();
                to_form(&format!("{prefix}{}{key}{}", encode("["), encode("]")), inner, encode, out);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                to_form(&format!("{prefix}{}{index}{}", encode("["), encode("]")), inner, encode, out);
            }
        }
        leaf => {
            let text = leaf.as_str().unwrap_or_default();
            let text = url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            out.push_str(&format!("&{prefix}={text}"));
        }
    }
}

proptest! {
    #[test]
    fn never_panics_on_bytes(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = RawRequest::parse(&body);
    }

    #[test]
    fn never_panics_on_form_like_text(body in "[data\\[\\]=&%0-9+{}\":,]{0,200}") {
        let _ = RawRequest::parse(body.as_bytes());
    }

    #[test]
    fn nested_data_survives_a_form(data in tree(), encoded: bool) {
        let encode = |bracket: &str| match bracket {
            "[" if encoded => "%5B".to_owned(),
            "]" if encoded => "%5D".to_owned(),
            other => other.to_owned(),
        };
        let mut body = "token=t&return_url=r".to_owned();
        to_form("data", &data, &encode, &mut body);
        prop_assert_eq!(RawRequest::parse(body.as_bytes()).unwrap().data, data);
    }

    #[test]
    fn nested_data_survives_json(data in tree()) {
        let body = json!({"token": "t", "return_url": "r", "data": data}).to_string();
        prop_assert_eq!(RawRequest::parse(body.as_bytes()).unwrap().data, data);
    }
}
