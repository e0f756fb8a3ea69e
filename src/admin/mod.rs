//! The admin listener: health, metrics and the API of jobs, errors, accounts, handlers and the store; and its description.
//!
//! It serves the operators of the bridge, never Kommo. A single place, [`access`], checks access for all routes, so a
//! new route is guarded automatically. Only probes, the login and the files of pages are open to everyone
//! ([`is_open`]); they reveal nothing about jobs.
//!
//! Every change goes through the store, and takes effect even if the caller hangs up.

mod access;
mod accounts;
mod actions;
mod bulk;
mod bulk_json;
mod bulk_token;
mod call;
mod document;
mod erase;
mod errors;
mod events;
mod explain;
mod filter;
#[cfg(test)]
pub(crate) mod fixture;
mod handlers;
mod health;
mod history;
mod job_json;
mod jobs;
mod jobs_query;
mod live;
mod masked;
mod metrics;
mod outcomes_json;
mod pages;
mod paths;
mod prober;
mod query;
mod refusal;
mod responses;
mod settings;
mod store_check;
mod store_view;
#[cfg(test)]
mod tests;
mod top_errors;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use bytes::Bytes;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::health::Health;
use crate::history::History;
use crate::job_log::JobLog;
use crate::problem::with_fallbacks;
use crate::secrets::SharedSecret;
use model::clock::Clock;
use model::{CheckedCompletion, HandlerName, ShowData, Timestamp};
use store::Store;

pub use access::is_open;
#[cfg(feature = "cli")]
pub use accounts::origin_to_resume;
pub use accounts::{AccountView, AccountsView, InstallationView};
#[cfg(feature = "cli")]
pub use actions::{ActionsView, parse_kind, parse_source};
pub use bulk_json::DeliveryRates;
#[cfg(feature = "cli")]
pub use bulk_json::{BulkPlanView, BulkView, ErasableView, RetriedView};
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
pub use query::{DEFAULT_LIMIT, parse_limit};

pub use settings::{Settings, SettingsSource};

pub use live::{
    BackupsState, HandlerSettings, ListedAccounts, Live, StoreSettings, TestedHandler, TrialView,
};

use access::Access;
use bulk_token::BulkTokens;
use events::Followers;
use prober::Prober;
use store_check::StoreCheck;
use top_errors::TopErrors;

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
    /// `admin.read_token`; ignored without `token`.
    pub read_token: Option<SharedSecret>,
    /// `admin.show_data`
    pub show_data: ShowData,
    /// The configuration, for people.
    pub settings: Settings,
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
/// With a token, everything that is not open ([`is_open`]) requires `Authorization: Bearer TOKEN`, which a web page cannot
/// send on behalf of its visitor, or the session of a browser that has signed in with it. `read_token` may only read.
/// Without a token, which is allowed only on a loopback address, any program on this machine has
/// access, but no web page that is open on it. A `Host` that is neither an address nor `localhost` is refused, because
/// the owner of a page can make its host name point here. Requests that a browser sends for a page of another origin,
/// including reads, are refused too. Headers forbid browsers to cache a response or to share it with another site.
pub fn router(admin: Admin) -> Router {
    let access =
        Access::new(admin.token, admin.read_token, admin.show_data, admin.secret_random, admin.clock.clone());
    let access = Arc::new(access);
    let (routes, description) = routes();
    let state = Shared {
        document: document::render(&description, access.requires_token()),
        prober: Arc::new(Prober::of_store(admin.store.clone(), admin.clock.clone())),
        started: admin.clock.now(),
        store: admin.store,
        health: admin.health,
        handlers: admin.handlers,
        settings: admin.settings,
        metrics: admin.metrics,
        history: admin.history,
        token_expiry: admin.token_expiry,
        job_log: admin.job_log,
        clock: admin.clock,
        fallback: admin.fallback,
        live: admin.live,
        followers: Followers::default(),
        store_check: StoreCheck::default(),
        top_errors: TopErrors::default(),
        account_names: admin.account_names,
        rates: admin.rates,
        bulk_tokens: Arc::new(BulkTokens::new(admin.secret_random)),
    };
    let routes = routes.merge(pages::routes()).merge(access::routes(access.clone()));
    let error_page: access::ErrorPage = {
        let shared = state.clone();
        Arc::new(move |requested, response| {
            let shared = shared.clone();
            Box::pin(async move { pages::in_layout(requested, &shared, response).await })
        })
    };
    with_fallbacks(routes)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state((access, error_page), access::check))
        .with_state(state)
}

/// The routes, and their description. Each is added with its description.
fn routes() -> (Router<Shared>, OpenApi) {
    OpenApiRouter::with_openapi(document::empty())
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::nonce))
        .routes(routes!(metrics::scrape))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::retry_many))
        .routes(routes!(erase::erase))
        .routes(routes!(bulk::change))
        .routes(routes!(bulk::one))
        .routes(routes!(bulk::stop))
        .routes(routes!(actions::list))
        .routes(routes!(jobs::one))
        .routes(routes!(jobs::retry))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::complete))
        .routes(routes!(explain::one))
        .routes(routes!(errors::list))
        .routes(routes!(errors::one))
        .routes(routes!(errors::retry))
        .routes(routes!(accounts::list))
        .routes(routes!(handlers::list))
        .routes(routes!(store_view::show))
        .routes(routes!(events::follow))
        .routes(routes!(jobs::stats))
        .routes(routes!(history::history))
        .routes(routes!(document::show))
        .split_for_parts()
}

/// The shared state of the routes.
#[derive(Clone)]
struct Shared {
    /// The description of the API, as JSON.
    document: Bytes,
    prober: Arc<Prober>,
    store: Store,
    health: Health,
    handlers: Arc<HashSet<HandlerName>>,
    settings: Settings,
    metrics: RenderMetrics,
    history: History,
    token_expiry: TokenExpiry,
    job_log: JobLog,
    clock: Clock,
    fallback: Fallback,
    live: Arc<dyn Live>,
    followers: Followers,
    store_check: StoreCheck,
    top_errors: TopErrors,
    account_names: AccountNames,
    rates: DeliveryRates,
    /// `None` if the system provided no random bytes.
    bulk_tokens: Arc<Option<BulkTokens>>,
    /// When the bridge started, for people.
    started: Timestamp,
}

impl Shared {
    /// How long the bridge has been running.
    fn up(&self) -> Duration {
        self.clock.now().since(self.started)
    }
}
