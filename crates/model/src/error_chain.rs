//! Formats an error as one line of text.
//!
//! The text of an error of this workspace contains its causes, and its [`source`](Error::source) is `None`, unless the
//! text leaves the cause out on purpose. So `{error}` is complete. This function is for errors of other crates and of
//! handlers, most of which leave their causes to the printer.

use std::error::Error;

/// Formats `error` and its sources, outermost first, separated by colons. Skips a source whose text the line already
/// contains: many errors both print their source and return it.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the limit is wrong")]
    struct Outer(#[source] std::num::ParseIntError);

    #[derive(Debug, thiserror::Error)]
    #[error("{0}, at line 7")]
    struct Repeating(#[from] std::num::ParseIntError);

    #[test]
    fn sources_follow_the_error_on_the_same_line() {
        let error = "x".parse::<u8>().unwrap_err();
        assert_eq!(error_chain(&error), "invalid digit found in string");
        assert_eq!(error_chain(&Outer(error)), "the limit is wrong: invalid digit found in string");
    }

    #[test]
    fn a_source_that_the_text_contains_is_printed_once() {
        let error = Repeating::from("x".parse::<u8>().unwrap_err());
        assert_eq!(error_chain(&error), "invalid digit found in string, at line 7");
    }
}
