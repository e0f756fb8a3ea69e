//! The admin listener: health, metrics and the API of jobs.
//!
//! It serves the operators of the bridge, never Kommo. A single place, [`guard`], checks access for all routes, so a
//! new route is guarded automatically. Only `/health/*` is open to everyone, because probes send no tokens; it
//! reveals nothing about jobs.
//!
//! Every change goes through the store, and takes effect even if the caller hangs up.

#[cfg(test)]
pub(crate) mod fixture;
mod guard;
mod health;
mod job_json;
mod jobs;
mod jobs_query;
mod metrics;
mod outcomes_json;
mod prober;
mod refusal;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::health::Health;
use crate::job_log::JobLog;
use crate::problem::with_fallbacks;
use crate::secrets::SharedSecret;
use model::clock::Clock;
use model::{CheckedCompletion, HandlerName};
use store::Store;

#[cfg(feature = "cli")]
pub use job_json::{JobView, JobWithAttempts, PageView};
#[cfg(feature = "cli")]
pub use jobs_query::{DEFAULT_LIMIT, MAX_LIMIT};

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
    /// The metrics of the process.
    pub metrics: PrometheusHandle,
    /// Logs cancelled jobs.
    pub job_log: JobLog,
    /// The clock, for ages.
    pub clock: Clock,
    /// Returns what the bot gets if a handler has no answer.
    pub fallback: Fallback,
}

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
        job_log: admin.job_log,
        clock: admin.clock,
        fallback: admin.fallback,
    };
    let routes = Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/health/nonce", get(health::nonce))
        .route("/metrics", get(metrics::scrape))
        .route("/api/v1/jobs", get(jobs::list))
        .route("/api/v1/jobs/retry", post(jobs::retry_many))
        .route("/api/v1/jobs/{id}", get(jobs::one))
        .route("/api/v1/jobs/{id}/retry", post(jobs::retry))
        .route("/api/v1/jobs/{id}/cancel", post(jobs::cancel))
        .route("/api/v1/jobs/{id}/complete", post(jobs::complete))
        .route("/api/v1/stats", get(jobs::stats));
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
    metrics: PrometheusHandle,
    job_log: JobLog,
    clock: Clock,
    fallback: Fallback,
}
