//! Words in sentences.

use std::borrow::Cow;

use maud::{Markup, html};

/// The text with a capital letter at its beginning.
pub(in crate::admin::pages) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), letters.as_str()))
}

/// The first `max` characters of a text. A final `…` shows that the text was longer.
pub(in crate::admin::pages) fn cut(text: &str, max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max) {
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or(text))),
        None => Cow::Borrowed(text),
    }
}

/// A text whose code is between backticks.
pub(in crate::admin::pages) fn with_code(text: &str) -> Markup {
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_letter_changes() {
        for (text, expected) in [("", ""), ("the disk", "The disk"), ("Émile", "Émile"), ("ß", "SS")] {
            assert_eq!(capital(text), expected);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        for (text, expected) in [("", ""), ("ééé", "ééé"), ("éééé", "ééé…"), ("abcdef", "abc…")]
        {
            assert_eq!(cut(text, 3), expected);
        }
    }

    #[test]
    fn code_is_between_backticks_and_everything_is_escaped() {
        for (text, expected) in [
            ("plain <b>", "plain &lt;b&gt;"),
            ("see `<id>`.", "see <code>&lt;id&gt;</code>."),
            ("`a` and `b`", "<code>a</code> and <code>b</code>"),
            ("", ""),
        ] {
            assert_eq!(with_code(text).into_string(), expected);
        }
    }
}
