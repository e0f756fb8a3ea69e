//! Receives `widget_request`s: `POST /widget_request/{handler}`.
//!
//! Kommo waits two seconds for the answer, so this room does nothing but read, verify and store. A 200
//! says that the job is on the disk; a caller that repeats a request with a known `jti` gets the first
//! one's id. The checks go from cheap to dear, and each has its refusal: the handler's name, the body, the
//! token, the `return_url`, the store. Nothing of a body, a token or a URL goes into a log line, but for the name, the claim or
//! the host that a refusal is about ([`faulty_value`]); of many refusals of one outcome not each has a line of its own.
//!
//! Metrics: the counter `bridge_requests_total{handler, outcome}`, where `handler` is `unknown` unless it is
//! registered, and the histogram `bridge_ack_seconds`, from a request's head to its 200.

mod attempt;
mod body;
mod decide;
mod faulty_value;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod log;
mod return_url;
mod token;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::log_limiter::LogLimiter;
use crate::problem;
use model::clock::Clock;
use model::{AccountId, HandlerName, HostRules};
use store::Store;

pub use token::signer::TokenSigner;

/// Whether an account has disconnected the integration of a `client_uuid`.
pub type IsDisabled = Arc<dyn Fn(AccountId, &str) -> bool + Send + Sync>;

/// What the receiver has to know of a handler.
pub struct Route {
    /// A job's time to be answered, from receipt on.
    pub answer_within: Duration,
    /// The names of the integrations whose tokens may call it; `None`: all.
    pub integrations: Option<BTreeSet<String>>,
}

impl Route {
    fn is_open_to(&self, integration: &str) -> bool {
        self.integrations.as_ref().is_none_or(|names| names.contains(integration))
    }
}

/// Notes that a verified token of an integration (its `client_uuid`) names an address and an account together.
pub type OnAccountSeen = Arc<dyn Fn(&str, &str, AccountId) + Send + Sync>;

/// The settings and the collaborators of the receiver.
pub struct Receiver {
    /// The handlers.
    pub handlers: HashMap<HandlerName, Route>,
    /// The integrations whose tokens are accepted.
    pub signers: Vec<TokenSigner>,
    /// `server.public_url`: when set, a token's `aud` must have its scheme and host.
    pub public_url: Option<Url>,
    /// Where a `return_url` may lead.
    pub hosts: HostRules,
    /// `server.max_body`, in bytes.
    pub max_body: usize,
    /// `server.read_timeout`: a body that takes longer is cut.
    pub read_timeout: Duration,
    /// `server.ack_deadline`, from the request's head on: past it the answer is 503.
    pub ack_deadline: Duration,
    /// Whether an account has disconnected the integration of a `client_uuid`, according to Kommo.
    pub is_disabled: IsDisabled,
    /// Called for each accepted request: which account was at which address.
    pub on_account_seen: OnAccountSeen,
    /// Where the jobs go.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Random bits, for the ids of jobs.
    pub random: Arc<dyn Fn() -> u128 + Send + Sync>,
    /// Once it fires, the answer to every request is 503.
    pub draining: CancellationToken,
}

/// The public listener's routes. Whatever it answers, errors are `application/problem+json`.
pub fn router(receiver: Receiver) -> Router {
    let router = Router::new().route("/widget_request/{handler}", post(attempt::widget_request));
    let log_limiter = LogLimiter::new("widget_requests refused", receiver.clock.clone());
    problem::with_fallbacks(router).with_state(Arc::new(ReceiverState { receiver, log_limiter }))
}

struct ReceiverState {
    receiver: Receiver,
    log_limiter: LogLimiter,
}

#[cfg(test)]
mod tests;
