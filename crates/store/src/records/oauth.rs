//! The OAuth data apart from the accounts: pairs of account and address, codes, used links, announced disconnections.

use std::sync::Arc;

use model::{AccountId, AccountKey, Timestamp};

/// An account and an address that appeared together in a verified token of an integration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The integration's id, in lower case.
    pub client_uuid: Arc<str>,
    /// Scheme, host and port.
    pub origin: Arc<str>,
    /// The account's number.
    pub account_id: AccountId,
}

/// An encrypted code.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedCode {
    /// The id of the key that encrypted it.
    pub key_id: String,
    /// Nonce and ciphertext.
    pub code: Vec<u8>,
}

/// The code of an installation, not yet exchanged.
#[derive(Clone)]
pub struct NewCode {
    /// The integration's id, in lower case.
    pub client_uuid: Arc<str>,
    /// The address that the caller named.
    pub origin: Arc<str>,
    /// The code.
    pub sealed: SealedCode,
    /// When it arrived.
    pub received_at: Timestamp,
    /// When it expires: from then on Kommo rejects it.
    pub expires_at: Timestamp,
}

/// The description of a stored code, without the code itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptCode {
    /// The number of the code; newer codes have greater numbers.
    pub id: i64,
    /// The integration's id, in lower case.
    pub client_uuid: Arc<str>,
    /// The address that the caller named.
    pub origin: Arc<str>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// When it expires: from then on Kommo rejects it.
    pub expires_at: Timestamp,
}

/// The maximum numbers of stored codes.
#[derive(Clone, Copy, Debug)]
pub struct CodeLimits {
    /// For one integration at one address. Above it, the oldest code of the pair is deleted.
    pub per_origin: i64,
    /// In total. Above it, the oldest code of the address with the most codes is deleted.
    pub total: i64,
}

/// Whether the `state` of a link may be used with a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateUse {
    /// Yes: it is unused, or was used with this same code, which has connected no account so far.
    Granted,
    /// It was used with this same code, which connected this account.
    Connected(AccountId),
    /// It was used with another code.
    OtherCode,
}

/// A call that announced that an account was disconnected, and that is not settled yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRevocation {
    /// The account and the integration.
    pub key: AccountKey,
    /// When it began to wait.
    pub since: Timestamp,
    /// Whether it is the first such call.
    pub is_first: bool,
}
