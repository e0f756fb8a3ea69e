//! `/api/v1/handlers`: the handlers, what they do at the moment, and their recent jobs.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::json;

use model::{HandlerLoad, Timestamp, whole_millis};
use store::HandlerStats;

use super::Shared;
use super::call::{Answer, STORE_TIMEOUT, within};
use super::live::HandlerSettings;

/// The period of the statistics.
const RECENT: Duration = Duration::from_secs(300);

/// One handler, as the API and `handlers list --json` show it.
#[derive(Clone, Debug, Serialize)]
pub struct HandlerView {
    #[serde(flatten)]
    settings: HandlerSettings,
    /// How many of its jobs await a callback; null if there is no store yet.
    awaiting_callback: Option<u64>,
    /// How many may; null if any number may.
    max_awaiting: Option<u64>,
    /// Its permits; null if no bridge runs.
    concurrency: Option<ConcurrencyView>,
    /// Its circuit breaker; null if no bridge runs.
    breaker: Option<BreakerView>,
    /// Its jobs of the last five minutes; null if there are none.
    recent: Option<RecentView>,
}

/// The permits that a handler may use.
#[derive(Clone, Copy, Debug, Serialize)]
struct ConcurrencyView {
    in_use: usize,
    limit: usize,
    /// Whether it shares them with other handlers (`workers.concurrency`).
    shared: bool,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct BreakerView {
    /// Whether its URL cannot be reached, so that its jobs wait.
    open: bool,
    /// When the next call tests that; null if it is closed.
    next_probe_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct RecentView {
    jobs: u64,
    answered: u64,
    fallbacks: u64,
    delivered: u64,
    dead: u64,
    /// From the receipt to the continue, of those that were delivered.
    p50_ms: Option<u64>,
    p99_ms: Option<u64>,
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

/// `GET /api/v1/handlers`
pub(super) async fn list(State(shared): State<Shared>) -> Answer {
    let since = shared.clock.now() - RECENT;
    let stats = within(STORE_TIMEOUT, shared.store.jobs().handler_stats(since)).await?;
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
    let handlers: Vec<HandlerView> = shared.live.handlers().into_iter().map(view).collect();
    Ok(Json(json!({ "handlers": handlers })).into_response())
}
