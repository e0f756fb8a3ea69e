//! Accounts: how they are connected, how their tokens are renewed, and what their deliveries wait for.

use std::sync::Arc;

use model::{AccountKey, AccountWait, Authorization, SealedTokens, Timestamp};

/// An account that an authorization connects.
#[derive(Clone)]
pub struct NewConnection {
    /// Which.
    pub key: AccountKey,
    /// Where it is: scheme, host and port.
    pub origin: Arc<str>,
    /// Its tokens.
    pub tokens: SealedTokens,
    /// The address that it may be moved away from, if it is known at another one.
    pub moves_from: Option<Arc<str>>,
    /// The random part of the `state` of the link that led here; `None` if there was no link.
    pub state: Option<[u8; 16]>,
}

/// Whether the tokens may be renewed by the one who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leased {
    /// Yes, and by no one else until the lease ends.
    Granted,
    /// Somebody else does it, until then at the latest, by the steady clock.
    Busy(Timestamp),
    /// The tokens have changed: read them again.
    Changed,
}

/// How a renewal ended.
#[derive(Clone, Debug)]
pub enum Renewal {
    /// Kommo gave a new pair; the account is at this address now.
    Renewed {
        /// Scheme, host and port.
        origin: Arc<str>,
        /// The new pair.
        tokens: SealedTokens,
    },
    /// Nothing came of it; the tokens stay as they are.
    Failed,
    /// The tokens are good no more.
    Stopped(Authorization),
}

/// What the deliveries of one address wait for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Its account.
    pub account: Option<AccountWait>,
    /// All accounts.
    pub all_accounts: Option<AccountWait>,
}
