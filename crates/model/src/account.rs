//! A connected account: identity, address and authorization.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::{AccountId, Timestamp};

/// The key of a connection. An account may be connected through several integrations, each with its own key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey {
    /// The account's number at Kommo.
    pub account_id: AccountId,
    /// The integration's id, in lower case.
    pub client_uuid: Arc<str>,
}

impl AccountKey {
    /// The key of `account_id` and `client_uuid`. Case and surrounding spaces of `client_uuid` do not matter.
    pub fn new(account_id: AccountId, client_uuid: &str) -> Self {
        Self { account_id, client_uuid: client_uuid.trim().to_ascii_lowercase().into() }
    }
}

/// The record of a connected account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// The key of the connection.
    pub key: AccountKey,
    /// Scheme, host and port; `None` if the account was revoked before it was first connected.
    pub origin: Option<Arc<str>>,
    /// The origin before the account moved; `None` if it has not moved.
    pub previous_origin: Option<Arc<str>>,
    /// Whether the bridge may call the account.
    pub authorization: Authorization,
    /// A number that increases with each change of the tokens.
    pub generation: u64,
    /// When a person last connected the account; `None` if no one has.
    pub connected_at: Option<Timestamp>,
}

/// Whether the bridge may call a connected account. Only an active authorization has tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// The tokens work, as far as the bridge knows. A person's authorization leads here, and each renewal stays here.
    Active(SealedTokens),
    /// Kommo no longer accepts the tokens. A person must authorize the account again.
    Needed {
        /// The reason, as text for people.
        reason: String,
    },
    /// A person disconnected the integration in Kommo. The bridge refuses the account's requests until a person authorizes
    /// it again.
    Revoked {
        /// The reason, as text for people.
        reason: String,
    },
}

impl Authorization {
    /// The name in the store and in results.
    pub const fn state(&self) -> AccountState {
        match self {
            Self::Active(_) => AccountState::Active,
            Self::Needed { .. } => AccountState::NeedsAuthorization,
            Self::Revoked { .. } => AccountState::Revoked,
        }
    }

    /// The reason why it is not active; `None` if it is.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Active(_) => None,
            Self::Needed { reason } | Self::Revoked { reason } => Some(reason),
        }
    }
}

/// The name of an [`Authorization`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// [`Authorization::Active`]
    Active,
    /// [`Authorization::Needed`]
    NeedsAuthorization,
    /// [`Authorization::Revoked`]
    Revoked,
}

impl AccountState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Active, Self::NeedsAuthorization, Self::Revoked];

    /// The name in the store and in results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NeedsAuthorization => "needs_authorization",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for AccountState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An encrypted pair of tokens, as the store keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedTokens {
    /// The id of the encryption key.
    pub key_id: String,
    /// The access token: nonce and ciphertext.
    pub access: Vec<u8>,
    /// The refresh token: nonce and ciphertext.
    pub refresh: Vec<u8>,
    /// When the bridge obtained the tokens.
    pub obtained_at: Timestamp,
    /// The moment at which the access token becomes invalid.
    pub expires_at: Timestamp,
}

impl fmt::Debug for SealedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedTokens")
            .field("key_id", &self.key_id)
            .field("obtained_at", &self.obtained_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
