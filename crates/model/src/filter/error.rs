//! The errors of the filter language. Each says where, what is wrong and what is allowed.

use super::FilterKey;
use super::parse::{MAX_CHARS, MAX_CLAUSES};
use super::{JobTrait, WaitingFor};
use crate::{HandlerNameError, JobPrefixError, ReturnUrlError, UnknownOutcome, UnknownState};

/// Why a text is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {problem}")]
pub struct FilterError {
    /// The position of the word or value, in characters from 1.
    pub position: usize,
    /// What is wrong with it.
    #[source]
    pub problem: FilterProblem,
}

/// What is wrong with a word of a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterProblem {
    /// The key is unknown.
    #[error(
        "unknown key `{0}` (expected one of: {keys}); to search for it as text, write it in double quotes",
        keys = list(FilterKey::ALL.iter().map(|key| key.as_str()))
    )]
    UnknownKey(String),
    /// There is no value behind the colon, or between two commas.
    #[error("`{0}` needs a value, like `{0}:{example}`", example = example(*.0))]
    NoValue(FilterKey),
    /// A quotation mark is not closed.
    #[error("the double quotes are not closed (write \\\" for a quotation mark inside)")]
    Unclosed,
    /// Something follows directly after a closing quotation mark.
    #[error("expected a space or a comma after the closing double quotes")]
    AfterQuotes,
    /// The key takes one value.
    #[error("`{0}` takes one value")]
    OneValue(FilterKey),
    /// The key cannot be negated.
    #[error("`{0}` cannot be negated: write `{instead}`", instead = opposite(*.0))]
    NotNegatable(FilterKey),
    /// The state is unknown.
    #[error(transparent)]
    State(#[from] UnknownState),
    /// The name cannot be that of a handler.
    #[error(transparent)]
    Handler(#[from] HandlerNameError),
    /// The outcome is unknown.
    #[error(transparent)]
    Outcome(#[from] UnknownOutcome),
    /// The value is not an id.
    #[error(transparent)]
    Id(#[from] JobPrefixError),
    /// The value is not a `return_url`.
    #[error(transparent)]
    ReturnUrl(#[from] ReturnUrlError),
    /// The name of the account is unknown.
    #[error(
        "unknown account `{0}` (expected the number of an account, its host like `example.kommo.com`, or the NAME of \
         accounts.NAME in the configuration)"
    )]
    Account(String),
    /// What jobs can wait for is a closed list.
    #[error(
        "unknown reason to wait `{0}` (expected one of: {values})",
        values = list(WaitingFor::ALL.iter().map(|value| value.as_str()))
    )]
    Waiting(String),
    /// The properties of jobs are a closed list.
    #[error(
        "unknown property `{0}` (expected one of: {values})",
        values = list(JobTrait::ALL.iter().map(|value| value.as_str()))
    )]
    Is(String),
    /// The value has the wrong form.
    #[error("`{key}` cannot be `{value}` (expected {expected})")]
    Value {
        /// The key.
        key: FilterKey,
        /// The value.
        value: String,
        /// What the key takes.
        expected: &'static str,
    },
    /// The filter is too long.
    #[error("the filter is too long (expected at most {MAX_CHARS} characters and {MAX_CLAUSES} conditions)")]
    TooLong,
}

fn list(names: impl Iterator<Item = &'static str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// A value that the key takes.
pub const fn example(key: FilterKey) -> &'static str {
    match key {
        FilterKey::State => "dead",
        FilterKey::Handler => "greet",
        FilterKey::Account => "example.kommo.com",
        FilterKey::Lead | FilterKey::Contact | FilterKey::Customer => "31764961",
        FilterKey::Bot => "123",
        FilterKey::Conversation => "31000001:lead:345",
        FilterKey::Id => "018bcfe5-687b",
        FilterKey::Trace => "018bcfe5687b70008000000000000001",
        FilterKey::ReturnUrl => "https://example.kommo.com/api/v4/salesbot/1/continue/2",
        FilterKey::Since => "2h",
        FilterKey::Until => "30m",
        FilterKey::Error => "timeout",
        FilterKey::Status => "429",
        FilterKey::Attempts => ">2",
        FilterKey::Outcome => "fallback",
        FilterKey::Waiting => "account",
        FilterKey::Is => "late",
    }
}

const fn opposite(key: FilterKey) -> &'static str {
    match key {
        FilterKey::Since => "until",
        _ => "since",
    }
}
