//! The query of `GET /api/v1/jobs`.

use model::filter::{Condition, FilteredAccount};
use model::{AccountId, HandlerName, JobId, OutcomeName, StateName};
use store::JobFilter;
use utoipa::PartialSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::schema;

use super::query::{BadParameter, Cursor, DEFAULT_LIMIT, Given, Paging, Parameter, Query, integer};

/// The parsed query.
#[derive(Debug)]
pub(super) struct JobsQuery {
    /// The list to show, without `q`.
    pub(super) list: JobFilter,
    /// The filter as text.
    pub(super) q: Option<String>,
}

impl Cursor for JobId {
    fn schema() -> RefOr<Schema> {
        schema::JobId::schema()
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Query for JobsQuery {
    fn parameters() -> Vec<Parameter> {
        let number = integer().examples([31_764_961]);
        let filter =
            ObjectBuilder::new().schema_type(Type::String).examples(["state:dead handler:greet since:2h"]);
        let outcome = "Only jobs whose bot gets the handler's answer, or the fallback.";
        let q = "Only jobs that match this filter, like `state:dead handler:greet since:2h`; see `docs/operations.md`. A job \
                 must match the other parameters too.";
        let conditions = [
            Parameter::new("state", "Only jobs in this state.", schema::JobState::schema()),
            Parameter::new("handler", "Only jobs of this handler.", schema::HandlerName::schema()),
            Parameter::new("account_id", "Only jobs of the account with this number.", number),
            Parameter::new("outcome", outcome, schema::Outcome::schema()),
            Parameter::new("q", q, filter),
        ];
        conditions.into_iter().chain(Paging::<JobId>::parameters(DEFAULT_LIMIT)).collect()
    }

    fn read(given: &Given<'_>) -> Result<Self, BadParameter> {
        let account = |text: &str| text.parse().map(AccountId).map_err(|_| "expected a number");
        let conditions = [
            given.parsed("state", str::parse::<StateName>)?.map(Condition::State),
            given.parsed("handler", str::parse::<HandlerName>)?.map(Condition::Handler),
            given.parsed("account_id", account)?.map(FilteredAccount::Number).map(Condition::Account),
            given.parsed("outcome", str::parse::<OutcomeName>)?.map(Condition::Outcome),
        ];
        let filter = conditions.into_iter().flatten().fold(model::Filter::default(), model::Filter::and);
        let Paging { limit, cursor } = Paging::read(given, DEFAULT_LIMIT)?;
        let list = JobFilter { filter, before: cursor, limit };
        Ok(Self { list, q: given.text("q").map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::query::parse;
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
            (
                "stat=dead",
                "unknown parameter `stat` (expected one of: state, handler, account_id, outcome, q, limit, cursor)",
            ),
            ("state=lost", "`state` cannot be `lost`: "),
            ("handler=a/b", "`handler` cannot be `a/b`: "),
            ("account_id=x", "`account_id` cannot be `x`: expected a number"),
            (
                "outcome=ok",
                "`outcome` cannot be `ok`: unknown outcome `ok` (expected one of: handler, fallback)",
            ),
            ("limit=0", "`limit` cannot be `0`: expected a number from 1 to 500"),
            ("cursor=abc", "`cursor` cannot be `abc`: expected the next_cursor of an earlier page"),
        ] {
            let error = parse::<JobsQuery>(query).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{query}: {error}");
        }
    }
}
