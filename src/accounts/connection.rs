//! The outcomes of Kommo's OAuth callback: a connected account, a stored code, or the reason for neither.

use std::sync::Arc;

use kommo::GrantError;
use model::{AccountId, AccountState, Timestamp};
use store::StoreError;

use super::link::StateError;
use super::referer::RefererError;

/// A connected account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Kommo's number of the account.
    pub account_id: AccountId,
    /// Its scheme, host and port.
    pub origin: Arc<str>,
    /// The integration's name in the configuration.
    pub integration: String,
    /// Its state before, if it was known.
    pub was: Option<AccountState>,
}

/// The outcome of a valid callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// The account is connected.
    Made(Connected),
    /// This call connected the account earlier, and it is still connected. Nothing was done.
    Repeated(Connected),
    /// The code of an installation was stored; nothing was sent to the address in the call.
    Kept(Kept),
}

/// The stored code of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The address in the call.
    pub origin: Arc<str>,
    /// The integration's name in the configuration.
    pub integration: String,
    /// When Kommo stops accepting the code.
    pub until: Timestamp,
    /// Whether an operator must confirm the address; otherwise the code is exchanged when its turn comes.
    pub needs_confirmation: bool,
}

/// Why an account was not connected. No text contains a code or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The integration is not configured.
    #[error(
        "no integration with this client_id is configured: add integrations.NAME with its client_uuid and client_secret"
    )]
    UnknownIntegration,
    /// The integration is not set up to connect accounts.
    #[error("integrations.{0} has no redirect_uri: copy it exactly from the integration's page in Kommo")]
    NoRedirectUri(String),
    /// Tokens cannot be stored.
    #[error(
        "store.encryption_key is missing: it is required to connect accounts; create one with `openssl rand -base64 32`"
    )]
    NoKey,
    /// The call does not come from one of our links.
    #[error("the call is not from a link of this bridge: {0}")]
    State(#[from] StateError),
    /// An installation without a link, which this integration does not allow.
    #[error(
        "integrations.{0} does not allow an installation without a link: open a link from `salesbot-bridge accounts authorize`, or set \
         integrations.{0}.install_without_link"
    )]
    LinkNeeded(String),
    /// The account is known at another address, and that address does not report a move.
    #[error(
        "the new tokens belong to account {account_id}, which is known at {host}, and nothing shows that it has moved; if it has, \
         remove it with `accounts remove {host}` and authorize it again"
    )]
    Elsewhere {
        /// The account.
        account_id: AccountId,
        /// Where it is known.
        host: String,
    },
    /// An installation returned tokens of an account that no verified token has named together with this address.
    #[error(
        "the address returned tokens of account {0}, which was never seen there; nothing was stored: use a link from \
         `salesbot-bridge accounts authorize`"
    )]
    OtherAccount(AccountId),
    /// The operator did not confirm this account.
    #[error("account {0} was not confirmed; nothing was stored")]
    #[cfg_attr(not(any(test, feature = "cli")), expect(dead_code, reason = "only a command asks"))]
    Declined(AccountId),
    /// The secret must not be sent there.
    #[error("`referer` is not an account's host: {0}")]
    Referer(#[from] RefererError),
    /// The tokens belong to a different account than the one that is connected at this address.
    #[error(
        "another account is connected at this address: authorize that one, or remove it with `accounts remove`"
    )]
    Taken,
    /// Too many installations in a minute; anyone can send one.
    #[error(
        "too many installations of the widget within a minute: use a link from `salesbot-bridge accounts authorize`"
    )]
    TooMany,
    /// Kommo refuses the code.
    #[error(
        "Kommo refuses the code ({0}): a code works once, within 20 minutes; authorize the account again"
    )]
    Code(#[source] ExchangeError),
    /// Kommo refuses the integration.
    #[error("Kommo refuses the integration ({0}): check its client_uuid, client_secret and redirect_uri")]
    Refused(#[source] ExchangeError),
    /// A 403 without JSON: Kommo refuses the bridge's IP address, whatever the call contains.
    #[error("Kommo refuses the call before checking the integration ({0}): try again later")]
    Blocked(#[source] ExchangeError),
    /// Kommo was not reached, or failed.
    #[error("Kommo could not be reached ({0}): try again")]
    Unavailable(#[source] ExchangeError),
    /// The tokens could not be stored.
    #[error("the tokens could not be stored ({0}): fix that, and authorize the account again")]
    Store(#[source] StoreError),
}

/// Why a code was not exchanged for tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Kommo returned none, or was not reached.
    #[error(transparent)]
    Kommo(#[from] GrantError),
    /// The exchange's task panicked or was stopped.
    #[error("the exchange was interrupted")]
    Interrupted,
    /// Every code of the installation has been used or has expired.
    #[error("no code is waiting any longer")]
    #[cfg_attr(not(any(test, feature = "cli")), expect(dead_code, reason = "only a command confirms"))]
    NoCode,
}

impl ConnectError {
    /// The exchange stopped before its outcome was known.
    pub const fn interrupted() -> Self {
        Self::Unavailable(ExchangeError::Interrupted)
    }
}

impl From<GrantError> for ConnectError {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::NotAllowed(_) => Self::Referer(error.into()),
            GrantError::Dead { .. } => Self::Code(error.into()),
            GrantError::Blocked => Self::Blocked(error.into()),
            GrantError::Refused { .. } => Self::Refused(error.into()),
            GrantError::TooMany { .. } | GrantError::NotKommo { .. } | GrantError::Unavailable(_) => {
                Self::Unavailable(error.into())
            }
        }
    }
}
