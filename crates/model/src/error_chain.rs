//! Formats an error as one line of text.

use std::error::Error;

/// Formats `error` and its sources, outermost first, separated by colons.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
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

    #[test]
    fn sources_follow_the_error_on_the_same_line() {
        let error = "x".parse::<u8>().unwrap_err();
        assert_eq!(error_chain(&error), "invalid digit found in string");
        assert_eq!(error_chain(&Outer(error)), "the limit is wrong: invalid digit found in string");
    }
}
