//! Kommo's limits on a completion, and the error that names the one that was broken.
//!
//! If one of them is broken, Kommo refuses the whole call with a 400 and the bot hangs; so the bridge
//! refuses first, where the author still sees it.

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
    #[error("data key `{key}`: {why}")]
    Value {
        /// The key given to `Completion::data`.
        key: String,
        /// What the serialiser said.
        why: String,
    },
    /// JSON that is no completion: another handler than `show` and `goto`, a `goto` without `step`, ….
    #[error("this is no completion: {0}")]
    Shape(String),
}
