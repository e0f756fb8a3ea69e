//! All refusals of a callback or a revocation: status, problem, label, what is wrong and what to do.
//!
//! The party at fault decides the status: 400 and 403 for the call, 501 for a bridge without OAuth, 502 for an
//! integration or address that Kommo refuses, 503 for temporary failures. `Retry-After` is set only if the same call
//! can succeed later: once Kommo has returned tokens for a code, that code is used up.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;

use crate::accounts::{ConnectError, RevocationError, StateError};
use crate::problem::ProblemDetails;

use super::query::QueryError;

const NEW_LINK_ADVICE: &str = "Create a new link with `salesbot-bridge accounts authorize` and open it.";
const SET_UP_ADVICE: &str =
    "Ask the bridge's operator to set it and restart the bridge. Then authorize the account.";
const RELOAD_ADVICE: &str =
    "Reload this page in a moment. If that does not help, authorize the account again.";

/// Why an account was not connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The call is not a callback from Kommo.
    Query(QueryError),
    /// Kommo sent an error instead of a code, other than the person's refusal.
    Reported(String),
    /// The bridge is stopping.
    Stopping,
    /// Too many accounts are being connected right now.
    Busy,
    /// `accounts` did not connect the account.
    Connect(ConnectError),
}

/// Why no account was disconnected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RevocationRefusal {
    /// The call is not from Kommo's hook.
    Query(QueryError),
    /// `accounts` did not disconnect the account, or not completely.
    Revoke(RevocationError),
    /// The task was interrupted.
    Interrupted,
}

/// How a refusal appears to programs.
pub(super) struct Kind {
    status: StatusCode,
    /// The end of the problem's `type`, which never changes.
    slug: &'static str,
    title: &'static str,
    /// The label of the counter.
    pub(super) outcome: &'static str,
    /// When the same call may succeed; `None` if it cannot.
    retry_after: Option<Duration>,
}

impl Kind {
    const fn new(status: StatusCode, slug: &'static str, title: &'static str, outcome: &'static str) -> Self {
        Self { status, slug, title, outcome, retry_after: None }
    }

    const fn retry_in(self, seconds: u64) -> Self {
        Self { retry_after: Some(Duration::from_secs(seconds)), ..self }
    }

    fn problem(self, detail: impl Into<Cow<'static, str>>) -> ProblemDetails {
        let problem = ProblemDetails::new(self.status, self.slug, self.title, detail);
        match self.retry_after {
            Some(span) => problem.retry_after(span),
            None => problem,
        }
    }
}

impl Refusal {
    /// Creates the refusal for the `error` of a callback. Keeps its text only if that looks like an OAuth error code,
    /// because a stranger may have written it.
    pub(super) fn reported(error: &str) -> Self {
        let is_code = error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        Self::Reported(if is_code { error } else { "one that OAuth does not define" }.to_owned())
    }

    pub(super) fn kind(&self) -> Kind {
        use ConnectError as E;
        let kind = Kind::new;
        match self {
            Self::Query(_) => {
                kind(StatusCode::BAD_REQUEST, "no-oauth-callback", "Not a callback from Kommo", "bad_request")
            }
            Self::Reported(_) => {
                kind(StatusCode::BAD_REQUEST, "authorization-failed", "Kommo sent no code", "kommo_error")
            }
            Self::Stopping => {
                kind(StatusCode::SERVICE_UNAVAILABLE, "stopping", "Stopping", "unavailable").retry_in(5)
            }
            Self::Busy => kind(StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy", "unavailable").retry_in(5),
            Self::Connect(E::UnknownIntegration) => kind(
                StatusCode::FORBIDDEN,
                "unknown-integration",
                "Unknown integration",
                "unknown_integration",
            ),
            Self::Connect(E::State(_)) => {
                kind(StatusCode::FORBIDDEN, "state-refused", "Not a link of this bridge", "bad_state")
            }
            Self::Connect(E::Referer(_)) => {
                kind(StatusCode::FORBIDDEN, "referer-refused", "Not an account's host", "bad_referer")
            }
            Self::Connect(E::Taken) => kind(
                StatusCode::FORBIDDEN,
                "address-taken",
                "Another account is at this address",
                "bad_referer",
            ),
            Self::Connect(E::TooMany) => {
                kind(StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy", "unavailable").retry_in(60)
            }
            Self::Connect(E::LinkNeeded(_)) => {
                kind(StatusCode::FORBIDDEN, "link-needed", "A link is required", "no_link")
            }
            Self::Connect(E::Elsewhere { .. }) => kind(
                StatusCode::FORBIDDEN,
                "account-elsewhere",
                "The account is known at another address",
                "account_elsewhere",
            ),
            Self::Connect(E::OtherAccount(_) | E::Declined(_)) => kind(
                StatusCode::FORBIDDEN,
                "other-account",
                "Not an account at this address",
                "other_account",
            ),
            Self::Connect(E::Code(_)) => {
                kind(StatusCode::BAD_REQUEST, "code-refused", "The code is no longer valid", "bad_code")
            }
            Self::Connect(E::Refused(_)) => kind(
                StatusCode::BAD_GATEWAY,
                "integration-refused",
                "Kommo refuses the integration",
                "refused",
            ),
            Self::Connect(E::Blocked(_)) => kind(
                StatusCode::BAD_GATEWAY,
                "address-blocked",
                "Kommo refuses the bridge's address",
                "blocked",
            ),
            Self::Connect(E::Unavailable(_)) => kind(
                StatusCode::SERVICE_UNAVAILABLE,
                "kommo-unavailable",
                "Kommo cannot be reached",
                "unavailable",
            )
            .retry_in(10),
            Self::Connect(E::Store(_)) => {
                kind(StatusCode::SERVICE_UNAVAILABLE, "not-stored", "Not stored", "unavailable")
            }
            Self::Connect(E::NoKey | E::NoRedirectUri(_)) => {
                kind(StatusCode::NOT_IMPLEMENTED, "oauth-not-set-up", "OAuth is not set up", "not_set_up")
            }
        }
    }

    /// Describes the problem in full sentences. Details of a store failure appear only in the log.
    pub(super) fn wrong(&self) -> Cow<'static, str> {
        use ConnectError as E;
        match self {
            Self::Query(error) => format!("This is not a call that Kommo makes: {error}.").into(),
            Self::Reported(error) => format!("Kommo sent an error instead of a code: {error}.").into(),
            Self::Stopping => "The bridge is stopping.".into(),
            Self::Busy => "The bridge is connecting too many accounts right now.".into(),
            Self::Connect(E::UnknownIntegration) => {
                "This bridge cannot connect accounts through an integration with this `client_id`.".into()
            }
            Self::Connect(E::NoRedirectUri(name)) => {
                format!("`integrations.{name}.redirect_uri` is missing in the bridge's configuration.").into()
            }
            Self::Connect(E::NoKey) => {
                "`store.encryption_key` is missing in the bridge's configuration.".into()
            }
            Self::Connect(E::State(StateError::Missing)) => {
                "The call has no `state`, so it does not come from a link of this bridge.".into()
            }
            Self::Connect(E::State(StateError::Foreign)) => {
                "The `state` of this call was not created by this bridge.".into()
            }
            Self::Connect(E::State(StateError::Expired)) => "This link is older than an hour.".into(),
            Self::Connect(E::State(StateError::Used)) => "This link was already used.".into(),
            Self::Connect(E::LinkNeeded(_)) => {
                 "The call has no `state`, and this integration connects accounts only by a link. Nothing was sent to the address \
                 in the call."
                    .into()
            }
            Self::Connect(E::Elsewhere { account_id, .. }) => format!(
                 "The new tokens belong to account {account_id}, which this bridge knows at another address. Nothing shows that it \
                 has moved."
            )
            .into(),
            Self::Connect(E::OtherAccount(account_id) | E::Declined(account_id)) => format!(
                "The address returned tokens of account {account_id}, which is not known to be there. Nothing was stored."
            )
            .into(),
            Self::Connect(E::Referer(why)) => {
                format!("The call names a host that may not receive the integration's secret: {why}. Nothing was sent there.")
                    .into()
            }
            Self::Connect(E::Taken) => {
                "Another account is connected at this address, and the code does not belong to that account.".into()
            }
            Self::Connect(E::TooMany) => "There were too many installations within a minute.".into(),
            Self::Connect(E::Code(why)) => format!("Kommo refuses the code ({why}).").into(),
            Self::Connect(E::Refused(why)) => format!("Kommo refuses the integration ({why}).").into(),
            Self::Connect(E::Blocked(_)) => {
                 "Kommo answered 403 without JSON: it blocks the bridge's IP address, or a firewall refuses the call. Kommo did not \
                 check the integration or its secret."
                    .into()
            }
            Self::Connect(E::Unavailable(why)) => format!("Kommo could not be reached ({why}).").into(),
            Self::Connect(E::Store(_)) => "The account's tokens could not be stored.".into(),
        }
    }

    /// Returns what to do about it, in full sentences.
    pub(super) const fn advice(&self) -> &'static str {
        use ConnectError as E;
        match self {
            Self::Query(_)
            | Self::Connect(E::State(_) | E::TooMany | E::OtherAccount(_) | E::Declined(_)) => {
                NEW_LINK_ADVICE
            }
            Self::Connect(E::LinkNeeded(_)) => {
                "Create a link with `salesbot-bridge accounts authorize` and open it, or ask the bridge's operator to set \
                 `integrations.NAME.install_without_link`."
            }
            Self::Connect(E::Elsewhere { .. }) => {
                "If it has moved, ask the bridge's operator to remove the old address with `accounts remove`. Then authorize the \
                 account again."
            }
            Self::Connect(E::Taken) => {
                "Authorize the account at this address, or ask the bridge's operator to remove it with `accounts remove`."
            }
            Self::Reported(_) => {
                "Authorize the account again. If that does not help, check the integration's page in Kommo."
            }
            Self::Stopping | Self::Busy | Self::Connect(E::Unavailable(_)) => RELOAD_ADVICE,
            Self::Connect(E::UnknownIntegration) => {
                "Ask the bridge's operator to compare `integrations.NAME.client_uuid` with the integration's page in Kommo."
            }
            Self::Connect(E::NoRedirectUri(_) | E::NoKey) => SET_UP_ADVICE,
            Self::Connect(E::Referer(_)) => {
                "If it is an account's host, ask the bridge's operator to add it to `delivery.allowed_hosts`."
            }
            Self::Connect(E::Code(_)) => {
                "A code works once, within 20 minutes. If the account is not connected yet, authorize it again."
            }
            Self::Connect(E::Refused(_)) => {
                "Ask the bridge's operator to compare `client_uuid`, `client_secret` and `redirect_uri` with the integration's page \
                 in Kommo. Then authorize the account again."
            }
            Self::Connect(E::Blocked(_)) => {
                "Ask the bridge's operator to lower `delivery.rate_per_account`, to ask Kommo's support to lift the block, or to call \
                 Kommo from another address. Then reload this page within 20 minutes, or authorize the account again."
            }
            Self::Connect(E::Store(_)) => {
                "Ask the bridge's operator to find the reason in the log and fix it. Then authorize the account again."
            }
        }
    }

    /// Returns the reason for the log.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Connect(error) => error.to_string(),
            other => other.wrong().into_owned(),
        }
    }

    pub(super) fn problem(&self) -> ProblemDetails {
        self.kind().problem(format!("{} {}", self.wrong(), self.advice()))
    }
}

impl RevocationRefusal {
    pub(super) fn kind(&self) -> Kind {
        let kind = Kind::new;
        match self {
            Self::Query(_) | Self::Revoke(RevocationError::AccountId) => {
                kind(StatusCode::BAD_REQUEST, "no-revocation", "Not a revocation from Kommo", "bad_request")
            }
            Self::Revoke(RevocationError::Signature) => kind(
                StatusCode::FORBIDDEN,
                "revocation-signature",
                "Signed with an unknown secret",
                "bad_signature",
            ),
            Self::Revoke(RevocationError::StillConnected) => kind(
                StatusCode::CONFLICT,
                "still-connected",
                "The account is still connected",
                "still_connected",
            ),
            Self::Revoke(RevocationError::Repeated) => {
                kind(StatusCode::CONFLICT, "revocation-repeated", "The same call came before", "repeated")
            }
            Self::Revoke(RevocationError::Store(_)) | Self::Interrupted => {
                kind(StatusCode::SERVICE_UNAVAILABLE, "not-stored", "Not stored", "unavailable").retry_in(5)
            }
        }
    }

    /// Returns the reason for the log.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Query(error) => error.to_string(),
            Self::Revoke(error) => error.to_string(),
            Self::Interrupted => "the revocation was interrupted".to_owned(),
        }
    }

    pub(super) fn problem(&self) -> ProblemDetails {
        let detail = match self {
            Self::Query(error) => format!("This is not a call that Kommo makes: {error}."),
            Self::Revoke(RevocationError::Store(_)) | Self::Interrupted => {
                "The disconnection could not be stored. Send the same call again.".to_owned()
            }
            Self::Revoke(RevocationError::AccountId) => "`account_id` is not a positive number.".to_owned(),
            Self::Revoke(RevocationError::StillConnected) => {
                "Kommo accepts the account's token, so the account was not disconnected. Nothing was changed.".to_owned()
            }
            Self::Revoke(RevocationError::Repeated) => {
                 "The same call came before, and the account has no token to check whether it is still connected. Nothing was \
                 changed. To remove the account, use `accounts remove`."
                    .to_owned()
            }
            Self::Revoke(RevocationError::Signature) => {
                 "The signature does not match any configured integration. It must be the hex HMAC-SHA256 of \
                 `client_uuid|account_id` with the integration's secret key."
                    .to_owned()
            }
        };
        self.kind().problem(detail)
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl From<ConnectError> for Refusal {
    fn from(error: ConnectError) -> Self {
        Self::Connect(error)
    }
}

impl From<QueryError> for RevocationRefusal {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl From<RevocationError> for RevocationRefusal {
    fn from(error: RevocationError) -> Self {
        Self::Revoke(error)
    }
}
