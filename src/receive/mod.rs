//! Receives `widget_request`s: `POST /widget_request/{handler}`.
//!
//! Kommo waits two seconds for the response, so this room only reads, verifies and stores. A 200 means that the job
//! is on disk. A caller that repeats a request with a known `jti` gets the id of the first job. The checks go from cheap
//! to expensive, and each has its own refusal: the handler's name, the body, the token, the `return_url`, the store. Log
//! lines contain nothing of a body, a token or a URL, except for the name, claim or host that caused a refusal
//! ([`faulty_value`]). Of frequent refusals with the same outcome, the log contains the first few, and then only their
//! number.
//!
//! Metrics: the counter `bridge_requests_total{handler, outcome}`, where `handler` is `unknown` unless it is
//! registered, and the histogram `bridge_ack_seconds`, the time from a request's head to its 200.

mod attempt;
mod body;
mod decide;
mod faulty_value;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod log;
mod return_url;
mod token;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::health::Health;
use crate::log_limiter::LogLimiter;
use crate::meters::Totals;
use crate::problem;
use model::clock::Clock;
use model::maps::HashMap;
use model::{AccountId, HandlerName, HostRules, JobOrdering};
use store::Store;

pub use token::signer::TokenSigner;

/// Whether an account has disconnected the integration of a `client_uuid`.
pub type IsDisabled = Arc<dyn Fn(AccountId, &str) -> bool + Send + Sync>;

/// What the receiver needs to know about a handler.
pub struct Route {
    /// A job's time limit for the answer, counted from receipt.
    pub answer_within: Duration,
    /// In which order its jobs run.
    pub ordering: JobOrdering,
    /// The names of the integrations whose tokens may call it; `None` for all.
    pub integrations: Option<BTreeSet<String>>,
}

impl Route {
    fn is_open_to(&self, integration: &str) -> bool {
        self.integrations.as_ref().is_none_or(|names| names.contains(integration))
    }
}

/// Records that a verified token of an integration (its `client_uuid`) named an address and an account together.
pub type OnAccountSeen = Arc<dyn Fn(&str, &str, AccountId) + Send + Sync>;

/// Where the receiver notes what became of requests.
pub struct Notes {
    /// Counts the requests that became jobs.
    pub totals: Totals,
    /// Lists those that were refused.
    pub health: Health,
}

/// The settings and collaborators of the receiver.
pub struct Receiver {
    /// The handlers.
    pub handlers: HashMap<HandlerName, Route>,
    /// The integrations whose tokens are accepted.
    pub signers: Vec<TokenSigner>,
    /// `server.public_url`: if set, a token's `aud` must have the same scheme and host.
    pub public_url: Option<Url>,
    /// Which hosts a `return_url` may name.
    pub hosts: HostRules,
    /// `server.max_body`, in bytes.
    pub max_body: usize,
    /// `server.read_timeout`: the time limit for a body.
    pub read_timeout: Duration,
    /// `server.ack_deadline`: the time limit for a response other than 503, counted from the request's head.
    pub ack_deadline: Duration,
    /// Whether an account has disconnected the integration of a `client_uuid`, according to Kommo.
    pub is_disabled: IsDisabled,
    /// Called for each accepted request, to record which account is at which address.
    pub on_account_seen: OnAccountSeen,
    /// The store of the jobs.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Returns random bits, for the ids of jobs.
    pub random: Arc<dyn Fn() -> u128 + Send + Sync>,
    /// Where to note what became of requests.
    pub notes: Notes,
    /// Once it is cancelled, every request gets 503.
    pub draining: CancellationToken,
}

/// Returns the routes of the public listener. All errors are `application/problem+json`.
pub fn router(receiver: Receiver) -> Router {
    let router = Router::new().route("/widget_request/{handler}", post(attempt::widget_request));
    let log_limiter = LogLimiter::new("widget_requests refused", receiver.clock.clone());
    let meters = log::RequestMeters::new();
    problem::with_fallbacks(router).with_state(Arc::new(ReceiverState { receiver, log_limiter, meters }))
}

struct ReceiverState {
    receiver: Receiver,
    log_limiter: LogLimiter,
    meters: log::RequestMeters,
}

#[cfg(test)]
mod tests;
