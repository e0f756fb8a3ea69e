//! `GET /api/v1/actions`: what operators did.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::schema;
use model::{JobId, Timestamp};
use store::{Action, ActionFilter, ActionKind, ActionPage, ActionSource};

use super::Shared;
use super::call::{Answer, STORE_TIMEOUT, within};
use super::document::tag;
use super::query::{BadParameter, DEFAULT_LIMIT, Given, Paging, Parameter, Params, Query};
use super::responses::{QueryErrors, StoreErrors};

/// A page of the log of actions, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ActionsPage)]
pub struct ActionsView {
    /// The actions.
    actions: Vec<ActionView>,
    /// The `cursor` of the next page; null at the end.
    next_cursor: Option<u64>,
}

/// One action.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Action)]
struct ActionView {
    /// Its number; later actions have greater ones.
    id: u64,
    /// When it happened or began.
    #[schema(value_type = schema::Moment)]
    at: Timestamp,
    /// Where it came from.
    #[schema(value_type = schema::ActionSource)]
    source: &'static str,
    /// The role of the token, or the user of the command.
    who: String,
    /// The command that does the same, such as `jobs retry`.
    what: String,
    /// The job; null if it is not about one job.
    #[schema(value_type = Option<schema::JobId>)]
    job_id: Option<JobId>,
    /// The filter, the account or the file; null if it is about one job.
    target: Option<String>,
    /// How many jobs it has changed.
    jobs: u64,
    /// How far it is.
    #[schema(value_type = schema::ActionResult)]
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

/// The query of the list.
pub(super) struct ActionsQuery {
    filter: ActionFilter,
    paging: Paging<u64>,
}

impl Query for ActionsQuery {
    fn parameters() -> Vec<Parameter> {
        let kinds = schema::one_of("", ActionKind::ALL.map(ActionKind::as_str));
        let name = ObjectBuilder::new().schema_type(Type::String).examples(["admin.token"]);
        let conditions = [
            Parameter::new("job_id", "Only actions on this job.", schema::JobId::schema()),
            Parameter::new("what", "Only actions of this kind.", kinds),
            Parameter::new("source", "Only actions from here.", schema::ActionSource::schema()),
            Parameter::new("who", "Only actions of the actor with exactly this name.", name),
        ];
        conditions.into_iter().chain(Paging::<u64>::parameters(DEFAULT_LIMIT)).collect()
    }

    fn read(given: &Given<'_>) -> Result<Self, BadParameter> {
        let filter = ActionFilter {
            job_id: given.parsed("job_id", |text| text.parse().map_err(|_| "expected the id of a job"))?,
            kind: given.parsed("what", parse_kind)?,
            source: given.parsed("source", parse_source)?,
            who: given.text("who").map(str::to_owned),
        };
        Ok(Self { filter, paging: Paging::read(given, DEFAULT_LIMIT)? })
    }
}

/// Parses the name of a kind of actions, for the API and for commands.
///
/// # Errors
/// No kind has this name.
pub fn parse_kind(text: &str) -> Result<ActionKind, String> {
    let known = ActionKind::ALL.map(ActionKind::as_str).join(", ");
    ActionKind::from_name(text).ok_or_else(|| format!("expected one of: {known}"))
}

/// Parses the name of a source of actions, for the API and for commands.
///
/// # Errors
/// No source has this name.
pub fn parse_source(text: &str) -> Result<ActionSource, String> {
    let known = ActionSource::ALL.map(ActionSource::as_str).join(", ");
    ActionSource::from_name(text).ok_or_else(|| format!("expected one of: {known}"))
}

/// Lists what operators did
///
/// By the API, by a page or by a command, newest first.
#[utoipa::path(get, path = "/api/v1/actions", tag = tag::ACTIONS, operation_id = "listActions", params(Params<ActionsQuery>),
    responses((status = 200, description = "A page of actions.", body = ActionsView), QueryErrors, StoreErrors))]
pub(super) async fn list(
    State(shared): State<Shared>,
    Params(ActionsQuery { filter, paging: Paging { limit, cursor } }): Params<ActionsQuery>,
) -> Answer {
    let page = within(STORE_TIMEOUT, shared.store.actions(&filter, cursor, limit)).await?;
    Ok(Json(ActionsView::from(page)).into_response())
}
