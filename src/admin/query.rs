//! The query parameters of lists: how they are parsed and how they are described, in one place.
//!
//! Unknown and repeated parameters and invalid values are refused: if they were ignored, a misspelled filter would return
//! the wrong jobs. An empty value counts as absent.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use http::request::Parts;
use url::form_urlencoded;
use utoipa::IntoParams;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Required, Schema};

use crate::problem::ProblemDetails;

use super::refusal::{self, short};

/// The default number of jobs or actions per page.
pub const DEFAULT_LIMIT: u32 = 50;
/// The maximum number of entries per page.
pub const MAX_LIMIT: u32 = 500;

/// The description of a parameter.
pub(super) struct Parameter {
    name: &'static str,
    about: &'static str,
    schema: RefOr<Schema>,
    /// Whether its value is a list with commas.
    is_list: bool,
}

impl Parameter {
    pub(super) fn new(name: &'static str, about: &'static str, schema: impl Into<RefOr<Schema>>) -> Self {
        Self { name, about, schema: schema.into(), is_list: false }
    }

    /// The same parameter, whose value is a list with commas.
    pub(super) fn list(self) -> Self {
        Self { is_list: true, ..self }
    }
}

/// What the query of a path contains.
pub(super) trait Query: Sized {
    /// Returns the parameters, in the order of the documentation.
    fn parameters() -> Vec<Parameter>;

    /// Reads the parameters.
    ///
    /// # Errors
    /// A value is invalid.
    fn read(given: &Given<'_>) -> Result<Self, BadParameter>;
}

/// Extracts a query from a request, and describes its parameters.
pub(super) struct Params<Q>(pub(super) Q);

impl<Q: Query, S: Sync> FromRequestParts<S> for Params<Q> {
    type Rejection = ProblemDetails;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemDetails> {
        let query = parse(parts.uri.query().unwrap_or_default());
        query.map(Self).map_err(|error| refusal::of_parameter(&error))
    }
}

impl<Q: Query> IntoParams for Params<Q> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<utoipa::openapi::path::Parameter> {
        let described = |Parameter { name, about, schema, is_list }| {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
            let parameter = parameter.required(Required::False).description(Some(about));
            let parameter = parameter.schema(Some(schema));
            if is_list { parameter.explode(Some(false)).build() } else { parameter.build() }
        };
        Q::parameters().into_iter().map(described).collect()
    }
}

/// An invalid parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadParameter {
    /// The path has no such parameter.
    #[error("unknown parameter `{name}` (expected one of: {known})")]
    Unknown {
        /// Its name, shortened.
        name: String,
        /// The names of all parameters.
        known: String,
    },
    /// It occurs more than once.
    #[error("`{0}` occurs more than once")]
    Twice(&'static str),
    /// Its value is invalid.
    #[error("`{name}` cannot be `{value}`: {why}")]
    Value {
        /// Its name.
        name: &'static str,
        /// Its value, shortened.
        value: String,
        /// What it accepts.
        why: String,
    },
}

impl BadParameter {
    /// Refuses a value.
    pub(super) fn value(name: &'static str, value: &str, why: impl ToString) -> Self {
        Self::Value { name, value: short(value), why: why.to_string() }
    }
}

/// The parameters of a request that have a value.
pub(super) struct Given<'q>(Vec<(&'static str, Cow<'q, str>)>);

impl Given<'_> {
    /// Returns the value of a parameter.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| *given == name).map(|(_, value)| &**value)
    }

    /// Parses the value of a parameter.
    ///
    /// # Errors
    /// `parse` refuses the value.
    pub(super) fn parsed<T, E: ToString>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, BadParameter> {
        let parse = |text: &str| parse(text).map_err(|why| BadParameter::value(name, text, why));
        self.text(name).map(parse).transpose()
    }
}

/// Parses a query.
pub(super) fn parse<Q: Query>(query: &str) -> Result<Q, BadParameter> {
    let known: Vec<&'static str> = Q::parameters().iter().map(|parameter| parameter.name).collect();
    let (mut seen, mut given) = (Vec::new(), Vec::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let Some(name) = known.iter().copied().find(|known| **known == *name) else {
            return Err(BadParameter::Unknown { name: short(&name), known: known.join(", ") });
        };
        if seen.contains(&name) {
            return Err(BadParameter::Twice(name));
        }
        seen.push(name);
        if !value.is_empty() {
            given.push((name, value));
        }
    }
    Q::read(&Given(given))
}

/// Where a page begins, and how many entries it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paging<C> {
    pub(super) limit: u32,
    pub(super) cursor: Option<C>,
}

/// The position after which a page begins.
pub(super) trait Cursor: Sized {
    /// Describes its text.
    fn schema() -> RefOr<Schema>;

    /// Parses it.
    fn parse(text: &str) -> Option<Self>;
}

impl<C: Cursor> Paging<C> {
    /// Describes `limit` and `cursor`.
    pub(super) fn parameters(default: u32) -> [Parameter; 2] {
        let limit = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        let limit = limit.maximum(Some(MAX_LIMIT)).default(Some(default.into()));
        [
            Parameter::new("limit", "The maximum number of entries per page.", limit),
            Parameter::new(
                "cursor",
                "The `next_cursor` of the page before. Without it, the list begins with the newest entry.",
                C::schema(),
            ),
        ]
    }

    /// Reads `limit` and `cursor`.
    pub(super) fn read(given: &Given<'_>, default: u32) -> Result<Self, BadParameter> {
        let cursor = |text: &str| C::parse(text).ok_or("expected the next_cursor of an earlier page");
        let limit = given.parsed("limit", parse_limit)?.unwrap_or(default);
        Ok(Self { limit, cursor: given.parsed("cursor", cursor)? })
    }
}

/// The number of an entry.
impl Cursor for u64 {
    fn schema() -> RefOr<Schema> {
        integer().minimum(Some(0)).examples([17]).into()
    }

    fn parse(text: &str) -> Option<Self> {
        // The store has no greater numbers.
        text.parse().ok().filter(|number| i64::try_from(*number).is_ok())
    }
}

/// Describes a 64-bit integer.
pub(super) fn integer() -> ObjectBuilder {
    let format = SchemaFormat::KnownFormat(KnownFormat::Int64);
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(format))
        .minimum(Some(i64::MIN))
        .maximum(Some(i64::MAX))
}

/// Parses the number of entries per page, for the API and for commands.
///
/// # Errors
/// It is not a number from 1 to [`MAX_LIMIT`].
pub fn parse_limit(text: &str) -> Result<u32, String> {
    let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| format!("expected a number from 1 to {MAX_LIMIT}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Page(Paging<u64>);

    impl Query for Page {
        fn parameters() -> Vec<Parameter> {
            Paging::<u64>::parameters(100).into()
        }

        fn read(given: &Given<'_>) -> Result<Self, BadParameter> {
            Paging::read(given, 100).map(Self)
        }
    }

    #[test]
    fn limit_and_cursor_are_checked() {
        for (query, expected) in [
            ("", Ok((100, None))),
            ("limit=&cursor=", Ok((100, None))),
            ("limit=3&cursor=17", Ok((3, Some(17)))),
            ("limit=500&cursor=9223372036854775807", Ok((500, Some(9_223_372_036_854_775_807)))),
            (
                "cursor=9223372036854775808",
                Err("`cursor` cannot be `9223372036854775808`: expected the next_cursor of an earlier page"),
            ),
            ("limit=0", Err("`limit` cannot be `0`: expected a number from 1 to 500")),
            ("limit=501", Err("`limit` cannot be `501`: expected a number from 1 to 500")),
            ("limit=-1", Err("`limit` cannot be `-1`: expected a number from 1 to 500")),
            ("cursor=a", Err("`cursor` cannot be `a`: expected the next_cursor of an earlier page")),
            ("limit=1&limit=2", Err("`limit` occurs more than once")),
            ("limit=&limit=", Err("`limit` occurs more than once")),
            ("who=ann", Err("unknown parameter `who` (expected one of: limit, cursor)")),
        ] {
            let parsed = parse::<Page>(query).map(|Page(Paging { limit, cursor })| (limit, cursor));
            assert_eq!(parsed.map_err(|error| error.to_string()), expected.map_err(str::to_owned), "{query}");
        }
    }

    #[test]
    fn the_description_has_the_limits_and_the_default() {
        let described = serde_json::to_value(Params::<Page>::into_params(|| None)).unwrap();
        assert_eq!((&described[0]["name"], &described[0]["in"]), (&"limit".into(), &"query".into()));
        let (schema, expected) = (
            &described[0]["schema"],
            json!({ "type": "integer", "minimum": 1, "maximum": 500, "default": 100 }),
        );
        assert_eq!(schema, &expected);
    }
}
