//! `/api/v1/handlers`: the handlers, what they do at the moment, and their recent jobs.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::schema;
use model::{HandlerLoad, Timestamp, whole_millis};
use store::{HandlerStats, StoreError};

use super::Shared;
use super::call::{Answer, STORE_TIMEOUT, within};
use super::document::tag;
use super::live::HandlerSettings;
use super::responses::StoreErrors;

/// The period of the statistics.
pub(super) const RECENT: Duration = Duration::from_secs(300);

/// One handler, as the API and `handlers list --json` show it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Handler)]
pub struct HandlerView {
    /// Its settings.
    #[serde(flatten)]
    pub(super) settings: HandlerSettings,
    /// How many of its jobs await a callback; null if there is no store yet.
    pub(super) awaiting_callback: Option<u64>,
    /// How many may; null if any number may.
    pub(super) max_awaiting: Option<u64>,
    /// Its permits; null if no bridge runs.
    pub(super) concurrency: Option<ConcurrencyView>,
    /// Its circuit breaker; null if no bridge runs.
    pub(super) breaker: Option<BreakerView>,
    /// Its jobs of the last five minutes; null if there are none.
    pub(super) recent: Option<RecentView>,
}

/// The permits that a handler may use.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Concurrency)]
pub(super) struct ConcurrencyView {
    /// How many of its jobs run.
    pub(super) in_use: usize,
    /// How many may run.
    pub(super) limit: usize,
    /// Whether it shares them with other handlers (`workers.concurrency`).
    pub(super) shared: bool,
}

/// The circuit breaker of a handler at a URL.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Breaker)]
pub(super) struct BreakerView {
    /// Whether its URL cannot be reached, so that its jobs wait.
    pub(super) open: bool,
    /// When the next call tests that; null if it is closed.
    #[schema(value_type = Option<schema::Moment>)]
    pub(super) next_probe_at: Option<Timestamp>,
}

/// The jobs of a handler of the last five minutes, from the newest 5,000 jobs.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = RecentJobs)]
pub(super) struct RecentView {
    /// The number of jobs.
    pub(super) jobs: u64,
    /// Those that the handler answered.
    pub(super) answered: u64,
    /// Those that have the fallback.
    pub(super) fallbacks: u64,
    /// Those that were delivered.
    pub(super) delivered: u64,
    /// Those that the sender gave up.
    pub(super) dead: u64,
    /// The median time from receipt to continue of those that were delivered; null if there are none.
    pub(super) p50_ms: Option<u64>,
    /// The time from receipt to continue that 1 % of them exceed; null if there are none.
    pub(super) p99_ms: Option<u64>,
}

impl HandlerView {
    /// Creates the view of a handler of which only the settings and the store are known.
    pub fn of_store(
        settings: HandlerSettings,
        awaiting_callback: Option<u64>,
        max_awaiting: Option<u64>,
    ) -> Self {
        Self { settings, awaiting_callback, max_awaiting, concurrency: None, breaker: None, recent: None }
    }

    fn with_load(self, load: HandlerLoad) -> Self {
        let HandlerLoad { in_use, limit, is_shared, unreachable_until, .. } = load;
        Self {
            concurrency: Some(ConcurrencyView { in_use, limit, shared: is_shared }),
            breaker: Some(BreakerView {
                open: unreachable_until.is_some(),
                next_probe_at: unreachable_until,
            }),
            ..self
        }
    }
}

impl From<&HandlerStats> for RecentView {
    fn from(stats: &HandlerStats) -> Self {
        Self {
            jobs: stats.jobs,
            answered: stats.answered,
            fallbacks: stats.fallbacks,
            delivered: stats.delivered,
            dead: stats.dead,
            p50_ms: stats.p50.map(whole_millis),
            p99_ms: stats.p99.map(whole_millis),
        }
    }
}

/// Reads the statistics of the recent jobs of all handlers.
pub(super) async fn recent(shared: &Shared) -> Result<Vec<HandlerStats>, StoreError> {
    shared.store.jobs().handler_stats(shared.clock.now() - RECENT).await
}

/// All handlers, by name.
pub(super) fn views(shared: &Shared, stats: &[HandlerStats]) -> Vec<HandlerView> {
    let view = |settings: HandlerSettings| {
        let name = settings.name.clone();
        let awaiting = shared.store.callbacks().awaiting(name.as_str());
        let max_awaiting = shared.live.max_awaiting(&name);
        let recent = stats.iter().find(|stats| stats.handler == name).map(RecentView::from);
        let view = HandlerView { recent, ..HandlerView::of_store(settings, Some(awaiting), max_awaiting) };
        match shared.live.load(&name) {
            Some(load) => view.with_load(load),
            None => view,
        }
    };
    shared.live.handlers().into_iter().map(view).collect()
}

/// The handlers, by name.
#[derive(Debug, Serialize, ToSchema)]
struct HandlersPage {
    /// The handlers.
    handlers: Vec<HandlerView>,
}

/// Lists the handlers
///
/// With their settings, permits, circuit breakers and recent jobs. This API does not test a handler: the command
/// `handlers test` and the page of handlers send a test request to a handler at a URL.
#[utoipa::path(get, path = "/api/v1/handlers", tag = tag::STATE, operation_id = "listHandlers",
    responses((status = 200, description = "The handlers.", body = HandlersPage), StoreErrors))]
pub(super) async fn list(State(shared): State<Shared>) -> Answer {
    let stats = within(STORE_TIMEOUT, recent(&shared)).await?;
    Ok(Json(HandlersPage { handlers: views(&shared, &stats) }).into_response())
}
