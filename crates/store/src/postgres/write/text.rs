//! Texts that PostgreSQL can store.

use std::borrow::Cow;

/// Returns `text` without the character U+0000, which PostgreSQL cannot store: a mark of a lost character replaces it. Bind
/// every text this way that comes from elsewhere and is not JSON, such as an error.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_character_that_postgresql_refuses_is_replaced() {
        for (text, expected) in
            [("", ""), ("a\u{1}\u{fffd}ü\n", "a\u{1}\u{fffd}ü\n"), ("\0a\0", "\u{fffd}a\u{fffd}")]
        {
            assert_eq!(storable(text), expected);
        }
    }
}
