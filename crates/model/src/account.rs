//! A connected account: its identity, its address, and whether the bridge is authorized.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::{AccountId, Timestamp};

/// Which connection: an account may be connected through several integrations.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey {
    /// Kommo's number of the account.
    pub account_id: AccountId,
    /// The integration's id, in lower case.
    pub client_uuid: Arc<str>,
}

impl AccountKey {
    /// The connection of `account_id` through `client_uuid`, in whatever case that is written.
    pub fn new(account_id: AccountId, client_uuid: &str) -> Self {
        Self { account_id, client_uuid: client_uuid.trim().to_ascii_lowercase().into() }
    }
}

/// What is kept of a connected account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// Which.
    pub key: AccountKey,
    /// Its scheme, host and port; `None` if it was revoked before it was ever connected.
    pub origin: Option<Arc<str>>,
    /// Where it was before it moved.
    pub previous_origin: Option<Arc<str>>,
    /// Whether the bridge is authorized.
    pub authorization: Authorization,
    /// Grows with each change of the tokens.
    pub generation: u64,
    /// When a person connected it last.
    pub connected_at: Option<Timestamp>,
}

/// Whether the bridge may call a connected account. Only an active authorization has tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// The tokens work, as far as is known. A person's authorization leads here, and each renewal stays here.
    Active(SealedTokens),
    /// Kommo no longer takes the tokens. A person has to authorize the account again.
    Needed {
        /// Why, for a person.
        reason: String,
    },
    /// It was disconnected in Kommo. Its requests are refused until a person authorizes it again.
    Revoked {
        /// Why, for a person.
        reason: String,
    },
}

impl Authorization {
    /// Its name in the store and in results.
    pub const fn state(&self) -> AccountState {
        match self {
            Self::Active(_) => AccountState::Active,
            Self::Needed { .. } => AccountState::NeedsAuthorization,
            Self::Revoked { .. } => AccountState::Revoked,
        }
    }

    /// Why it is not active.
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
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::NeedsAuthorization, Self::Revoked];

    /// Its name in the store and in results.
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

/// A pair of tokens as it is kept: encrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedTokens {
    /// Names the key that encrypted it.
    pub key_id: String,
    /// The access token: nonce and ciphertext.
    pub access: Vec<u8>,
    /// The refresh token: nonce and ciphertext.
    pub refresh: Vec<u8>,
    /// When it was made.
    pub obtained_at: Timestamp,
    /// From then on the access token is no longer valid.
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
