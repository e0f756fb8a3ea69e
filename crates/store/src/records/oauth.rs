//! What is kept for OAuth beside the accounts: pairs of account and address, codes, links that were used, announcements.

use std::sync::Arc;

use model::{AccountId, AccountKey, Timestamp};

/// An account and an address that occurred together in a verified token of an integration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The integration's id, in lower case.
    pub client_uuid: Arc<str>,
    /// Scheme, host and port.
    pub origin: Arc<str>,
    /// The account's number.
    pub account_id: AccountId,
}

/// A code as it is kept: encrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedCode {
    /// Names the key that encrypted it.
    pub key_id: String,
    /// Nonce and ciphertext.
    pub code: Vec<u8>,
}

/// A code of an installation that was not exchanged yet.
#[derive(Clone)]
pub struct NewCode {
    /// The integration's id, in lower case.
    pub client_uuid: Arc<str>,
    /// The address that the caller named.
    pub origin: Arc<str>,
    /// The code.
    pub sealed: SealedCode,
    /// When it came.
    pub received_at: Timestamp,
    /// From then on Kommo no longer takes it.
    pub expires_at: Timestamp,
}

/// A code that is kept, without the code itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptCode {
    /// Names it; a newer one has a greater number.
    pub id: i64,
    /// The integration's id, in lower case.
    pub client_uuid: Arc<str>,
    /// The address that the caller named.
    pub origin: Arc<str>,
    /// When it came.
    pub received_at: Timestamp,
    /// From then on Kommo no longer takes it.
    pub expires_at: Timestamp,
}

/// How many codes are kept at most.
#[derive(Clone, Copy, Debug)]
pub struct CodeLimits {
    /// For one integration at one address. Beyond it, the oldest one of them goes.
    pub per_origin: i64,
    /// In all. Beyond it, the oldest one goes of the address that has most.
    pub total: i64,
}

/// Whether the `state` of a link may be used with a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateUse {
    /// Yes: it was not used yet, or with this very code, which connected nothing so far.
    Granted,
    /// It was used with this very code, which connected this account.
    Connected(AccountId),
    /// It was used with another code.
    OtherCode,
}

/// A call that says that an account was disconnected, and that is not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRevocation {
    /// Which connection.
    pub key: AccountKey,
    /// Since when it waits.
    pub since: Timestamp,
    /// Whether no such call had come before.
    pub is_first: bool,
}
