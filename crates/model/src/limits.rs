//! Kommo's limits on a completion, and the error that names the one that was broken.
//!
//! If one of them is broken, Kommo refuses the whole call with a 400 and the bot hangs; so the bridge
//! refuses first, where the author still sees it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The most entries of `execute_handlers`.
pub(super) const MAX_HANDLERS: usize = 10;
/// The longest `show` value, in UTF-16 units.
pub(super) const MAX_SHOW_UNITS: usize = 80;
/// The most buttons of one `show`.
pub(super) const MAX_BUTTONS: usize = 25;
/// The deepest nesting of data. Ours, not Kommo's: what is stored must be readable, and readers stop at 128.
pub(super) const MAX_DEPTH: usize = 64;
/// The largest completion as JSON, in bytes. Ours, not Kommo's: each one is stored, and held in memory until it is sent.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// A completion that Kommo would refuse. The text names the limit and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompletionError {
    /// More than 10 handlers.
    #[error("{found} handlers in execute_handlers: Kommo takes at most 10")]
    TooManyHandlers {
        /// How many there are.
        found: usize,
    },
    /// A `show` of more than 80 UTF-16 units.
    #[error(
        "execute_handlers[{index}]: show is {found} UTF-16 units long: Kommo takes at most 80; put long text into data and print it as {{{{json.KEY}}}}"
    )]
    ShowTooLong {
        /// Which handler, from 0.
        index: usize,
        /// Its length.
        found: usize,
    },
    /// More than 25 buttons.
    #[error("execute_handlers[{index}]: {found} buttons: Kommo takes at most 25")]
    TooManyButtons {
        /// Which handler, from 0.
        index: usize,
        /// How many there are.
        found: usize,
    },
    /// `show` of type `buttons` or `buttons_url` without a button.
    #[error("execute_handlers[{index}]: a show with buttons needs at least one button")]
    NoButtons {
        /// Which handler, from 0.
        index: usize,
    },
    /// `execute_handlers: []`.
    #[error("execute_handlers is empty: Kommo answers TooFew and the bot hangs; leave the key out")]
    EmptyHandlers,
    /// Data that is neither object nor array.
    #[error("data is {found}: Kommo takes an object or an array")]
    Data {
        /// What it is: `a string`, `null`, …
        found: &'static str,
    },
    /// Data that is nested more than 64 levels deep.
    #[error("data is nested more than 64 levels deep")]
    TooDeep,
    /// More than 1 MiB as JSON.
    #[error("the completion is {found} bytes long as JSON: at most 1 MiB is sent to a bot")]
    TooLarge {
        /// How long it is.
        found: usize,
    },
    /// A value that JSON cannot carry.
    #[error("data key `{key}`: {error}")]
    Value {
        /// The key given to `Completion::data`.
        key: String,
        /// What the serializer reports.
        error: JsonError,
    },
    /// JSON that is not a completion: a handler other than `show` and `goto`, a `goto` without `step`, ….
    #[error("this is no completion: {0}")]
    Shape(JsonError),
}

/// An error of JSON that can be cloned and compared. Two are equal if their texts are.
///
/// The text of a [`CompletionError`] includes it, so it is not its `source`: a chain of causes would repeat it.
#[derive(Clone, Debug)]
pub struct JsonError(Arc<serde_json::Error>);

impl JsonError {
    /// What `serde_json` reports.
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
