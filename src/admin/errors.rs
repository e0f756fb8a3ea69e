//! `/api/v1/errors…`: errors of jobs in groups, and the retry of a group.

use axum::extract::{RawQuery, Request, State};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::form_urlencoded;

use crate::problem::ProblemDetails;
use model::{HandlerName, JobId, Stage, Timestamp};
use store::{Actor, ErrorGroup, RetriedDead};

use super::call::{Answer, BULK_TIMEOUT, Id, STORE_TIMEOUT, read, run_to_end, text, within};
use super::{Shared, refusal};

/// The default and the maximum number of groups per page.
const LIMITS: (usize, usize) = (100, 500);

const RETRY: &str = r#"Send {"force":true} to include superseded jobs, or no body."#;

/// A group of errors as JSON.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorGroupView {
    id: i64,
    stage: Stage,
    /// The handler whose attempts failed; null for deliveries.
    handler: Option<HandlerName>,
    text: String,
    failures: u64,
    first_at: Timestamp,
    last_at: Timestamp,
    /// The failures in each of the last 24 hours; the last one is the current hour.
    last_day: Vec<u64>,
    /// The job with the last error.
    sample: JobId,
}

impl From<ErrorGroup> for ErrorGroupView {
    fn from(group: ErrorGroup) -> Self {
        let ErrorGroup { id, stage, handler, text, failures, first_at, last_at, last_day, sample } = group;
        Self { id, stage, handler, text, failures, first_at, last_at, last_day, sample }
    }
}

/// The position after which a page begins: the time of the last error and the number of the group.
type Cursor = (Timestamp, i64);

/// The query of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Query {
    limit: usize,
    before: Option<Cursor>,
}

fn parse(query: &str) -> Result<Query, String> {
    let mut parsed = Query { limit: LIMITS.0, before: None };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=LIMITS.1).contains(limit));
                parsed.limit =
                    limit.ok_or_else(|| format!("`limit` must be a number from 1 to {}", LIMITS.1))?;
            }
            "cursor" => {
                let parts = value.split_once('-');
                let cursor = parts
                    .and_then(|(at, id)| Some((Timestamp::from_millis(at.parse().ok()?), id.parse().ok()?)));
                parsed.before = Some(cursor.ok_or("`cursor` must be the `next_cursor` of a page")?);
            }
            other => {
                let other = refusal::short(other);
                return Err(format!("unknown parameter `{other}` (expected one of: limit, cursor)"));
            }
        }
    }
    Ok(parsed)
}

/// Splits off a page. Returns it with the cursor of the next one.
fn page(groups: Vec<ErrorGroup>, query: Query) -> (Vec<ErrorGroup>, Option<String>) {
    let place = |group: &ErrorGroup| (group.last_at, group.id);
    let is_after = |group: &ErrorGroup| query.before.is_none_or(|before| place(group) < before);
    let mut rest = groups.into_iter().filter(is_after);
    let page: Vec<ErrorGroup> = rest.by_ref().take(query.limit).collect();
    let next = page.last().filter(|_| rest.next().is_some());
    let next = next.map(|last| format!("{}-{}", last.last_at.as_millis(), last.id));
    (page, next)
}

/// `GET /api/v1/errors`
pub(super) async fn list(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Answer {
    let query = parse(query.as_deref().unwrap_or_default()).map_err(refusal::of_query)?;
    let (page, next) = page(within(STORE_TIMEOUT, shared.store.errors().groups()).await?, query);
    let errors: Vec<ErrorGroupView> = page.into_iter().map(ErrorGroupView::from).collect();
    Ok(Json(json!({ "errors": errors, "next_cursor": next })).into_response())
}

/// `GET /api/v1/errors/{group}`
pub(super) async fn one(State(shared): State<Shared>, id: Id) -> Answer {
    Ok(Json(ErrorGroupView::from(find(&shared, id).await?)).into_response())
}

async fn find(shared: &Shared, id: Id) -> Result<ErrorGroup, ProblemDetails> {
    let text = text(id);
    let id = text.parse().map_err(|_| refusal::no_group(&text))?;
    within(STORE_TIMEOUT, shared.store.errors().group(id)).await?.ok_or_else(|| refusal::no_group(&text))
}

/// The body of `POST /api/v1/errors/{group}/retry`; without one, the defaults apply.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Retry {
    #[serde(default)]
    force: bool,
}

/// `POST /api/v1/errors/{group}/retry`
pub(super) async fn retry(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    id: Id,
    request: Request,
) -> Answer {
    let group = find(&shared, id).await?.id;
    let body = read(&shared, request).await?;
    let asked = if body.is_empty() { Ok(None) } else { serde_json::from_slice::<Option<Retry>>(&body) };
    let Retry { force } = asked.map_err(|why| refusal::of_body(why, RETRY))?.unwrap_or_default();
    let store = shared.store.clone();
    let RetriedDead { retried, superseded } = run_to_end(BULK_TIMEOUT, async move {
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
    .await?;
    Ok(Json(json!({ "retried": retried, "superseded": superseded })).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(id: i64, last_at: i64) -> ErrorGroup {
        ErrorGroup {
            id,
            stage: Stage::Delivery,
            handler: None,
            text: "503".into(),
            failures: 1,
            first_at: Timestamp::from_millis(1),
            last_at: Timestamp::from_millis(last_at),
            last_day: vec![0; 24],
            sample: JobId::new(Timestamp::from_millis(1), 1),
        }
    }

    #[test]
    fn pages_follow_one_another_and_end() {
        let groups = vec![group(3, 20), group(2, 10), group(1, 10)];
        let mut query = Query { limit: 1, before: None };
        let mut seen = Vec::new();
        loop {
            let (found, next) = page(groups.clone(), query);
            seen.extend(found.iter().map(|group| group.id));
            let Some(next) = next else { break };
            query = parse(&format!("limit=1&cursor={next}")).unwrap();
        }
        assert_eq!(seen, [3, 2, 1]);
    }

    #[test]
    fn a_wrong_query_is_refused() {
        for (query, part) in [
            ("limit=0", "from 1 to 500"),
            ("limit=501", "from 1 to 500"),
            ("limit=x", "from 1 to 500"),
            ("cursor=7", "next_cursor"),
            ("cursor=a-1", "next_cursor"),
            ("handler=greet", "unknown parameter `handler`"),
        ] {
            assert!(parse(query).unwrap_err().contains(part), "{query}");
        }
        assert_eq!(parse("").unwrap(), Query { limit: 100, before: None });
    }
}
