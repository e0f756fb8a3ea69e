//! `GET /api/v1/actions`: what operators did.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::IntoResponse;
use serde::Serialize;
use url::form_urlencoded;

use model::{JobId, Timestamp};
use store::{Action, ActionPage};

use super::call::{Answer, STORE_TIMEOUT, within};
use super::jobs_query::{DEFAULT_LIMIT, MAX_LIMIT};
use super::refusal::short;
use super::{Shared, refusal};

/// A page of the log of actions, newest first.
#[derive(Clone, Debug, Serialize)]
pub struct ActionsView {
    actions: Vec<ActionView>,
    /// The `cursor` of the next page; null at the end.
    next_cursor: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
struct ActionView {
    id: u64,
    at: Timestamp,
    /// `api`, `page` or `cli`.
    source: &'static str,
    who: String,
    what: String,
    job_id: Option<JobId>,
    target: Option<String>,
    jobs: u64,
    result: &'static str,
}

impl From<ActionPage> for ActionsView {
    fn from(page: ActionPage) -> Self {
        Self { actions: page.actions.into_iter().map(ActionView::from).collect(), next_cursor: page.next }
    }
}

impl From<Action> for ActionView {
    fn from(action: Action) -> Self {
        let Action { id, at, by, what, job_id, target, jobs, result } = action;
        let (source, who) = (by.source().as_str(), by.name().to_owned());
        Self { id, at, source, who, what, job_id, target, jobs, result: result.as_str() }
    }
}

/// `GET /api/v1/actions`
pub(super) async fn list(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Answer {
    let (limit, before) =
        parse(query.as_deref().unwrap_or_default()).map_err(|error| refusal::of_parameter(&error))?;
    let page = within(STORE_TIMEOUT, shared.store.actions(before, limit)).await?;
    Ok(Json(ActionsView::from(page)).into_response())
}

/// Parses `limit` and `cursor`. An empty value counts as absent.
fn parse(query: &str) -> Result<(u32, Option<u64>), String> {
    let (mut limit, mut cursor) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let wrong = |expected: &str| format!("`{name}` cannot be `{}`: expected {expected}", short(&value));
        let is_repeated = match &*name {
            "limit" if value.is_empty() => false,
            "cursor" if value.is_empty() => false,
            "limit" => {
                let number = value.parse().ok().filter(|number| (1..=MAX_LIMIT).contains(number));
                let number = number.ok_or_else(|| wrong(&format!("a number from 1 to {MAX_LIMIT}")))?;
                limit.replace(number).is_some()
            }
            "cursor" => {
                let number = value.parse().map_err(|_| wrong("the next_cursor of an earlier page"))?;
                cursor.replace(number).is_some()
            }
            _ => {
                return Err(format!("unknown parameter `{}` (expected one of: limit, cursor)", short(&name)));
            }
        };
        if is_repeated {
            return Err(format!("`{name}` occurs more than once"));
        }
    }
    Ok((limit.unwrap_or(DEFAULT_LIMIT), cursor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_checked() {
        for (query, expected) in [
            ("", Ok((DEFAULT_LIMIT, None))),
            ("limit=&cursor=", Ok((DEFAULT_LIMIT, None))),
            ("limit=3&cursor=17", Ok((3, Some(17)))),
            ("limit=0", Err("`limit` cannot be `0`: expected a number from 1 to 500")),
            ("cursor=a", Err("`cursor` cannot be `a`: expected the next_cursor of an earlier page")),
            ("limit=1&limit=2", Err("`limit` occurs more than once")),
            ("who=ann", Err("unknown parameter `who` (expected one of: limit, cursor)")),
        ] {
            assert_eq!(parse(query), expected.map_err(str::to_owned), "{query}");
        }
    }
}
