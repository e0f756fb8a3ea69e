//! Kommo's limits on a completion, and the error that names the broken limit.
//!
//! If a completion breaks a limit, Kommo refuses the whole call with a 400 and the bot hangs. So the bridge refuses it
//! first, where the author sees the error.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The maximum number of entries in `execute_handlers`.
pub(super) const MAX_HANDLERS: usize = 10;
/// The maximum length of a `show` value, in UTF-16 units.
pub(super) const MAX_SHOW_UNITS: usize = 80;
/// The maximum number of buttons of one `show`.
pub(super) const MAX_BUTTONS: usize = 25;
/// The maximum depth of data. This limit is ours, not Kommo's: stored data must be readable, and JSON parsers stop at 128.
pub(super) const MAX_DEPTH: usize = 64;
/// The maximum size of a completion as JSON, in bytes. This limit is ours, not Kommo's: each completion is stored, and is
/// in memory until it is sent.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// The reason why a completion is refused. The text names the limit and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompletionError {
    /// More than 10 handlers.
    #[error("{found} handlers in execute_handlers: Kommo accepts at most 10")]
    TooManyHandlers {
        /// The number found.
        found: usize,
    },
    /// A `show` of more than 80 UTF-16 units.
    #[error(
        "execute_handlers[{index}]: show is {found} UTF-16 units long: Kommo accepts at most 80; put long text into data and print it as {{{{json.KEY}}}}"
    )]
    ShowTooLong {
        /// The position in `execute_handlers`, from 0.
        index: usize,
        /// The length, in UTF-16 units.
        found: usize,
    },
    /// More than 25 buttons.
    #[error("execute_handlers[{index}]: {found} buttons: Kommo accepts at most 25")]
    TooManyButtons {
        /// The position in `execute_handlers`, from 0.
        index: usize,
        /// The number found.
        found: usize,
    },
    /// A `show` of type `buttons` or `buttons_url` without a button.
    #[error("execute_handlers[{index}]: a show with buttons needs at least one button")]
    NoButtons {
        /// The position in `execute_handlers`, from 0.
        index: usize,
    },
    /// `execute_handlers: []`.
    #[error("execute_handlers is empty: Kommo would answer TooFew and the bot would hang; omit the key")]
    EmptyHandlers,
    /// Data that is neither an object nor an array.
    #[error("data is {found}: Kommo accepts an object or an array")]
    Data {
        /// The kind of value found: `a string`, `null`, …
        found: &'static str,
    },
    /// Data that is nested more than 64 levels deep.
    #[error("data is nested more than 64 levels deep: use a flatter structure")]
    TooDeep,
    /// More than 1 MiB as JSON.
    #[error("the completion has {found} bytes as JSON: the bridge sends at most 1 MiB")]
    TooLarge {
        /// The size, in bytes.
        found: usize,
    },
    /// A value that JSON cannot express.
    #[error("data key `{key}`: {error}")]
    Value {
        /// The key given to `Completion::data`.
        key: String,
        /// The serializer's error.
        error: JsonError,
    },
    /// JSON that is not a completion: a handler other than `show` and `goto`, a `goto` without `step`, …
    #[error("not a completion: {0}")]
    Shape(JsonError),
}

/// A JSON error that can be cloned and compared. Two errors are equal if their texts are.
///
/// The text of a [`CompletionError`] includes it, so it is not its `source`: a chain of causes would repeat it.
#[derive(Clone, Debug)]
pub struct JsonError(Arc<serde_json::Error>);

impl JsonError {
    /// The error of `serde_json`.
    pub fn as_serde(&self) -> &serde_json::Error {
        &self.0
    }
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for JsonError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl PartialEq for JsonError {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_string() == other.0.to_string()
    }
}

impl Eq for JsonError {}
