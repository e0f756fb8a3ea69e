//! The query of `GET /api/v1/jobs`. Unknown parameters and values are refused: if they were ignored, a misspelled filter
//! would return the wrong jobs.

use url::form_urlencoded;

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
}

const NAMES: [&str; 7] = ["state", "handler", "account_id", "outcome", "q", "limit", "cursor"];

/// Parses the query. An empty value counts as absent.
pub(super) fn parse(query: &str) -> Result<JobFilter, BadParameter> {
    let mut filter = JobFilter { limit: DEFAULT_LIMIT, ..JobFilter::default() };
    let mut seen = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let name =
            *NAMES.iter().find(|known| **known == name).ok_or_else(|| BadParameter::Unknown(short(&name)))?;
        if seen.contains(&name) {
            return Err(BadParameter::Twice(name));
        }
        seen.push(name);
        if !value.is_empty() {
            set(&mut filter, name, &value).map_err(|source| BadParameter::Value {
                name,
                value: short(&value),
                source,
            })?;
        }
    }
    Ok(filter)
}

fn set(filter: &mut JobFilter, name: &str, value: &str) -> Result<(), BadValue> {
    match name {
        "state" => filter.state = Some(value.parse()?),
        "handler" => filter.handler = Some(value.parse()?),
        "account_id" => {
            filter.account_id = Some(AccountId(value.parse().map_err(|_| BadValue::NotANumber)?));
        }
        "outcome" => filter.outcome = Some(value.parse()?),
        "q" => filter.text = Some(value.to_owned()),
        "limit" => {
            filter.limit =
                value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or(BadValue::Limit)?;
        }
        _ => {
            let cursor = value.parse().map_err(|_| BadValue::Cursor)?;
            filter.before = Some(cursor);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use model::{OutcomeName, StateName};

    use super::*;

    #[test]
    fn every_parameter_is_parsed() {
        let id = "018bcfe5-687b-7000-8000-000000000001";
        let query =
            format!("state=dead&handler=echo&account_id=7&outcome=fallback&q=a%20b%26&limit=500&cursor={id}");
        let filter = parse(&query).unwrap();
        assert_eq!(filter.state, Some(StateName::Dead));
        assert_eq!(filter.handler.unwrap().as_str(), "echo");
        assert_eq!(filter.account_id, Some(AccountId(7)));
        assert_eq!(filter.outcome, Some(OutcomeName::Fallback));
        assert_eq!(filter.text.as_deref(), Some("a b&"));
        assert_eq!(filter.limit, 500);
        assert_eq!(filter.before.unwrap().to_string(), id);
    }

    #[test]
    fn absent_and_empty_values_do_not_filter() {
        for query in ["", "state=&handler=&account_id=&outcome=&q=&limit=&cursor="] {
            let filter = parse(query).unwrap();
            assert_eq!((filter.state, filter.account_id, filter.limit), (None, None, DEFAULT_LIMIT));
            assert_eq!(
                (filter.handler, filter.text, filter.before, filter.outcome),
                (None, None, None, None)
            );
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
