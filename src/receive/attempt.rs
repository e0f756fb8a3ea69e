//! One request, from its head to the answer: the checks in their order, from cheap to dear, and then the store.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use serde::Serialize;

use model::{AccountId, HandlerName, JobId, NewJob, WidgetRequest};
use store::Accepted;

use super::body::RawRequest;
use super::body::read::read;
use super::decide::Rejection;
use super::seen::Seen;
use super::token::{Unfit, Unverified};
use super::{Receiver, Receiving, Route, log, return_url};

/// How long an idempotency key is known beyond the last moment at which its request can be stored: the calendar may be set
/// back a little.
const KEY_OUTLIVES: Duration = Duration::from_secs(5);

/// What a caller learns of its job.
#[derive(Serialize)]
struct Acknowledgement {
    job_id: JobId,
    duplicate: bool,
}

/// A refusal, whom it concerns if that is known for sure, and what the request named that is at fault.
pub(super) struct Refused {
    pub(super) rejection: Rejection,
    pub(super) account_id: Option<AccountId>,
    pub(super) seen: Option<Seen>,
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

/// Answers one request.
pub(super) async fn widget_request(
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
    log::count(handler, &answered);
    match answered {
        Ok(Accepted { id, duplicate }) => {
            let took = receiver.clock.elapsed().saturating_sub(started);
            metrics::histogram!("bridge_ack_seconds").record(took.as_secs_f64());
            Json(Acknowledgement { job_id: id, duplicate }).into_response()
        }
        Err(refused) => {
            if receiving.flood.may_tell(refused.rejection.outcome()) {
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
        let body = read(request.into_body(), self.max_body, self.read_timeout).await?;
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
