//! Decides how to refuse a `widget_request`: the status, problem, label and log line for each reason.
//!
//! Each `type` is `urn:salesbot-bridge:problem:` and a slug that never changes. A caller learns what is wrong with
//! its request; what is wrong with the bridge appears only in the bridge's log.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_ENCODING, CONNECTION};
use http::{HeaderValue, StatusCode};

use super::body::BodyError;
use super::faulty_value::FaultyValue;
use super::return_url::ReturnUrlRefusal;
use super::token::{InvalidToken, TokenError};
use crate::problem::ProblemDetails;
use crate::request_body::ReadError;
use model::AccountId;
use store::{OverBudget, StoreError};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Rejection {
    /// The path does not name a registered handler.
    #[error("unknown handler; the widget block's URL must end with the name of a handler")]
    NoHandler,
    /// The body is larger than `server.max_body`.
    #[error("the body is larger than {limit} bytes, the value of server.max_body")]
    TooLarge {
        /// `server.max_body`.
        limit: usize,
    },
    /// The body was incomplete after `server.read_timeout`.
    #[error("the body did not arrive in time; send it without pauses")]
    Slow,
    /// The caller hung up, or sent invalid HTTP.
    #[error("the body is incomplete")]
    Broken,
    /// The body is compressed or otherwise encoded.
    #[error("the body is compressed or encoded (Content-Encoding); send it unencoded")]
    Encoded,
    /// The body is not a `widget_request`.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The token does not prove who sent the request, or is meant for someone else.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token is valid, but its integration is not in `handlers.NAME.integrations`.
    #[error(
        "the token is valid, but its integration may not call this handler; add the integration to the handler's \
         `integrations` in the bridge's configuration, or call another handler"
    )]
    NotForIntegration(Arc<str>),
    /// The account has disconnected the integration.
    #[error(
        "the account has disconnected this integration; an administrator of the account can authorize it again"
    )]
    Disabled,
    /// The `return_url` must not receive a bearer token.
    #[error(transparent)]
    ReturnUrl(#[from] ReturnUrlRefusal),
    /// The bridge is stopping.
    #[error("the bridge is stopping; send the same request again")]
    Draining,
    /// Reading and checking took longer than `server.ack_deadline`.
    #[error("the request could not be stored within server.ack_deadline; send the same request again")]
    Late,
    /// The account's budget is used up.
    #[error(transparent)]
    OverBudget(OverBudget),
    /// The store did not accept it.
    #[error("the request could not be stored in time; send the same request again")]
    Store(#[source] StoreError),
}

impl From<ReadError> for Rejection {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooLarge { limit } => Self::TooLarge { limit },
            ReadError::Slow => Self::Slow,
            ReadError::Broken => Self::Broken,
        }
    }
}

impl From<StoreError> for Rejection {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::OverBudget(over) => Self::OverBudget(over),
            error => Self::Store(error),
        }
    }
}

impl Rejection {
    /// Returns status, slug and title.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NoHandler => (StatusCode::NOT_FOUND, "no-handler", "No such handler"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "Body too large"),
            Self::Slow => (StatusCode::REQUEST_TIMEOUT, "body-too-slow", "Body too slow"),
            Self::Broken => (StatusCode::BAD_REQUEST, "body-incomplete", "Body incomplete"),
            Self::Encoded => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "body-encoded", "Body encoded"),
            Self::Body(_) => (StatusCode::BAD_REQUEST, "no-widget-request", "Not a widget_request"),
            Self::Token(error) => token_kind(*error),
            Self::NotForIntegration(_) => {
                (StatusCode::FORBIDDEN, "handler-not-for-integration", "Handler not open to this integration")
            }
            Self::Disabled => (StatusCode::FORBIDDEN, "account-disabled", "Account disabled"),
            Self::ReturnUrl(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "return-url-refused", "return_url refused")
            }
            Self::OverBudget(_) => (StatusCode::TOO_MANY_REQUESTS, "over-budget", "Account over its budget"),
            Self::Draining => (StatusCode::SERVICE_UNAVAILABLE, "stopping", "Stopping"),
            Self::Late | Self::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "not-stored", "Not stored"),
        }
    }

    /// Returns the label of `bridge_requests_total`.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::NoHandler => "no_handler",
            Self::TooLarge { .. } => "too_large",
            Self::Slow => "timeout",
            Self::Broken | Self::Body(_) | Self::Encoded => "bad_request",
            Self::Token(error) if error.is_for_someone_else() => "forbidden",
            Self::NotForIntegration(_) => "forbidden",
            Self::Disabled => "disabled",
            Self::Token(_) => "unauthorized",
            Self::ReturnUrl(_) => "bad_return_url",
            Self::OverBudget(_) => "over_budget",
            Self::Draining | Self::Late | Self::Store(_) => "unavailable",
        }
    }

    /// Whether an operator should know: of a wrong secret, an attack, an account over its budget, an overloaded bridge.
    /// All other refusals are normal on the Internet.
    pub(super) fn needs_warning(&self) -> bool {
        matches!(
            self,
            Self::Token(_)
                | Self::NotForIntegration(_)
                | Self::Disabled
                | Self::ReturnUrl(_)
                | Self::OverBudget(_)
                | Self::Late
                | Self::Store(_)
        )
    }

    /// Returns the reason for the log, which includes more about the store and integrations than the caller learns.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Store(error) => error.to_string(),
            Self::NotForIntegration(name) => {
                format!(
                    "tokens of integration `{name}` may not call this handler; see handlers.NAME.integrations"
                )
            }
            other => other.to_string(),
        }
    }
}

/// Why a request is refused, with its account if a verified token names it, and the value at fault.
pub(super) struct Refusal {
    pub(super) rejection: Rejection,
    pub(super) account_id: Option<AccountId>,
    pub(super) faulty_value: Option<FaultyValue>,
}

impl Refusal {
    /// Explains the refusal to an operator, with the value at fault.
    pub(super) fn explanation(&self) -> String {
        let reason = self.rejection.reason();
        match &self.faulty_value {
            Some(value) => format!("{reason} (`{}`)", value.text()),
            None => reason,
        }
    }
}

impl<R: Into<Rejection>> From<R> for Refusal {
    fn from(rejection: R) -> Self {
        Self { rejection: rejection.into(), account_id: None, faulty_value: None }
    }
}

impl From<InvalidToken> for Refusal {
    fn from(token: InvalidToken) -> Self {
        Self { faulty_value: token.faulty_value, ..token.error.into() }
    }
}

fn token_kind(error: TokenError) -> (StatusCode, &'static str, &'static str) {
    let (slug, title) = match error {
        TokenError::Missing => ("token-missing", "Token missing"),
        TokenError::TooLong | TokenError::Shape | TokenError::Algorithm | TokenError::Claims(_) => {
            ("token-malformed", "Token malformed")
        }
        TokenError::Signature => ("token-signature", "Token signed with an unknown secret"),
        TokenError::Expired => ("token-expired", "Token expired"),
        TokenError::NotYetValid => ("token-not-yet-valid", "Token not yet valid"),
        TokenError::Integration => ("token-of-other-integration", "Token of another integration"),
        TokenError::Audience => ("token-for-other-host", "Token for another host"),
    };
    let for_someone_else = error.is_for_someone_else();
    (if for_someone_else { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED }, slug, title)
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let (status, slug, title) = self.kind();
        let is_encoded = self == Self::Encoded;
        let problem = ProblemDetails::new(status, slug, title, self.to_string());
        let (problem, close) = match self {
            // Gives another instance time to take over the address.
            Self::Draining => (problem.retry_after(Duration::from_secs(5)), true),
            Self::OverBudget(over) => (problem.retry_after(over.retry_after()), false),
            Self::Late | Self::Store(_) => (problem.retry_after(Duration::from_secs(1)), false),
            // The rest of the body is still unread, so the connection cannot carry another request.
            Self::TooLarge { .. } | Self::Slow | Self::Broken => (problem, true),
            _ => (problem, false),
        };
        let mut response = problem.into_response();
        if is_encoded {
            response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if close {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::receive::token::claims::ClaimsError;
    use model::{HostRefusal, ReturnUrlError};

    #[tokio::test]
    async fn each_refusal_has_its_status_type_and_label() {
        for (rejection, status, slug, outcome) in [
            (Rejection::NoHandler, 404, "no-handler", "no_handler"),
            (Rejection::OverBudget(OverBudget::Unfinished { limit: 9 }), 429, "over-budget", "over_budget"),
            (Rejection::TooLarge { limit: 9 }, 413, "body-too-large", "too_large"),
            (Rejection::Slow, 408, "body-too-slow", "timeout"),
            (Rejection::Broken, 400, "body-incomplete", "bad_request"),
            (Rejection::Encoded, 415, "body-encoded", "bad_request"),
            (BodyError::Utf8.into(), 400, "no-widget-request", "bad_request"),
            (BodyError::Missing("return_url").into(), 400, "no-widget-request", "bad_request"),
            (TokenError::Missing.into(), 401, "token-missing", "unauthorized"),
            (TokenError::TooLong.into(), 401, "token-malformed", "unauthorized"),
            (TokenError::Shape.into(), 401, "token-malformed", "unauthorized"),
            (TokenError::Algorithm.into(), 401, "token-malformed", "unauthorized"),
            (TokenError::Claims(ClaimsError::NoExp).into(), 401, "token-malformed", "unauthorized"),
            (TokenError::Signature.into(), 401, "token-signature", "unauthorized"),
            (TokenError::Expired.into(), 401, "token-expired", "unauthorized"),
            (TokenError::NotYetValid.into(), 401, "token-not-yet-valid", "unauthorized"),
            (TokenError::Integration.into(), 403, "token-of-other-integration", "forbidden"),
            (TokenError::Audience.into(), 403, "token-for-other-host", "forbidden"),
            (
                ReturnUrlRefusal::Shape(ReturnUrlError::Shape).into(),
                422,
                "return-url-refused",
                "bad_return_url",
            ),
            (
                ReturnUrlRefusal::Host(HostRefusal::NotAllowed).into(),
                422,
                "return-url-refused",
                "bad_return_url",
            ),
            (ReturnUrlRefusal::Foreign.into(), 422, "return-url-refused", "bad_return_url"),
            (Rejection::NotForIntegration("shop".into()), 403, "handler-not-for-integration", "forbidden"),
            (Rejection::Disabled, 403, "account-disabled", "disabled"),
            (Rejection::Draining, 503, "stopping", "unavailable"),
            (Rejection::Late, 503, "not-stored", "unavailable"),
            (Rejection::Store(StoreError::Timeout), 503, "not-stored", "unavailable"),
        ] {
            assert_eq!(rejection.outcome(), outcome, "{rejection:?}");
            let must_warn = matches!(status, 401 | 403 | 422 | 429);
            assert!(!must_warn || rejection.needs_warning(), "{rejection:?}");
            let detail = rejection.to_string();
            let response = rejection.into_response();
            assert_eq!(response.status(), status, "{detail}");
            assert_eq!(
                response.headers().contains_key("retry-after"),
                matches!(status, 429 | 503),
                "{detail}"
            );
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["type"], format!("urn:salesbot-bridge:problem:{slug}"));
            assert_eq!((&body["status"], &body["detail"]), (&status.into(), &detail.into()));
        }
    }

    #[test]
    fn only_the_log_names_the_integration() {
        let rejection = Rejection::NotForIntegration("shop".into());
        assert!(rejection.reason().contains("`shop`") && !rejection.to_string().contains("shop"));
    }

    #[test]
    fn callers_do_not_learn_the_reason_of_a_store_failure() {
        let rejection = Rejection::Store(StoreError::ReadOnly("disk sda1 failed".into()));
        assert!(!rejection.to_string().contains("sda1"));
        assert!(rejection.reason().contains("sda1"));
    }
}
