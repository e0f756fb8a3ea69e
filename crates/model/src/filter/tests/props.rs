//! Random filters.

use super::*;

fn conditions() -> impl Strategy<Value = String> {
    let word = "[ -~äß]{0,12}";
    prop_oneof![
        word.prop_map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))),
        "[a-z0-9:\"\\\\,.-]{1,12}",
        (0..FilterKey::ALL.len(), word)
            .prop_map(|(key, value)| { format!("{}:{value}", FilterKey::ALL[key]) }),
        (0..FilterKey::ALL.len()).prop_map(|key| {
            let key = FilterKey::ALL[key];
            format!("{key}:{}", error::example(key))
        }),
    ]
}

proptest! {
    /// A filter that is written out and parsed again is the same, so that it can be kept and repeated.
    #[test]
    fn a_filter_is_written_as_it_is_parsed(words in prop::collection::vec((any::<bool>(), conditions()), 0..5)) {
        let negate = |(negated, word): (bool, String)| format!("{}{word}", if negated { "-" } else { "" });
        let text = words.into_iter().map(negate).collect::<Vec<_>>().join(" ");
        if let Ok(filter) = parse(&text) {
            let written = filter.to_string();
            prop_assert_eq!(parse(&written), Ok(filter), "{}", written);
        }
    }

    /// Any text is a filter or is refused at a position within it.
    #[test]
    fn any_text_is_parsed_or_refused(text in ".{0,60}") {
        if let Err(error) = parse(&text) {
            prop_assert!((1..=text.chars().count() + 1).contains(&error.position), "{error}");
        }
    }
}
