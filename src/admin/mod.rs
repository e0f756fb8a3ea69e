//! The admin listener: health, metrics and the API of jobs, errors, accounts, handlers and the store.
//!
//! It serves the operators of the bridge, never Kommo. A single place, [`guard`], checks access for all routes, so a
//! new route is guarded automatically. Only `/health/*` is open to everyone, because probes send no tokens; it
//! reveals nothing about jobs.
//!
//! Every change goes through the store, and takes effect even if the caller hangs up.

mod accounts;
mod actions;
mod bulk;
mod bulk_json;
mod bulk_token;
mod call;
mod erase;
mod errors;
mod events;
mod explain;
mod filter;
#[cfg(test)]
pub(crate) mod fixture;
mod guard;
mod handlers;
mod health;
mod history;
mod job_json;
mod jobs;
mod jobs_query;
mod live;
mod metrics;
mod outcomes_json;
mod prober;
mod refusal;
mod store_view;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};

use crate::health::Health;
use crate::history::History;
use crate::job_log::JobLog;
use crate::problem::with_fallbacks;
use crate::secrets::SharedSecret;
use model::clock::Clock;
use model::{CheckedCompletion, HandlerName, Timestamp};
use store::Store;

pub use accounts::{AccountView, AccountsView, InstallationView};
#[cfg(feature = "cli")]
pub use actions::ActionsView;
pub use bulk_json::DeliveryRates;
#[cfg(feature = "cli")]
pub use bulk_json::{BulkPlanView, BulkView, ErasableView};
#[cfg(feature = "cli")]
pub use errors::ErrorGroupView;
#[cfg(feature = "cli")]
pub use explain::ExplanationView;
pub use filter::AccountNames;
#[cfg(feature = "cli")]
pub use filter::{BadFilter, searches};
#[cfg(feature = "cli")]
pub use handlers::HandlerView;
#[cfg(feature = "cli")]
pub use job_json::{JobView, JobWithAttempts, PageView, stopped_because};
#[cfg(feature = "cli")]
pub use jobs_query::{DEFAULT_LIMIT, MAX_LIMIT};

pub use live::{HandlerSettings, ListedAccounts, Live, StoreSettings};

use bulk_token::BulkTokens;
use events::Followers;
use prober::Prober;

/// The largest request body, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// The inputs of the admin listener.
#[derive(Clone)]
pub struct Admin {
    /// The store of the jobs.
    pub store: Store,
    /// The state that the rooms report.
    pub health: Health,
    /// The registered handlers.
    pub handlers: Arc<HashSet<HandlerName>>,
    /// `admin.token`; [`router`] describes access without one.
    pub token: Option<SharedSecret>,
    /// Renders the metrics of the process.
    pub metrics: RenderMetrics,
    /// The history for charts.
    pub history: History,
    /// Returns when the first access token of a connected account expires.
    pub token_expiry: TokenExpiry,
    /// Logs cancelled jobs.
    pub job_log: JobLog,
    /// The clock, for ages.
    pub clock: Clock,
    /// Returns what the bot gets if a handler has no answer.
    pub fallback: Fallback,
    /// What only the running bridge knows.
    pub live: Arc<dyn Live>,
    /// The accounts of the configuration, for filters.
    pub account_names: AccountNames,
    /// The pace of deliveries, which says how long a bulk retry takes.
    pub rates: DeliveryRates,
    /// Fills a buffer with secret random bytes; returns whether it could.
    pub secret_random: fn(&mut [u8]) -> bool,
}

/// Renders metrics as Prometheus text.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Returns when the first token expires; `None` if there is none.
pub type TokenExpiry = Arc<dyn Fn() -> Option<Timestamp> + Send + Sync>;

/// Returns the fallback of a handler.
pub type Fallback = Arc<dyn Fn(&HandlerName) -> CheckedCompletion + Send + Sync>;

/// Returns the routes of the admin listener.
///
/// With a token, everything but `/health/*` requires `Authorization: Bearer TOKEN`, which a web page cannot send on
/// behalf of its visitor. Without a token, which is allowed only on a loopback address, any program on this machine has
/// access, but no web page that is open on it. A `Host` that is neither an address nor `localhost` is refused, because
/// the owner of a page can make its host name point here. Requests that a browser sends for a page of another origin,
/// including reads, are refused too. Headers forbid browsers to cache a response or to share it with another site.
pub fn router(admin: Admin) -> Router {
    let guard = Arc::new(guard::Guard::new(admin.token, admin.clock.clone()));
    let state = Shared {
        prober: Arc::new(Prober::of_store(admin.store.clone(), admin.clock.clone())),
        store: admin.store,
        health: admin.health,
        handlers: admin.handlers,
        metrics: admin.metrics,
        history: admin.history,
        token_expiry: admin.token_expiry,
        job_log: admin.job_log,
        clock: admin.clock,
        fallback: admin.fallback,
        live: admin.live,
        followers: Followers::default(),
        account_names: admin.account_names,
        rates: admin.rates,
        bulk_tokens: Arc::new(BulkTokens::new(admin.secret_random)),
    };
    let routes = Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/health/nonce", get(health::nonce))
        .route("/metrics", get(metrics::scrape))
        .route("/api/v1/jobs", get(jobs::list))
        .route("/api/v1/jobs/retry", post(jobs::retry_many))
        .route("/api/v1/jobs/erase", post(erase::erase))
        .route("/api/v1/jobs/bulk", post(bulk::change))
        .route("/api/v1/jobs/bulk/{id}", get(bulk::one))
        .route("/api/v1/jobs/bulk/{id}/stop", post(bulk::stop))
        .route("/api/v1/actions", get(actions::list))
        .route("/api/v1/jobs/{id}", get(jobs::one))
        .route("/api/v1/jobs/{id}/retry", post(jobs::retry))
        .route("/api/v1/jobs/{id}/cancel", post(jobs::cancel))
        .route("/api/v1/jobs/{id}/complete", post(jobs::complete))
        .route("/api/v1/jobs/{id}/explain", get(explain::one))
        .route("/api/v1/errors", get(errors::list))
        .route("/api/v1/errors/{id}", get(errors::one))
        .route("/api/v1/errors/{id}/retry", post(errors::retry))
        .route("/api/v1/accounts", get(accounts::list))
        .route("/api/v1/handlers", get(handlers::list))
        .route("/api/v1/store", get(store_view::show))
        .route("/api/v1/events", get(events::follow))
        .route("/api/v1/stats", get(jobs::stats))
        .route("/api/v1/history", get(history::history));
    with_fallbacks(routes)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .with_state(state)
}

/// The shared state of the routes.
#[derive(Clone)]
struct Shared {
    prober: Arc<Prober>,
    store: Store,
    health: Health,
    handlers: Arc<HashSet<HandlerName>>,
    metrics: RenderMetrics,
    history: History,
    token_expiry: TokenExpiry,
    job_log: JobLog,
    clock: Clock,
    fallback: Fallback,
    live: Arc<dyn Live>,
    followers: Followers,
    account_names: AccountNames,
    rates: DeliveryRates,
    /// `None` if the system provided no random bytes.
    bulk_tokens: Arc<Option<BulkTokens>>,
}
