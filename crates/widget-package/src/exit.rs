//! An exit of the block: the connector that the bot takes for a `status` in the handler's completion.

use std::str::FromStr;

/// The exit for a handler's [`Completion::success`](model::Completion::success).
pub(super) const SUCCESS: &str = "success";
/// The exit for a message that was joined into a later one, which the bridge answers instead. It is meant to stay
/// unconnected, so that the bot of the earlier message ends without a message. Every package has it: without it, joined
/// messages would leave by [`FAIL`], and the customer would get that text for each of them.
pub(super) const SUPERSEDED: &str = "superseded";
/// The exit for every status that has no exit of its own.
pub(super) const FAIL: &str = "fail";

/// The maximum length of a code, in bytes.
const MAX_CODE: usize = 32;
/// The maximum length of a title, in characters.
const MAX_TITLE: usize = 60;

/// An exit, written like `silent=Nothing to say`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    code: String,
    title: Option<String>,
}

impl Exit {
    /// The exits of every block, `success`, `superseded` and `fail`, with translated titles.
    pub(super) fn standard() -> [Self; 3] {
        [SUCCESS, SUPERSEDED, FAIL].map(|code| Self { code: code.to_owned(), title: None })
    }

    /// The `status` for which the bot takes this exit.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The title that the bot designer shows in every language; `None` if the title is translated.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }
}

impl FromStr for Exit {
    type Err = ExitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (code, title) = text.split_once('=').ok_or(ExitError::NoTitle)?;
        let mut bytes = code.bytes();
        let is_code = code.len() <= MAX_CODE
            && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
            && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        let title = title.trim();
        let is_title =
            !title.is_empty() && title.chars().count() <= MAX_TITLE && !title.chars().any(char::is_control);
        match (is_code, is_title) {
            (true, true) => Ok(Self { code: code.to_owned(), title: Some(title.to_owned()) }),
            (false, _) => Err(ExitError::Code),
            (true, false) => Err(ExitError::Title),
        }
    }
}

/// Why a text is not an [`Exit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExitError {
    /// There is no `=`.
    #[error("has no title: write it as CODE=TITLE, like silent=Nothing to say")]
    NoTitle,
    /// The code is invalid.
    #[error("has an invalid code: use a lowercase letter, then up to 31 lowercase letters, digits or `_`")]
    Code,
    /// The title is invalid.
    #[error("has an invalid title: use 1 to {MAX_TITLE} characters on one line")]
    Title,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_has_a_code_and_a_title() {
        let exit: Exit = "silent_2= Nothing = said ".parse().unwrap();
        assert_eq!((exit.code(), exit.title()), ("silent_2", Some("Nothing = said")));
        for (text, error) in [
            ("silent", ExitError::NoTitle),
            ("=Title", ExitError::Code),
            ("Silent=Title", ExitError::Code),
            ("a-b=Title", ExitError::Code),
            ("{{x}}=Title", ExitError::Code),
            (&format!("{}=Title", "x".repeat(33)), ExitError::Code),
            ("silent= ", ExitError::Title),
            ("silent=two\nlines", ExitError::Title),
            (&format!("silent={}", "x".repeat(61)), ExitError::Title),
        ] {
            assert_eq!(text.parse::<Exit>(), Err(error), "{text}");
        }
    }
}
