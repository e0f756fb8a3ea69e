//! Handles one request: the checks in order, from cheap to expensive, and then the store.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use serde::Serialize;

use crate::request_body::read;
use model::{HandlerName, JobId, NewJob, WidgetRequest};
use store::Accepted;

use super::body::RawRequest;
use super::decide::{Refusal, Rejection};
use super::faulty_value::FaultyValue;
use super::token::Unverified;
use super::{Receiver, ReceiverState, Route, return_url};

/// Extra time for which an idempotency key is kept after its request can no longer be stored, in case the calendar clock
/// is set back a little.
const IDEMPOTENCY_KEY_MARGIN: Duration = Duration::from_secs(5);

/// The body of a 200.
#[derive(Serialize)]
struct Acknowledgement {
    job_id: JobId,
    duplicate: bool,
}

/// Handles one request.
pub(super) async fn widget_request(
    State(state): State<Arc<ReceiverState>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let receiver = &state.receiver;
    let started = receiver.clock.elapsed();
    // A path that is not text matches no handler either.
    let named = path.map_or_else(|_| request.uri().path().to_owned(), |Path(name)| name);
    let known = receiver.handlers.get_key_value(named.as_str());
    let answered = match known {
        Some((name, route)) => receiver.receive(name, route, started, request).await,
        None => {
            Err(Refusal { faulty_value: Some(FaultyValue::Handler(named)), ..Rejection::NoHandler.into() })
        }
    };
    let handler = known.map_or("unknown", |(name, _)| name.as_str());
    state.meters.count(known.map(|(name, _)| name), &answered);
    match answered {
        Ok(Accepted { id, duplicate }) => {
            let took = receiver.clock.elapsed().saturating_sub(started);
            state.meters.acknowledged(took);
            if !duplicate {
                receiver.notes.totals.request();
            }
            Json(Acknowledgement { job_id: id, duplicate }).into_response()
        }
        Err(refusal) => {
            let now = receiver.clock.now();
            receiver.notes.health.refused(refusal.rejection.outcome(), refusal.explanation(), now);
            if state.log_limiter.allows(refusal.rejection.outcome()) {
                refusal.log(handler);
            }
            refusal.rejection.into_response()
        }
    }
}

impl Receiver {
    /// Checks the request and stores its job.
    async fn receive(
        &self,
        handler: &HandlerName,
        route: &Route,
        started: Duration,
        request: Request,
    ) -> Result<Accepted, Refusal> {
        if self.draining.is_cancelled() {
            return Err(Rejection::Draining.into());
        }
        let (received_at, waiting_since) = (self.clock.now(), self.clock.steady());
        let encoding = encoding(request.headers());
        // The body is read even if the request is refused later: a caller that is still sending would not see the
        // response.
        let body = read(request.into_body(), self.max_body, self.read_timeout).await?;
        if let Some(encoding) = encoding {
            return Err(Refusal {
                faulty_value: Some(FaultyValue::Encoding(encoding)),
                ..Rejection::Encoded.into()
            });
        }
        let RawRequest { token, return_url, data } = RawRequest::parse(&body)?;
        let verified =
            Unverified::parse(&token)?.verify(&self.signers, self.public_url.as_ref(), self.clock.now())?;
        let account_id = verified.account_id;
        let refusal = |rejection| Refusal { rejection, account_id: Some(account_id), faulty_value: None };

        if !route.is_open_to(&verified.integration) {
            return Err(refusal(Rejection::NotForIntegration(verified.integration)));
        }
        if (self.is_disabled)(account_id, &verified.client_uuid) {
            return Err(refusal(Rejection::Disabled));
        }
        let return_url = return_url::check(&return_url, &verified.iss, &self.hosts).map_err(|error| {
            Refusal { faulty_value: FaultyValue::host_of(&return_url), ..refusal(error.into()) }
        })?;
        let origin = return_url.origin().to_owned();
        let job = NewJob {
            id: JobId::new(received_at, (self.random)()),
            handler: handler.clone(),
            request: WidgetRequest {
                account_id,
                entity: verified.entity,
                return_url,
                data,
                earlier: Vec::new(),
            },
            idempotency_key: verified.idempotency_key,
            // The token may expire while the request is being stored; the key must still be known then.
            token_expires_at: verified.expires_at + self.ack_deadline + IDEMPOTENCY_KEY_MARGIN,
            received_at,
            answer_by: waiting_since + route.answer_within,
            ordering: route.ordering,
        };
        let spent = self.clock.elapsed().saturating_sub(started);
        let within = self.ack_deadline.saturating_sub(spent);
        if within.is_zero() {
            return Err(refusal(Rejection::Late));
        }
        let accepted = self.store.jobs().accept(job, within).await.map_err(|error| refusal(error.into()))?;
        // The `return_url` has the same scheme, host and port as the token's `iss`.
        (self.on_account_seen)(&verified.client_uuid, &origin, account_id);
        tracing::debug!(
            handler = handler.as_str(),
            job.id = %accepted.id,
            duplicate = accepted.duplicate,
            account.id = account_id.0,
            integration = &*verified.integration,
            "widget_request stored"
        );
        Ok(accepted)
    }
}

/// Returns the header `Content-Encoding` if the body is encoded.
fn encoding(headers: &HeaderMap) -> Option<String> {
    let values =
        headers.get_all(CONTENT_ENCODING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let all = values.collect::<Vec<_>>().join(", ");
    let is_plain = |coding: &str| coding.trim().is_empty() || coding.trim().eq_ignore_ascii_case("identity");
    (!all.split(',').all(is_plain)).then_some(all)
}
