//! The source of bearer tokens.
//!
//! The client does not know where tokens are stored, or whether a token is valid for years or for a day. It gets a bearer
//! before each call, and another one if Kommo refuses the first.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use secrecy::SecretString;

use model::{AccountId, WaitCause};

/// A token, and the address at which it may be used now.
#[derive(Clone)]
pub struct Bearer {
    /// The account's current scheme, host and port. They differ from the requested ones if the account has moved.
    pub origin: Arc<str>,
    /// The access token.
    pub token: Arc<SecretString>,
    /// A number that distinguishes this token from its successors, from 1; 0 for a long-lived token, which has none.
    pub generation: u64,
}

impl Bearer {
    /// Whether the token is long-lived, so that only an operator can renew it.
    pub const fn is_long_lived(&self) -> bool {
        self.generation == 0
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").field("origin", &self.origin).field("generation", &self.generation).finish()
    }
}

/// The reason why there is no bearer. The texts say what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBearer {
    /// No account with this address is connected.
    #[error(
        "no account with this address is connected: run `salesbot-bridge accounts authorize`, or add accounts.NAME with \
         base_url and access_token"
    )]
    Unknown,
    /// The account's tokens no longer work, or the account was disconnected.
    #[error("{why}; run `salesbot-bridge accounts authorize`")]
    NeedsAuthorization {
        /// The reason.
        why: String,
    },
    /// Kommo refuses the account's long-lived token, which the bridge cannot renew.
    #[error(
        "Kommo refuses the account's long-lived token: an administrator of the account must create a new one; put it into \
         accounts.NAME.access_token and restart, or into the file of access_token_file and send SIGHUP"
    )]
    LongLived,
    /// The token must be renewed, and the renewal failed. A later renewal may succeed.
    #[error("the account's token could not be renewed: {why}")]
    NotRenewed {
        /// The error.
        why: String,
    },
}

impl NoBearer {
    /// The cause of the wait that this starts for calls to the account.
    #[doc(hidden)]
    pub const fn cause(&self) -> WaitCause {
        match self {
            Self::Unknown | Self::NeedsAuthorization { .. } => WaitCause::NotConnected,
            Self::LongLived => WaitCause::Unauthorized,
            Self::NotRenewed { .. } => WaitCause::NotRenewed,
        }
    }

    /// The problem, without advice.
    pub fn what(&self) -> String {
        match self {
            Self::Unknown => "no account with this address is connected".to_owned(),
            Self::NeedsAuthorization { why } => why.clone(),
            Self::LongLived => "Kommo refuses the account's long-lived token".to_owned(),
            Self::NotRenewed { .. } => self.to_string(),
        }
    }
}

/// A future of [`Credentials`] that returns a bearer.
pub type BearerFuture<'a> = Pin<Box<dyn Future<Output = Result<Bearer, NoBearer>> + Send + 'a>>;

/// The account that a call is for.
#[derive(Clone, Copy, Debug)]
pub struct AccountRef<'a> {
    /// The account's current or former address: `https://example.kommo.com`.
    pub origin: &'a str,
    /// The account's number, if known. An address can pass from one account to another; then the number decides.
    pub account_id: Option<AccountId>,
}

impl<'a> From<&'a str> for AccountRef<'a> {
    fn from(origin: &'a str) -> Self {
        Self { origin, account_id: None }
    }
}

impl<'a> From<(&'a str, AccountId)> for AccountRef<'a> {
    fn from((origin, account_id): (&'a str, AccountId)) -> Self {
        Self { origin, account_id: Some(account_id) }
    }
}

/// Provides the bearers of accounts.
pub trait Credentials: Send + Sync {
    /// Returns a bearer of the account that is not known to be invalid.
    fn bearer<'a>(&'a self, account: AccountRef<'a>) -> BearerFuture<'a>;

    /// Returns another bearer instead of `refused`, to which Kommo answered 401.
    fn renewed<'a>(&'a self, account: AccountRef<'a>, refused: &'a Bearer) -> BearerFuture<'a>;

    /// Whether Kommo has answered 401 to this bearer, so that another one must replace it.
    fn is_refused(&self, _: AccountRef<'_>, _: &Bearer) -> bool {
        false
    }
}

/// The long-lived token of one account, for a program without a bridge.
pub struct LongLived(Bearer);

impl LongLived {
    /// Wraps the token of the account at `origin`.
    pub fn new(origin: &str, token: SecretString) -> Self {
        Self(Bearer { origin: origin.into(), token: Arc::new(token), generation: 0 })
    }
}

impl Credentials for LongLived {
    fn bearer<'a>(&'a self, account: AccountRef<'a>) -> BearerFuture<'a> {
        let known = *self.0.origin == *account.origin;
        Box::pin(async move { if known { Ok(self.0.clone()) } else { Err(NoBearer::Unknown) } })
    }

    fn renewed<'a>(&'a self, _: AccountRef<'a>, _: &'a Bearer) -> BearerFuture<'a> {
        Box::pin(async { Err(NoBearer::LongLived) })
    }
}
