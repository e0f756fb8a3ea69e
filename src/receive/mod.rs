//! Receives `widget_request`s: `POST /widget_request/{handler}`.
//!
//! Kommo waits two seconds for the answer, so this room does nothing but read, verify and store. A 200
//! says that the job is on the disk; whoever sends a request with a known `jti` again learns the first
//! one's id. The checks go from cheap to dear, and each has its refusal: the handler's name, the body, the
//! token, the `return_url`, the store. Nothing of a body, a token or a URL goes into a log line, but for the name, the claim or
//! the host that a refusal is about ([`seen`]); of many refusals of one outcome not each has a line of its own.
//!
//! Metrics: the counter `bridge_requests_total{handler, outcome}`, where `handler` is `unknown` unless it is
//! registered, and the histogram `bridge_ack_seconds`, from a request's head to its 200.

mod body;
mod decide;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod return_url;
mod seen;
mod token;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use token::keyring::Integration;

use crate::flood::Flood;
use crate::problem;
use body::RawRequest;
use decide::Rejection;
use model::clock::Clock;
use model::{AccountId, HandlerName, HostRules, JobId, NewJob, WidgetRequest};
use seen::Seen;
use store::{Accepted, Store};
use token::{Unfit, Unverified};

/// How long an idempotency key is known beyond the last moment at which its request can be stored: the calendar may be set
/// back a little.
const KEY_OUTLIVES: Duration = Duration::from_secs(5);

/// Whether an account has disconnected the integration of a `client_uuid`.
pub type IsDisabled = Arc<dyn Fn(AccountId, &str) -> bool + Send + Sync>;

/// What receiving has to know of a handler.
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
pub type WasSeen = Arc<dyn Fn(&str, &str, AccountId) + Send + Sync>;

/// All that receiving takes.
pub struct Receiver {
    /// The handlers.
    pub handlers: HashMap<HandlerName, Route>,
    /// Whose tokens are good.
    pub integrations: Vec<Integration>,
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
    /// Whether Kommo has told that an account disconnected the integration of this `client_uuid`.
    pub is_disabled: IsDisabled,
    /// Called for each accepted request: which account was at which address.
    pub was_seen: WasSeen,
    /// Where the jobs go.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Random bits, for the ids of jobs.
    pub random: Arc<dyn Fn() -> u128 + Send + Sync>,
    /// Once it is cancelled every request is answered 503.
    pub draining: CancellationToken,
}

/// The public listener's routes. Whatever it answers, errors are `application/problem+json`.
pub fn router(receiver: Receiver) -> Router {
    let router = Router::new().route("/widget_request/{handler}", post(widget_request));
    let flood = Flood::new("widget_requests refused", receiver.clock.clone());
    problem::with_fallbacks(router).with_state(Arc::new(Receiving { receiver, flood }))
}

struct Receiving {
    receiver: Receiver,
    flood: Flood,
}

/// What a caller learns of its job.
#[derive(Serialize)]
struct Acknowledgement {
    job_id: JobId,
    duplicate: bool,
}

/// A refusal, whom it concerns if that is known for sure, and what the request named that is at fault.
struct Refused {
    rejection: Rejection,
    account_id: Option<AccountId>,
    seen: Option<Seen>,
}

impl<R: Into<Rejection>> From<R> for Refused {
    fn from(rejection: R) -> Self {
        Self { rejection: rejection.into(), account_id: None, seen: None }
    }
}

impl From<Unfit> for Refused {
    fn from(unfit: Unfit) -> Self {
        Self { seen: unfit.seen, ..unfit.error.into() }
    }
}

async fn widget_request(
    State(receiving): State<Arc<Receiving>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let receiver = &receiving.receiver;
    let started = receiver.clock.elapsed();
    // A path that is not text names no handler either.
    let named = path.map_or_else(|_| request.uri().path().to_owned(), |Path(name)| name);
    let known = receiver.handlers.get_key_value(named.as_str());
    let answered = match known {
        Some((name, route)) => receiver.receive(name, route, started, request).await,
        None => Err(Refused { seen: Some(Seen::Handler(named)), ..Rejection::NoHandler.into() }),
    };
    let handler = known.map_or("unknown", |(name, _)| name.as_str());
    let outcome = match &answered {
        Ok(Accepted { duplicate: false, .. }) => "accepted",
        Ok(Accepted { duplicate: true, .. }) => "duplicate",
        Err(refused) => refused.rejection.outcome(),
    };
    metrics::counter!("bridge_requests_total", "handler" => handler.to_owned(), "outcome" => outcome)
        .increment(1);
    match answered {
        Ok(Accepted { id, duplicate }) => {
            let took = receiver.clock.elapsed().saturating_sub(started);
            metrics::histogram!("bridge_ack_seconds").record(took.as_secs_f64());
            Json(Acknowledgement { job_id: id, duplicate }).into_response()
        }
        Err(refused) => {
            if receiving.flood.may_tell(outcome) {
                refused.log(handler);
            }
            refused.rejection.into_response()
        }
    }
}

impl Receiver {
    /// The checks, in their order; then the store.
    async fn receive(
        &self,
        handler: &HandlerName,
        route: &Route,
        started: Duration,
        request: Request,
    ) -> Result<Accepted, Refused> {
        if self.draining.is_cancelled() {
            return Err(Rejection::Draining.into());
        }
        let (received_at, waiting_since) = (self.clock.now(), self.clock.steady());
        let encoding = encoding(request.headers());
        // It is read in any case: a caller that still sends does not see the answer.
        let body = body::read::read(request.into_body(), self.max_body, self.read_timeout).await?;
        if let Some(encoding) = encoding {
            return Err(Refused { seen: Some(Seen::Encoding(encoding)), ..Rejection::Encoded.into() });
        }
        let RawRequest { token, return_url, data } = RawRequest::parse(&body)?;
        let verified = Unverified::parse(&token)?.verify(
            &self.integrations,
            self.public_url.as_ref(),
            self.clock.now(),
        )?;
        let account_id = verified.account_id;
        let refused = |rejection| Refused { rejection, account_id: Some(account_id), seen: None };

        if !route.is_open_to(&verified.integration) {
            return Err(refused(Rejection::NotForIntegration(verified.integration)));
        }
        if (self.is_disabled)(account_id, &verified.client_uuid) {
            return Err(refused(Rejection::Disabled));
        }
        let return_url = return_url::check(&return_url, &verified.iss, &self.hosts)
            .map_err(|refusal| Refused { seen: Seen::host_of(&return_url), ..refused(refusal.into()) })?;
        let origin = return_url.origin().to_owned();
        let job = NewJob {
            id: JobId::new(received_at, (self.random)()),
            handler: handler.clone(),
            request: WidgetRequest { account_id, entity: verified.entity, return_url, data },
            idempotency_key: verified.idempotency_key,
            // The request may still be on its way into the store when its token ends; its key has to be known there.
            token_expires_at: verified.expires_at + self.ack_deadline + KEY_OUTLIVES,
            received_at,
            answer_by: waiting_since + route.answer_within,
        };
        let spent = self.clock.elapsed().saturating_sub(started);
        let within = self.ack_deadline.saturating_sub(spent);
        if within.is_zero() {
            return Err(refused(Rejection::Late));
        }
        let accepted = self.store.accept(job, within).await.map_err(|error| refused(error.into()))?;
        // The `return_url` has the scheme, host and port of the token's `iss`.
        (self.was_seen)(&verified.client_uuid, &origin, account_id);
        tracing::debug!(
            handler = handler.as_str(),
            job.id = %accepted.id,
            duplicate = accepted.duplicate,
            account.id = account_id.0,
            integration = &*verified.integration,
            "a widget_request was stored"
        );
        Ok(accepted)
    }
}

/// The header `Content-Encoding`, if the body is not plain. Many clients ask for answers in gzip; few send requests in it.
fn encoding(headers: &HeaderMap) -> Option<String> {
    let values =
        headers.get_all(CONTENT_ENCODING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let all = values.collect::<Vec<_>>().join(", ");
    let is_plain = |coding: &str| coding.trim().is_empty() || coding.trim().eq_ignore_ascii_case("identity");
    (!all.split(',').all(is_plain)).then_some(all)
}

impl Refused {
    fn log(&self, handler: &str) {
        let reason = self.rejection.reason();
        let account_id = self.account_id.map(|account| account.0);
        let seen = |is: fn(&Seen) -> bool| self.seen.as_ref().filter(|seen| is(seen)).map(Seen::text);
        // A macro, because a line has its level from the start. What is `None` is left out of it.
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    handler,
                    reason,
                    account.id = account_id,
                    path.handler = seen(|seen| matches!(seen, Seen::Handler(_))),
                    token.client_uuid = seen(|seen| matches!(seen, Seen::ClientUuid(_))),
                    token.aud = seen(|seen| matches!(seen, Seen::Audience(_))),
                    return_url.host = seen(|seen| matches!(seen, Seen::Host(_))),
                    content_encoding = seen(|seen| matches!(seen, Seen::Encoding(_))),
                    "a widget_request was refused"
                )
            };
        }
        if self.rejection.is_worth_a_warning() {
            log!(warn);
        } else {
            log!(info);
        }
    }
}

#[cfg(test)]
mod tests;
