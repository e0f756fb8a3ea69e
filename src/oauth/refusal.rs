//! Every refusal of a callback or a revocation: its status, its problem, its label, what is wrong and what to do.
//!
//! Whose fault it is decides the status: 400 and 403 for what came, 501 for a bridge that is not set up for it, 502 for
//! a secret that Kommo does not take, 503 for what passes. `Retry-After` stands only where the same call can succeed
//! later: once Kommo has given tokens for a code, that code is used up.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;

use crate::accounts::{ConnectError, RevocationError, StateError};
use crate::problem::ProblemDetails;

use super::query::QueryError;

const NEW_LINK_ADVICE: &str = "Make a new link with `salesbot-bridge accounts authorize` and open it.";
const SET_UP_ADVICE: &str =
    "Whoever runs the bridge adds that, starts it again, and then the account can be authorized.";
const RELOAD_ADVICE: &str =
    "Load this page again in a moment; if that does not help, authorize the account again.";

/// Why an account was not connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No callback of Kommo's.
    Query(QueryError),
    /// Kommo sends an error in place of a code, other than the person's refusal.
    Reported(String),
    /// The bridge is stopping.
    Stopping,
    /// Too many are being connected at this moment.
    Busy,
    /// `accounts` did not connect it.
    Connect(ConnectError),
}

/// Why nothing was disconnected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RevocationRefusal {
    /// No call of Kommo's hook.
    Query(QueryError),
    /// `accounts` did not do it, or not all of it.
    Revoke(RevocationError),
    /// It ended in mid-work.
    Cut,
}

/// How a refusal looks to programs.
pub(super) struct Kind {
    status: StatusCode,
    /// The end of the problem's `type`; it never changes.
    slug: &'static str,
    title: &'static str,
    /// The label of the counter.
    pub(super) outcome: &'static str,
    /// When the same call may succeed.
    retry_after: Option<Duration>,
}

impl Kind {
    const fn new(status: StatusCode, slug: &'static str, title: &'static str, outcome: &'static str) -> Self {
        Self { status, slug, title, outcome, retry_after: None }
    }

    const fn later(self, seconds: u64) -> Self {
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
    /// `error` of a callback. Only what looks like a code of OAuth is told: the rest is a stranger's text.
    pub(super) fn reported(error: &str) -> Self {
        let is_code = error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        Self::Reported(if is_code { error } else { "which is none of OAuth's" }.to_owned())
    }

    pub(super) fn kind(&self) -> Kind {
        use ConnectError as E;
        let kind = Kind::new;
        match self {
            Self::Query(_) => {
                kind(StatusCode::BAD_REQUEST, "no-oauth-callback", "Not a callback of Kommo", "bad_request")
            }
            Self::Reported(_) => {
                kind(StatusCode::BAD_REQUEST, "authorization-failed", "Kommo sent no code", "kommo_error")
            }
            Self::Stopping => {
                kind(StatusCode::SERVICE_UNAVAILABLE, "stopping", "Stopping", "unavailable").later(5)
            }
            Self::Busy => kind(StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy", "unavailable").later(5),
            Self::Connect(E::UnknownIntegration) => kind(
                StatusCode::FORBIDDEN,
                "unknown-integration",
                "Unknown integration",
                "unknown_integration",
            ),
            Self::Connect(E::State(_)) => {
                kind(StatusCode::FORBIDDEN, "state-refused", "Not our link", "bad_state")
            }
            Self::Connect(E::Referer(_)) => {
                kind(StatusCode::FORBIDDEN, "referer-refused", "Not a host of Kommo", "bad_referer")
            }
            Self::Connect(E::Taken) => {
                kind(StatusCode::FORBIDDEN, "address-taken", "Another account is there", "bad_referer")
            }
            Self::Connect(E::TooMany) => {
                kind(StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy", "unavailable").later(60)
            }
            Self::Connect(E::LinkNeeded(_)) => {
                kind(StatusCode::FORBIDDEN, "link-needed", "A link is needed", "no_link")
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
                "Not an account of this address",
                "other_account",
            ),
            Self::Connect(E::Code(_)) => {
                kind(StatusCode::BAD_REQUEST, "code-refused", "The code is no longer good", "bad_code")
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
                "Kommo cannot be asked",
                "unavailable",
            )
            .later(10),
            Self::Connect(E::Store(_)) => {
                kind(StatusCode::SERVICE_UNAVAILABLE, "not-stored", "Not stored", "unavailable")
            }
            Self::Connect(E::NoKey | E::NoRedirectUri(_)) => {
                kind(StatusCode::NOT_IMPLEMENTED, "oauth-not-set-up", "OAuth is not set up", "not_set_up")
            }
        }
    }

    /// What is wrong, in whole sentences. What is wrong with the store stands in the log alone.
    pub(super) fn wrong(&self) -> Cow<'static, str> {
        use ConnectError as E;
        match self {
            Self::Query(error) => format!("This call is not as Kommo makes it: {error}.").into(),
            Self::Reported(error) => format!("Kommo reports an error in place of a code: {error}.").into(),
            Self::Stopping => "The bridge is stopping.".into(),
            Self::Busy => "The bridge is connecting too many accounts at this moment.".into(),
            Self::Connect(E::UnknownIntegration) => {
                "This bridge has no integration with this `client_id` that accounts can be connected through.".into()
            }
            Self::Connect(E::NoRedirectUri(name)) => {
                format!("In the bridge's configuration `integrations.{name}.redirect_uri` is missing.").into()
            }
            Self::Connect(E::NoKey) => {
                "In the bridge's configuration `store.encryption_key` is missing.".into()
            }
            Self::Connect(E::State(StateError::Missing)) => {
                "The call has no `state`, so it does not come from a link of this bridge.".into()
            }
            Self::Connect(E::State(StateError::Foreign)) => {
                "The `state` of this call does not come from a link of this bridge.".into()
            }
            Self::Connect(E::State(StateError::Expired)) => "This link is older than an hour.".into(),
            Self::Connect(E::State(StateError::Used)) => "This link was used already.".into(),
            Self::Connect(E::LinkNeeded(_)) => {
                "The call has no `state`, and this integration connects accounts by a link alone. Nothing was sent to the \
                 address that it names."
                    .into()
            }
            Self::Connect(E::Elsewhere { account_id, .. }) => format!(
                "The new tokens name account {account_id}, which this bridge knows at another address; nothing shows that it \
                 has moved."
            )
            .into(),
            Self::Connect(E::OtherAccount(account_id) | E::Declined(account_id)) => format!(
                "The address answered with tokens of account {account_id}, which is not known to be there. Nothing was stored."
            )
            .into(),
            Self::Connect(E::Referer(why)) => {
                format!("The call names a host that may not get the integration's secret: {why}. Nothing was sent there.")
                    .into()
            }
            Self::Connect(E::Taken) => {
                "Another account is connected at this address, and the code is not of that one.".into()
            }
            Self::Connect(E::TooMany) => "Too many installations were claimed within a minute.".into(),
            Self::Connect(E::Code(why)) => format!("Kommo does not take the code ({why}).").into(),
            Self::Connect(E::Refused(why)) => format!("Kommo refuses the integration ({why}).").into(),
            Self::Connect(E::Blocked(_)) => {
                "Kommo answered 403 without JSON: it blocks the address that the bridge calls from, or a firewall refuses the \
                 call. The integration and its secret were not looked at."
                    .into()
            }
            Self::Connect(E::Unavailable(why)) => format!("Kommo could not be asked ({why}).").into(),
            Self::Connect(E::Store(_)) => "The account's tokens could not be stored.".into(),
        }
    }

    /// What to do about it, in whole sentences.
    pub(super) const fn advice(&self) -> &'static str {
        use ConnectError as E;
        match self {
            Self::Query(_)
            | Self::Connect(E::State(_) | E::TooMany | E::OtherAccount(_) | E::Declined(_)) => {
                NEW_LINK_ADVICE
            }
            Self::Connect(E::LinkNeeded(_)) => {
                "Make a link with `salesbot-bridge accounts authorize` and open it; or the operator of the bridge sets \
                 `integrations.NAME.install_without_link`."
            }
            Self::Connect(E::Elsewhere { .. }) => {
                "If it has moved, the operator of the bridge forgets the old address with `accounts remove`; then authorize the \
                 account again."
            }
            Self::Connect(E::Taken) => {
                "Authorize the account that is there; or ask the operator of the bridge to forget it with `accounts remove`."
            }
            Self::Reported(_) => {
                "Authorize the account again; if that does not help, check the integration's page in Kommo."
            }
            Self::Stopping | Self::Busy | Self::Connect(E::Unavailable(_)) => RELOAD_ADVICE,
            Self::Connect(E::UnknownIntegration) => {
                "Whoever runs the bridge compares `integrations.NAME.client_uuid` with the integration's page in Kommo."
            }
            Self::Connect(E::NoRedirectUri(_) | E::NoKey) => SET_UP_ADVICE,
            Self::Connect(E::Referer(_)) => {
                "If it is an account's host, the operator of the bridge has to add it to `delivery.allowed_hosts`."
            }
            Self::Connect(E::Code(_)) => {
                "A code works once and for 20 minutes. If the account is not connected yet, authorize it again."
            }
            Self::Connect(E::Refused(_)) => {
                "Whoever runs the bridge compares `client_uuid`, `client_secret` and `redirect_uri` with the integration's \
                 page in Kommo; then authorize the account again."
            }
            Self::Connect(E::Blocked(_)) => {
                "The operator of the bridge lowers `delivery.rate_per_account`, asks Kommo's support to lift the block, or calls \
                 Kommo from another address; then load this page again within 20 minutes, or authorize the account again."
            }
            Self::Connect(E::Store(_)) => {
                "Whoever runs the bridge finds the reason in its log. Mend that, and authorize the account again."
            }
        }
    }

    /// What the log says.
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
                kind(StatusCode::BAD_REQUEST, "no-revocation", "Not a revocation of Kommo", "bad_request")
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
            Self::Revoke(RevocationError::Store(_)) | Self::Cut => {
                kind(StatusCode::SERVICE_UNAVAILABLE, "not-stored", "Not stored", "unavailable").later(5)
            }
        }
    }

    /// What the log says.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Query(error) => error.to_string(),
            Self::Revoke(error) => error.to_string(),
            Self::Cut => "it ended in mid-work".to_owned(),
        }
    }

    pub(super) fn problem(&self) -> ProblemDetails {
        let detail = match self {
            Self::Query(error) => format!("This call is not as Kommo makes it: {error}."),
            Self::Revoke(RevocationError::Store(_)) | Self::Cut => {
                "It could not be stored. Send the same call again.".to_owned()
            }
            Self::Revoke(RevocationError::AccountId) => "`account_id` is no positive number.".to_owned(),
            Self::Revoke(RevocationError::StillConnected) => {
                "Kommo takes the account's token, so the account was not disconnected. Nothing was changed.".to_owned()
            }
            Self::Revoke(RevocationError::Repeated) => {
                "The same call came before, and the account has no token by which it could be asked. Nothing was changed; to \
                 forget the account, use `accounts remove`."
                    .to_owned()
            }
            Self::Revoke(RevocationError::Signature) => {
                "The signature is not that of a configured integration. It is the hex HMAC-SHA256 of \
                 `client_uuid|account_id` under the integration's secret key."
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
