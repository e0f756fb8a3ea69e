//! `/api/v1/errors…`: errors of jobs in groups, and the retry of a group.

use axum::extract::{Request, State};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::problem::ProblemDetails;
use crate::schema;
use model::{HandlerName, JobId, Stage, Timestamp};
use store::{Actor, ErrorGroup, ErrorGroupPosition, RetriedDead};

use super::bulk_json::RetriedView;
use super::call::{
    Answer, BULK_TIMEOUT, Id, STORE_TIMEOUT, object_or_default, read, run_to_end, text, within,
};
use super::document::tag;
use super::paths::GroupPath;
use super::query::{BadParameter, Cursor, Given, Paging, Parameter, Params, Query};
use super::responses::{BodyErrors, NoGroup, QueryErrors, StoreErrors};
use super::{Shared, refusal};

/// The default number of groups per page.
const DEFAULT_LIMIT: u32 = 100;

const RETRY: &str = r#"Send {"force":true} to include superseded jobs, or no body."#;

/// A group of errors.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ErrorGroup)]
pub struct ErrorGroupView {
    /// Its number.
    id: i64,
    /// Whether attempts of handlers or deliveries failed.
    #[schema(value_type = schema::Stage)]
    stage: Stage,
    /// The handler whose attempts failed; null for deliveries.
    #[schema(value_type = Option<schema::HandlerName>)]
    handler: Option<HandlerName>,
    /// The common text; `N` is a number, `ID` an id, and `…` a quoted value.
    text: String,
    /// The number of errors since the first one.
    failures: u64,
    /// When the first one occurred.
    #[schema(value_type = schema::Moment)]
    first_at: Timestamp,
    /// When the last one occurred.
    #[schema(value_type = schema::Moment)]
    last_at: Timestamp,
    /// The number of errors in each of the last 24 hours; the last number is that of the current hour.
    #[schema(min_items = 24, max_items = 24)]
    last_day: Vec<u64>,
    /// The job with the last error, which may have been deleted.
    #[schema(value_type = schema::JobId)]
    sample: JobId,
}

impl From<ErrorGroup> for ErrorGroupView {
    fn from(group: ErrorGroup) -> Self {
        let ErrorGroup { id, stage, handler, text, failures, first_at, last_at, last_day, sample } = group;
        Self { id, stage, handler, text, failures, first_at, last_at, last_day, sample }
    }
}

/// A page of groups, the one with the newest error first.
#[derive(Debug, Serialize, ToSchema)]
struct ErrorsPage {
    /// The groups.
    errors: Vec<ErrorGroupView>,
    /// The `cursor` of the next page; null at the end.
    next_cursor: Option<String>,
}

/// The position after which a page begins: the time of the last error and the number of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(ErrorGroupPosition);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (at, id) = self.0;
        write!(f, "{}-{id}", at.as_millis())
    }
}

/// Parses a number as [`Cursor::schema`] describes it.
fn digits(text: &str) -> Option<i64> {
    let is_number = (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

impl Cursor for Place {
    fn schema() -> RefOr<Schema> {
        let text =
            ObjectBuilder::new().schema_type(Type::String).pattern(Some("^-?[0-9]{1,18}-[0-9]{1,18}$"));
        text.examples(["1790000000000-3"]).into()
    }

    fn parse(text: &str) -> Option<Self> {
        let (at, id) = text.rsplit_once('-')?;
        let at = match at.strip_prefix('-') {
            Some(before_1970) => -digits(before_1970)?,
            None => digits(at)?,
        };
        Some(Self((Timestamp::from_millis(at), digits(id)?)))
    }
}

/// The query of the list.
pub(super) struct ErrorsQuery(Paging<Place>);

impl Query for ErrorsQuery {
    fn parameters() -> Vec<Parameter> {
        Paging::<Place>::parameters(DEFAULT_LIMIT).into()
    }

    fn read(given: &Given<'_>) -> Result<Self, BadParameter> {
        Paging::read(given, DEFAULT_LIMIT).map(Self)
    }
}

/// Lists the errors of jobs, in groups
///
/// Errors that differ only in numbers, ids and quoted values are in the same group. The group with the newest error comes
/// first.
#[utoipa::path(get, path = "/api/v1/errors", tag = tag::ERRORS, operation_id = "listErrors", params(Params<ErrorsQuery>),
    responses((status = 200, description = "A page of groups.", body = ErrorsPage), QueryErrors, StoreErrors))]
pub(super) async fn list(
    State(shared): State<Shared>,
    Params(ErrorsQuery(paging)): Params<ErrorsQuery>,
) -> Answer {
    let after = paging.cursor.map(|Place(position)| position);
    let page = within(STORE_TIMEOUT, shared.store.errors().page(after, paging.limit)).await?;
    let errors = page.groups.into_iter().map(ErrorGroupView::from).collect();
    let next_cursor = page.next.map(|next| Place(next).to_string());
    Ok(Json(ErrorsPage { errors, next_cursor }).into_response())
}

/// Shows a group of errors
#[utoipa::path(get, path = "/api/v1/errors/{id}", tag = tag::ERRORS, operation_id = "getErrorGroup", params(GroupPath),
    responses((status = 200, description = "The group.", body = ErrorGroupView), NoGroup, StoreErrors))]
pub(super) async fn one(State(shared): State<Shared>, id: Id) -> Answer {
    Ok(Json(ErrorGroupView::from(find(&shared, id).await?)).into_response())
}

async fn find(shared: &Shared, id: Id) -> Result<ErrorGroup, ProblemDetails> {
    let text = text(id);
    let id = text.parse().map_err(|_| refusal::no_group(&text))?;
    within(STORE_TIMEOUT, shared.store.errors().group(id)).await?.ok_or_else(|| refusal::no_group(&text))
}

/// The body of `POST /api/v1/errors/{id}/retry`; without one, the defaults apply.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RetryGroupRequest)]
struct Retry {
    /// Whether to retry superseded jobs too.
    #[serde(default)]
    force: bool,
}

/// Retries the dead jobs of a group of errors
///
/// Those whose last error belongs to the group. The retry runs to its end even if the caller hangs up.
#[utoipa::path(post, path = "/api/v1/errors/{id}/retry", tag = tag::ERRORS, operation_id = "retryErrorGroup",
    params(GroupPath), request_body = Option<Retry>,
    responses((status = 200, description = "How many jobs are delivered again.", body = RetriedView),
        NoGroup, BodyErrors, StoreErrors))]
pub(super) async fn retry(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    id: Id,
    request: Request,
) -> Answer {
    let group = find(&shared, id).await?.id;
    let body = read(&shared, request).await?;
    let Retry { force } = object_or_default(&body, RETRY)?;
    let done = retry_group(&shared, by, group, force).await?;
    Ok(Json(RetriedView::from(done)).into_response())
}

/// Delivers the dead jobs of a group again, even if the caller hangs up.
pub(super) async fn retry_group(
    shared: &Shared,
    by: Actor,
    group: i64,
    force: bool,
) -> Result<RetriedDead, ProblemDetails> {
    let store = shared.store.clone();
    run_to_end(BULK_TIMEOUT, async move {
        let done = store.operator(by).retry_group(group, force).await?;
        let RetriedDead { retried, superseded } = done;
        tracing::info!(
            group,
            jobs = retried,
            superseded,
            force,
            "dead jobs of a group of errors retried by operator"
        );
        Ok(done)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::super::query::parse;
    use super::*;

    #[test]
    fn a_wrong_query_is_refused() {
        for (query, part) in [
            ("limit=501", "`limit` cannot be `501`: expected a number from 1 to 500"),
            ("cursor=7", "`cursor` cannot be `7`: expected the next_cursor of an earlier page"),
            ("cursor=a-1", "`cursor` cannot be `a-1`"),
            ("cursor=1-%2B1", "`cursor` cannot be `1-+1`"),
            ("handler=greet", "unknown parameter `handler` (expected one of: limit, cursor)"),
        ] {
            let error = parse::<ErrorsQuery>(query).err().unwrap().to_string();
            assert!(error.starts_with(part), "{query}: {error}");
        }
        let ErrorsQuery(paging) = parse("").unwrap();
        assert_eq!(paging, Paging { limit: 100, cursor: None });
        let ErrorsQuery(before_1970) = parse("cursor=-5-7").unwrap();
        assert_eq!(before_1970.cursor, Some(Place((Timestamp::from_millis(-5), 7))));
    }
}
