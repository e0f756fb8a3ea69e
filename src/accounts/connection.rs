//! What a callback of Kommo's leads to: an account that is connected, a code that is kept, or the reason why neither is.

use std::sync::Arc;

use kommo::GrantError;
use model::{AccountId, AccountState, Timestamp};
use store::StoreError;

use super::link::StateError;
use super::referer::RefererError;

/// An account that was connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Kommo's number of the account.
    pub account_id: AccountId,
    /// Its scheme, host and port.
    pub origin: Arc<str>,
    /// The integration's name in the configuration.
    pub integration: String,
    /// How it stood before, if it was known.
    pub was: Option<AccountState>,
}

/// What came of a callback that was in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// The account is connected.
    Made(Connected),
    /// This very call has connected the account before, and it is connected still. Nothing was done.
    Repeated(Connected),
    /// The code of an installation is kept; nothing was sent to the address that the call names.
    Kept(Kept),
}

/// A code of an installation that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The address that the call names.
    pub origin: Arc<str>,
    /// The integration's name in the configuration.
    pub integration: String,
    /// From then on Kommo no longer takes the code.
    pub until: Timestamp,
    /// Whether an operator has to confirm the address; otherwise the code is exchanged when its turn comes.
    pub needs_confirmation: bool,
}

/// Why an account was not connected. None of the texts has a code or a secret in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Nobody of the configuration.
    #[error(
        "no integration with this client_id is configured: add integrations.NAME with its client_uuid and client_secret"
    )]
    UnknownIntegration,
    /// The integration is not set up for it.
    #[error(
        "integrations.{0} has no redirect_uri: set it just as it stands on the integration's page in Kommo"
    )]
    NoRedirectUri(String),
    /// There is nowhere to keep tokens.
    #[error("store.encryption_key is missing: without it no account can be connected")]
    NoKey,
    /// Not ours.
    #[error("the call is not for us: {0}")]
    State(#[from] StateError),
    /// An installation came without a link, and this integration does not allow that.
    #[error(
        "an installation through integrations.{0} came without a link: open one of `salesbot-bridge accounts authorize`, or set \
         integrations.{0}.install_without_link"
    )]
    LinkNeeded(String),
    /// The account is known at another address, which does not say that it has moved.
    #[error(
        "the new tokens name account {account_id}, which is known at {host}, and nothing shows that it has moved: if it has, \
         remove it with `accounts remove {host}` and authorize it again"
    )]
    Elsewhere {
        /// The account.
        account_id: AccountId,
        /// Where it is known.
        host: String,
    },
    /// The tokens of an installation are of an account that no verified token named together with its address.
    #[error(
        "the address answered with tokens of account {0}, which was never seen there: nothing was stored; use a link of \
         `salesbot-bridge accounts authorize`"
    )]
    OtherAccount(AccountId),
    /// The operator does not want this account.
    #[error("account {0} was not confirmed: nothing was stored")]
    #[cfg_attr(not(any(test, feature = "cli")), expect(dead_code, reason = "only a command asks"))]
    Declined(AccountId),
    /// The secret must not go there.
    #[error("`referer` is no account's host: {0}")]
    Referer(#[from] RefererError),
    /// The tokens are of another account than the one that is connected at this address, and that one is still there.
    #[error("another account is at this address: authorize that one, or remove it with `accounts remove`")]
    Taken,
    /// Too many installations in a minute: anybody can claim one.
    #[error(
        "too many installations of the widget within a minute: use a link of `salesbot-bridge accounts authorize`"
    )]
    TooMany,
    /// Kommo does not take the code.
    #[error(
        "Kommo does not take the code ({0}): it works once and for 20 minutes; authorize the account again"
    )]
    Code(#[source] ExchangeError),
    /// Kommo does not take the integration.
    #[error("Kommo refuses the integration ({0}): check its client_uuid, client_secret and redirect_uri")]
    Refused(#[source] ExchangeError),
    /// A 403 without JSON: Kommo refuses the bridge's address, whatever the call carries.
    #[error("Kommo refuses the call before it looks at the integration ({0}): try again later")]
    Blocked(#[source] ExchangeError),
    /// Kommo was not reached, or is in trouble.
    #[error("Kommo could not be asked ({0}): try again")]
    Unavailable(#[source] ExchangeError),
    /// The tokens could not be stored.
    #[error("the tokens could not be stored ({0}): fix that, and authorize the account again")]
    Store(#[source] StoreError),
}

/// Why a code was not exchanged for tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Kommo gave none, or was not reached.
    #[error(transparent)]
    Kommo(#[from] GrantError),
    /// The task that exchanged it panicked or was stopped.
    #[error("the exchange ended in mid-work")]
    Interrupted,
    /// Each code of the installation was used or has expired.
    #[error("no code waits any more")]
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
