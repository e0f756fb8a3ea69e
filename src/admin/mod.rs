//! The admin listener: health, metrics and the API of jobs.
//!
//! It is for the operators of the bridge, never for Kommo. Who may ask is decided in one place
//! ([`guard`]), around all routes, so that a new route is guarded without doing anything for it.
//! Only `/health/*` is open to everyone, because probes carry no tokens; it says nothing about jobs.
//!
//! All that changes something goes through the store, and takes effect even if the asker hangs up.

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

/// The largest body of any request here, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// What the admin listener shows, and to whom.
#[derive(Clone)]
pub struct Admin {
    /// Where the jobs are.
    pub store: Store,
    /// What the rooms say of themselves.
    pub health: Health,
    /// The handlers that are registered.
    pub handlers: Arc<HashSet<HandlerName>>,
    /// `admin.token`; without one, see [`router`].
    pub token: Option<SharedSecret>,
    /// The numbers of the process.
    pub metrics: PrometheusHandle,
    /// What the log says of cancelled jobs.
    pub job_log: JobLog,
    /// For ages.
    pub clock: Clock,
    /// What the bot of a handler gets when there is no answer for it.
    pub fallback: Fallback,
}

/// The fallback of each handler.
pub type Fallback = Arc<dyn Fn(&HandlerName) -> CheckedCompletion + Send + Sync>;

/// The routes of the admin listener.
///
/// With a token, all but `/health/*` needs `Authorization: Bearer TOKEN`, which no web page can send for
/// its reader. Without one, which is for loopback addresses only, any program of this machine may ask,
/// but no web page that is open on this machine: a `Host` that is neither an address nor
/// `localhost` is refused (a page's own name that was made to point here), and so is what a browser sends for a page of
/// another origin, reads included. No browser keeps an answer or gives it to another site.
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
        .route("/metrics", get(metrics::scrape))
        .route("/api/v1/jobs", get(jobs::list))
        .route("/api/v1/jobs/retry", post(jobs::retry_many))
        .route("/api/v1/jobs/{id}", get(jobs::one))
        .route("/api/v1/jobs/{id}/retry", post(jobs::retry))
        .route("/api/v1/jobs/{id}/cancel", post(jobs::cancel))
        .route("/api/v1/stats", get(jobs::stats));
    with_fallbacks(routes)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .with_state(state)
}

/// What the routes work with.
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
