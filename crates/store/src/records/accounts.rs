//! Accounts: new connections, renewals of tokens, and the reasons why deliveries wait.

use std::sync::Arc;

use model::{AccountKey, AccountWait, Authorization, SealedTokens, Timestamp};

use super::Actor;

/// An account to connect after an authorization.
#[derive(Clone)]
pub struct NewConnection {
    /// The account and the integration.
    pub key: AccountKey,
    /// Its address: scheme, host and port.
    pub origin: Arc<str>,
    /// Its tokens.
    pub tokens: SealedTokens,
    /// The address from which the account may move, if the store knows it at another address.
    pub moves_from: Option<Arc<str>>,
    /// The random part of the `state` of the link that led here; `None` if there was no link.
    pub state: Option<[u8; 16]>,
    /// The operator who confirmed the installation, for the log of actions; `None` if no operator did.
    pub by: Option<Actor>,
}

/// Whether the caller may renew the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leased {
    /// Yes; no one else may until the lease ends.
    Granted,
    /// Another process renews them, until this moment of the steady clock at the latest.
    Busy(Timestamp),
    /// The tokens have changed: read them again first.
    Changed,
}

/// How a renewal ended.
#[derive(Clone, Debug)]
pub enum Renewal {
    /// Kommo issued a new pair of tokens; the account is now at this address.
    Renewed {
        /// Scheme, host and port.
        origin: Arc<str>,
        /// The new pair.
        tokens: SealedTokens,
    },
    /// The renewal failed; the tokens are unchanged.
    Failed,
    /// The tokens are no longer valid.
    Stopped(Authorization),
}

/// Why the deliveries to one address wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// The wait of its account.
    pub account: Option<AccountWait>,
    /// The wait of all accounts.
    pub all_accounts: Option<AccountWait>,
}
