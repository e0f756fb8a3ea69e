//! The public OAuth endpoints: `GET /oauth/callback`, where Kommo redirects a person after the authorization, and
//! `GET /oauth/revoked`, where Kommo reports that an account disconnected the integration.
//!
//! `accounts` does the work. This room parses the call and presents the result: as a page to a person's browser, as
//! JSON to everyone else. If the caller hangs up, an exchange that has started continues, because a code works only once;
//! its result is still logged and counted. A reloaded page shows the result of its first call.
//! No answer or log line contains any part of a code, a `state` or a signature.
//!
//! While the bridge stops, a callback gets 503 before its code is used, so the code still works after the restart.
//! Revocations are carried out even then, because Kommo may not report them again.
//!
//! Metrics: the counters `bridge_oauth_callbacks_total{outcome}` and `bridge_oauth_revocations_total{outcome}`. A
//! revocation that waited (`pending`) is counted again when it is decided: as `revoked` or `dropped`.

mod answer;
mod page;
mod query;
mod refusal;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::ALLOW;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::accounts::{Accounts, Callback, ConnectError, Connected, Connection, Kept, Revocation, Revoked};
use crate::log_limiter::LogLimiter;
use crate::problem::wants_page;
use crate::problem::{self, ProblemDetails};
use model::clock::Clock;
use query::Key;
use refusal::{Refusal, RevocationRefusal};

/// The maximum number of parallel exchanges for people with a link. Each valid call costs a call to Kommo.
/// Installations, which anyone can send, have separate limits in `accounts`, so they cannot crowd out people.
const MAX_PARALLEL_EXCHANGES: usize = 16;

/// The parameters of a callback, each with its maximum length in bytes. Kommo's codes are about a thousand bytes
/// long.
const CALLBACK_KEYS: [Key; 6] = [
    Key { name: "code", max_bytes: 4096 },
    Key { name: "referer", max_bytes: 300 },
    Key { name: "client_id", max_bytes: 100 },
    Key { name: "state", max_bytes: 500 },
    Key { name: "from_widget", max_bytes: 10 },
    Key { name: "error", max_bytes: 100 },
];

/// The parameters of a revocation.
const REVOCATION_KEYS: [Key; 3] = [
    Key { name: "account_id", max_bytes: 20 },
    Key { name: "client_uuid", max_bytes: 100 },
    Key { name: "signature", max_bytes: 200 },
];

/// The inputs of the two endpoints.
pub struct Oauth {
    /// Connects and disconnects accounts.
    pub accounts: Accounts,
    /// Once it is cancelled, no new exchange starts.
    pub draining: CancellationToken,
    /// The time.
    pub clock: Clock,
}

struct Shared {
    oauth: Oauth,
    log_limiter: LogLimiter,
    exchanges: Semaphore,
}

/// The outcome of a valid callback.
enum Outcome {
    /// The account is connected.
    Connected(Connected),
    /// An earlier identical call connected the account, and it is still connected.
    Repeated(Connected),
    /// The code of an installation was stored.
    Kept(Kept),
    /// The person refused.
    Denied,
}

impl From<Connection> for Outcome {
    fn from(connection: Connection) -> Self {
        match connection {
            Connection::Made(connected) => Self::Connected(connected),
            Connection::Repeated(connected) => Self::Repeated(connected),
            Connection::Kept(kept) => Self::Kept(kept),
        }
    }
}

/// Returns the routes. All errors are `application/problem+json`, or a page for a person.
pub fn router(oauth: Oauth) -> Router {
    // A GET route would also serve HEAD, and merely checking a link would use up its code.
    let router = Router::new()
        .route("/oauth/callback", get(callback).head(get_only))
        .route("/oauth/revoked", get(revoked).head(get_only));
    let exchanges = Semaphore::new(MAX_PARALLEL_EXCHANGES);
    let log_limiter = LogLimiter::new("OAuth calls refused", oauth.clock.clone());
    let shared = Shared { oauth, log_limiter, exchanges };
    problem::with_fallbacks(router).with_state(Arc::new(shared))
}

async fn get_only() -> Response {
    let detail = "This path accepts only GET.";
    let mut response = ProblemDetails::of_status(StatusCode::METHOD_NOT_ALLOWED, detail).into_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    response
}

async fn callback(State(shared): State<Arc<Shared>>, headers: HeaderMap, uri: Uri) -> Response {
    let task = tokio::spawn(async move {
        let done = shared.call_back(uri.query().unwrap_or_default()).await;
        let outcome = match &done {
            Ok(Outcome::Connected(_)) => "connected",
            Ok(Outcome::Repeated(_)) => "repeated",
            Ok(Outcome::Kept(kept)) => {
                if shared.log_limiter.allows("kept") {
                    log_kept(kept);
                }
                "kept"
            }
            Ok(Outcome::Denied) => {
                if shared.log_limiter.allows("denied") {
                    tracing::info!("account not connected: the person refused access");
                }
                "denied"
            }
            Err(refusal) => {
                let outcome = refusal.kind().outcome;
                if shared.log_limiter.allows(outcome) {
                    tracing::warn!(reason = refusal.reason(), "account not connected");
                }
                outcome
            }
        };
        metrics::counter!("bridge_oauth_callbacks_total", "outcome" => outcome).increment(1);
        done
    });
    let interrupted = |_| Err(ConnectError::interrupted().into());
    let done = task.await.unwrap_or_else(interrupted);
    if wants_page(&headers) { answer::page(&done) } else { answer::json(&done) }
}

fn log_kept(kept: &Kept) {
    let (host, integration) = (page::host(&kept.origin), &*kept.integration);
    if kept.needs_confirmation {
        tracing::warn!(
            account.host = host,
            integration,
            "installation without a link from an unknown address: if this account is yours, confirm it with \
             `accounts confirm` within 20 minutes"
        );
    } else {
        tracing::info!(account.host = host, integration, "installation waits for its turn");
    }
}

async fn revoked(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    // A separate task, so that the result is always logged; `revoke` itself continues without its caller.
    let task = tokio::spawn(async move {
        let done = shared.revoke(uri.query().unwrap_or_default()).await;
        let outcome = match &done {
            Ok(Revoked::Done(_)) => "revoked",
            Ok(Revoked::Pending) => "pending",
            Err(refusal) => refusal.kind().outcome,
        };
        metrics::counter!("bridge_oauth_revocations_total", "outcome" => outcome).increment(1);
        if let Err(refusal) = &done
            && shared.log_limiter.allows(outcome)
        {
            tracing::warn!(reason = refusal.reason(), "account not disconnected");
        }
        done
    });
    answer::revoked(task.await.unwrap_or(Err(RevocationRefusal::Interrupted)))
}

impl Shared {
    async fn call_back(&self, query: &str) -> Result<Outcome, Refusal> {
        let [code, referer, client_id, state, from_widget, error] = query::read(query, CALLBACK_KEYS)?;
        match error.as_deref() {
            Some("access_denied") => return Ok(Outcome::Denied),
            Some(error) => return Err(Refusal::reported(error)),
            None => {}
        }
        let callback = Callback {
            code: query::needed(code, "code")?.into(),
            referer: query::needed(referer, "referer")?,
            client_id,
            state,
            from_widget: from_widget.as_deref() == Some("1"),
        };
        if self.oauth.draining.is_cancelled() {
            return Err(Refusal::Stopping);
        }
        let _permit = match callback.state {
            Some(_) => Some(self.exchanges.try_acquire().map_err(|_| Refusal::Busy)?),
            None => None,
        };
        Ok(self.oauth.accounts.connect(callback).await?.into())
    }

    async fn revoke(&self, query: &str) -> Result<Revoked, RevocationRefusal> {
        let [account_id, client_uuid, signature] = query::read(query, REVOCATION_KEYS)?;
        let revocation = Revocation {
            account_id: query::needed(account_id, "account_id")?,
            client_uuid: query::needed(client_uuid, "client_uuid")?,
            signature: query::needed(signature, "signature")?,
        };
        Ok(self.oauth.accounts.revoke(revocation).await?)
    }
}

#[cfg(test)]
mod tests;
