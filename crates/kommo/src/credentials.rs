//! Where a client gets its bearer token from.
//!
//! The client does not know whether a token lives for years or for a day, nor where it is stored. It asks for the bearer
//! before each call, and once more if Kommo refuses it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use secrecy::SecretString;

use model::{AccountId, WaitCause};

/// A token, and where it may be used now.
#[derive(Clone)]
pub struct Bearer {
    /// Scheme, host and port that the account has now. It differs from the one asked for if the account has moved.
    pub origin: Arc<str>,
    /// The access token.
    pub token: Arc<SecretString>,
    /// Tells this token from its successors, from 1; 0 for a long-lived one, which has none.
    pub generation: u64,
}

impl Bearer {
    /// Whether only an operator can renew it.
    pub const fn is_long_lived(&self) -> bool {
        self.generation == 0
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").field("origin", &self.origin).field("generation", &self.generation).finish()
    }
}

/// Why there is no bearer. The texts say what a person has to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBearer {
    /// No account with this address is connected.
    #[error(
        "no account with this address is connected: run `salesbot-bridge accounts authorize`, or add accounts.NAME with \
         base_url and access_token"
    )]
    Unknown,
    /// Its tokens no longer work, or it was disconnected.
    #[error("{why}; run `salesbot-bridge accounts authorize`")]
    NeedsAuthorization {
        /// What happened to it.
        why: String,
    },
    /// Kommo refuses a token that cannot be renewed.
    #[error(
        "Kommo refuses its long-lived token: an administrator of the account has to make a new one; put it into \
         accounts.NAME.access_token and restart, or into the file of access_token_file and send SIGHUP"
    )]
    LongLived,
    /// The token has to be renewed, and that did not work just now. It may later.
    #[error("its token could not be renewed: {why}")]
    NotRenewed {
        /// What went wrong.
        why: String,
    },
}

impl NoBearer {
    /// What calls to the account wait for, then.
    #[doc(hidden)]
    pub const fn cause(&self) -> WaitCause {
        match self {
            Self::Unknown | Self::NeedsAuthorization { .. } => WaitCause::NotConnected,
            Self::LongLived => WaitCause::Unauthorized,
            Self::NotRenewed { .. } => WaitCause::NotRenewed,
        }
    }

    /// What is wrong, without what to do about it.
    pub fn what(&self) -> String {
        match self {
            Self::Unknown => "no account with this address is connected".to_owned(),
            Self::NeedsAuthorization { why } => why.clone(),
            Self::LongLived => "Kommo refuses its long-lived token".to_owned(),
            Self::NotRenewed { .. } => self.to_string(),
        }
    }
}

/// A bearer, once [`Credentials`] have it.
pub type BearerFuture<'a> = Pin<Box<dyn Future<Output = Result<Bearer, NoBearer>> + Send + 'a>>;

/// The account that a call is for.
#[derive(Clone, Copy, Debug)]
pub struct AccountRef<'a> {
    /// Its address, or one that it had: `https://example.kommo.com`.
    pub origin: &'a str,
    /// Kommo's number of it, if that is known. Addresses pass from one account to another; then the number decides.
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

/// Gives out the bearers of accounts.
pub trait Credentials: Send + Sync {
    /// A bearer of that account that is not known to be stale.
    fn bearer<'a>(&'a self, account: AccountRef<'a>) -> BearerFuture<'a>;

    /// Another bearer in place of `refused`, to which Kommo said 401.
    fn renewed<'a>(&'a self, account: AccountRef<'a>, refused: &'a Bearer) -> BearerFuture<'a>;

    /// Whether Kommo has said 401 to this bearer since it was given out, and it is being renewed.
    fn is_refused(&self, _: AccountRef<'_>, _: &Bearer) -> bool {
        false
    }
}

/// A long-lived token of one account: what a program that uses the client alone has.
pub struct LongLived(Bearer);

impl LongLived {
    /// The token of the account at `origin`.
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
