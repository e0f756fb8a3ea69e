//! The query of `GET /api/v1/jobs`. Unknown parameters and values are refused: if they were ignored, a misspelled filter
//! would return the wrong jobs.

use std::borrow::Cow;

use url::form_urlencoded;

use model::filter::{Condition, FilterError, FilteredAccount};
use model::{AccountId, HandlerNameError, UnknownOutcome, UnknownState};
use store::JobFilter;

use super::refusal::short;

/// The default number of jobs per page.
pub const DEFAULT_LIMIT: u32 = 50;
/// The maximum number of jobs per page.
pub const MAX_LIMIT: u32 = 500;

/// An invalid parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadParameter {
    #[error(
        "unknown parameter `{0}` (expected one of: state, handler, account_id, outcome, q, limit, cursor)"
    )]
    Unknown(String),
    #[error("`{0}` occurs more than once")]
    Twice(&'static str),
    #[error("`{name}` cannot be `{value}`: {source}")]
    Value { name: &'static str, value: String, source: BadValue },
}

/// What a parameter accepts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadValue {
    #[error(transparent)]
    State(#[from] UnknownState),
    #[error(transparent)]
    Handler(#[from] HandlerNameError),
    #[error(transparent)]
    Outcome(#[from] UnknownOutcome),
    #[error("expected a number")]
    NotANumber,
    #[error("expected a number from 1 to {MAX_LIMIT}")]
    Limit,
    #[error("expected the next_cursor of an earlier page")]
    Cursor,
    #[error(transparent)]
    Filter(#[from] FilterError),
}

/// The parsed query.
#[derive(Debug, Default)]
pub(super) struct JobsQuery<'q> {
    /// The list to show, without `q`.
    pub(super) list: JobFilter,
    /// The filter as text.
    pub(super) q: Option<Cow<'q, str>>,
}

const NAMES: [&str; 7] = ["state", "handler", "account_id", "outcome", "q", "limit", "cursor"];

/// Parses the query. An empty value counts as absent.
pub(super) fn parse(query: &str) -> Result<JobsQuery<'_>, BadParameter> {
    let list = JobFilter { limit: DEFAULT_LIMIT, ..JobFilter::default() };
    let mut parsed = JobsQuery { list, q: None };
    let mut seen = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let name =
            *NAMES.iter().find(|known| **known == name).ok_or_else(|| BadParameter::Unknown(short(&name)))?;
        if seen.contains(&name) {
            return Err(BadParameter::Twice(name));
        }
        seen.push(name);
        if name == "q" {
            parsed.q = Some(value).filter(|value| !value.is_empty());
        } else if !value.is_empty() {
            set(&mut parsed.list, name, &value).map_err(|source| refused(name, &value, source))?;
        }
    }
    Ok(parsed)
}

/// The error about a value.
pub(super) fn refused(name: &'static str, value: &str, source: impl Into<BadValue>) -> BadParameter {
    BadParameter::Value { name, value: short(value), source: source.into() }
}

fn set(list: &mut JobFilter, name: &str, value: &str) -> Result<(), BadValue> {
    let condition = match name {
        "state" => Condition::State(value.parse()?),
        "handler" => Condition::Handler(value.parse()?),
        "account_id" => {
            let account_id = AccountId(value.parse().map_err(|_| BadValue::NotANumber)?);
            Condition::Account(FilteredAccount::Number(account_id))
        }
        "outcome" => Condition::Outcome(value.parse()?),
        "limit" => {
            let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
            list.limit = limit.ok_or(BadValue::Limit)?;
            return Ok(());
        }
        _ => {
            list.before = Some(value.parse().map_err(|_| BadValue::Cursor)?);
            return Ok(());
        }
    };
    list.filter = std::mem::take(&mut list.filter).and(condition);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_parsed() {
        let id = "018bcfe5-687b-7000-8000-000000000001";
        let query =
            format!("state=dead&handler=echo&account_id=7&outcome=fallback&q=a%20b%26&limit=500&cursor={id}");
        let JobsQuery { list, q } = parse(&query).unwrap();
        assert_eq!(list.filter.to_string(), "state:dead handler:echo account:7 outcome:fallback");
        assert_eq!((q.as_deref(), list.limit), (Some("a b&"), 500));
        assert_eq!(list.before.unwrap().to_string(), id);
    }

    #[test]
    fn absent_and_empty_values_do_not_filter() {
        for query in ["", "state=&handler=&account_id=&outcome=&q=&limit=&cursor="] {
            let JobsQuery { list, q } = parse(query).unwrap();
            assert!(list.filter.is_empty());
            assert_eq!((q, list.before, list.limit), (None, None, DEFAULT_LIMIT));
        }
    }

    #[test]
    fn invalid_parameters_are_named() {
        for (query, expected) in [
            ("stat=dead", "unknown parameter `stat` (expected one of: state, handler"),
            ("limit=1&limit=2", "`limit` occurs more than once"),
            ("state=lost", "`state` cannot be `lost`: "),
            ("handler=a/b", "`handler` cannot be `a/b`: "),
            ("account_id=x", "`account_id` cannot be `x`: expected a number"),
            (
                "outcome=ok",
                "`outcome` cannot be `ok`: unknown outcome `ok` (expected one of: handler, fallback)",
            ),
            ("limit=0", "`limit` cannot be `0`: expected a number from 1 to 500"),
            ("limit=501", "`limit` cannot be `501`"),
            ("limit=-1", "`limit` cannot be `-1`"),
            ("cursor=abc", "`cursor` cannot be `abc`: expected the next_cursor of an earlier page"),
        ] {
            let error = parse(query).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{query}: {error}");
        }
    }
}
