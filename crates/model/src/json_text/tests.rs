//! JSON that is repaired, and JSON that is left unchanged.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn read(text: &[u8]) -> Value {
    let text = repaired(text);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn half_characters_become_replacement_characters() {
    for (text, expected) in [
        (&br#""\ud83d""#[..], json!("\u{fffd}")),
        (br#""Hi \ud83d!""#, json!("Hi \u{fffd}!")),
        (br#""\ude00""#, json!("\u{fffd}")),
        (br#""\ude00\ud83d""#, json!("\u{fffd}\u{fffd}")),
        (br#""\ud83d\ud83d\ude00""#, json!("\u{fffd}\u{1f600}")),
        (br#""\uD83D\uDE00""#, json!("\u{1f600}")),
        (br#""\ud83d\n""#, json!("\u{fffd}\n")),
        (br#""\\ud83d""#, json!("\\ud83d")),
        (br#""\\\ud83d""#, json!("\\\u{fffd}")),
        (br#"{"\ud83d":["\"","\ud83d"]}"#, json!({"\u{fffd}": ["\"", "\u{fffd}"]})),
        (b"\"Hi \xf0\x9f\x98\"", json!("Hi \u{fffd}")),
        (b"\"\xed\xa0\xbd\"", json!("\u{fffd}\u{fffd}\u{fffd}")),
        (b"\xef\xbb\xbf\r\n \"x\"\n", json!("x")),
    ] {
        assert_eq!(read(text), expected, "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn inexact_numbers_become_strings_of_their_digits() {
    for exact in [
        "0",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
        "1.5",
        "-0.0",
        "1.10",
        "0.30000000000000004",
        "1e3",
        "1E+3",
        "100e-2",
        "123456789.125",
        "5e-324",
        "0e999999999999",
        // Two texts with the same number of digits are as close to this float; serde_json writes this one.
        "1631353588945938.2",
    ] {
        assert_eq!(repaired(exact.as_bytes()), exact);
    }
    for inexact in [
        "18446744073709551616",
        "-9223372036854775809",
        "123456789012345678901234567890",
        "12345678901234567.89",
        "1631353588945938.3",
        "0.1234567890123456789",
        "1e400",
        "-1e-400",
        "1e99999999999999999999",
    ] {
        assert_eq!(read(inexact.as_bytes()), json!(inexact));
        let nested = format!(r#"{{"a":[{inexact},{{"b":{inexact}}}],"c":"{inexact}"}}"#);
        assert_eq!(read(nested.as_bytes()), json!({"a": [inexact, {"b": inexact}], "c": inexact}));
    }
}

#[test]
fn invalid_json_is_left_to_the_parser() {
    for text in [
        "",
        "{",
        "\"",
        "\"\\",
        "\"\\u",
        "\"\\ud83d",
        "\"\\ud8",
        "-",
        "1.",
        "01",
        "00000000000000000000001",
        "--1",
        "1e",
        "\"\\é\"",
    ] {
        assert!(serde_json::from_str::<Value>(&repaired(text.as_bytes())).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn repair_is_idempotent(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let once = repaired(&bytes).into_owned();
        let twice = repaired(once.as_bytes()).into_owned();
        prop_assert_eq!(twice.trim_ascii(), once.trim_ascii());
    }

    #[test]
    fn pieces_of_json_are_repaired_without_a_panic(pieces in prop::collection::vec(
        prop_oneof![Just("\""), Just("\\"), Just("\\ud83d"), Just("\\ude00"), Just("é"), Just("-"), Just("12345678901234567890123"), Just("1.5e9"), Just("{"), Just("[,]")], 0..12)) {
        let text = pieces.concat();
        let _ = repaired(text.as_bytes());
    }

    #[test]
    fn valid_json_is_not_changed(text in any::<String>(), whole: i64, fraction in prop::num::f64::NORMAL) {
        let good = json!({"text": text, "list": [whole, fraction, null, true]}).to_string();
        prop_assert_eq!(repaired(good.as_bytes()), good.as_str());
    }
}
