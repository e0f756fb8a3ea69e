//! Access to accounts: returns the bearer token for calls to an account's address.
//!
//! There are two kinds of accounts. A configured account has a long-lived token, which is never written to disk and
//! which takes precedence. A connected account got its tokens by OAuth: a person authorized it ([`connect`]), and its
//! tokens are stored encrypted ([`seal`]) and renewed before they expire or after a 401 ([`renew`]).
//!
//! Guarantees:
//!
//! - Only one renewal of an account's tokens runs at a time, over all processes of one store.
//! - A new pair is stored before it is used, so a crash never loses an account.
//! - A secret is sent only to allowed hosts, and without a link only to known or confirmed ones ([`install`]).
//! - No address can take an account from another address by naming it ([`place`]).
//! - If Kommo disconnects an account, its requests are refused from then on ([`revoke`]).
//! - Deliveries that waited for an account are sent automatically once it is connected.

mod callback_key;
#[cfg(any(test, feature = "cli"))]
mod confirm;
mod connect;
mod connection;
mod directory;
mod due;
mod evidence;
mod exchange;
mod find;
mod install;
mod installations;
mod known;
mod link;
mod list;
mod paced;
mod pairs;
mod parts;
mod place;
mod referer;
mod refused;
mod renew;
mod revoke;
mod seal;
mod throttle;
mod waits;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Notify;

use kommo::{AccountRef, Bearer, BearerFuture, Credentials, NoBearer};
use model::{AccountId, AccountKey, AccountRecord, AccountState, Authorization, Timestamp};
use store::StoreError;

pub use callback_key::{CallbackKeyError, open_callback_key, seal_callback_key};
pub use connect::Callback;
pub use connection::{ConnectError, Connected, Connection, Kept};
pub use installations::Installation;
#[cfg(any(test, feature = "cli"))]
pub use link::LINK_LIFE;
pub use link::StateError;
pub use parts::{AccountsParts, EncryptionKeys, LongLivedAccount, OAuthIntegration};
pub use revoke::{Revocation, RevocationError, Revoked};

use connect::LinkTurns;
use directory::{AccountDirectory, Entry};
use evidence::LastAnswer;
use pairs::Pairs;
use renew::Renewing;
use seal::Sealer;
use throttle::Throttle;

/// The accounts that the bridge can call. Cheap to clone; clones share state.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    parts: AccountsParts,
    /// By origin.
    long_lived: RwLock<HashMap<String, Bearer>>,
    sealer: Option<Sealer>,
    directory: RwLock<AccountDirectory>,
    /// One entry for each account that this process has ever renewed.
    renewing: Mutex<HashMap<AccountKey, Arc<Renewing>>>,
    /// The generations of tokens that got a 401, until they are renewed.
    refused: Mutex<HashMap<AccountKey, u64>>,
    /// Limits on installations, which anyone can send.
    throttle: Mutex<Throttle>,
    /// Which account was seen at which address.
    pairs: Pairs,
    /// Links that are in use.
    link_turns: Mutex<LinkTurns>,
    /// The last check of each account after a call that reported its disconnection.
    last_answers: Mutex<HashMap<AccountKey, Arc<tokio::sync::Mutex<Option<LastAnswer>>>>>,
    /// Recently disconnected accounts, each with the time, in elapsed time, until which requests verified earlier may
    /// still arrive.
    disconnected: Mutex<Vec<(AccountId, Duration)>>,
    /// Rows of the store that cannot be decrypted, and their generations.
    unreadable: Mutex<HashMap<AccountKey, u64>>,
    /// Wakes the task that renews tokens, after a change that affects when they are due.
    changed: Notify,
}

impl Accounts {
    /// Opens the accounts of the configuration and of the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn open(parts: AccountsParts) -> Result<Self, StoreError> {
        let long_lived = parts.long_lived.iter().map(|account| {
            let (origin, token) = (account.origin.as_str().into(), Arc::new(account.token.clone()));
            (account.origin.clone(), Bearer { origin, token, generation: 0 })
        });
        let keys = parts.keys.as_ref();
        let sealer =
            keys.map(|keys| Sealer::new(&keys.current, keys.previous.as_deref(), parts.secret_random));
        let accounts = Self(Arc::new(Inner {
            long_lived: RwLock::new(long_lived.collect()),
            sealer,
            directory: RwLock::default(),
            renewing: Mutex::default(),
            refused: Mutex::default(),
            throttle: Mutex::default(),
            pairs: Pairs::default(),
            link_turns: Mutex::default(),
            last_answers: Mutex::default(),
            disconnected: Mutex::default(),
            unreadable: Mutex::default(),
            changed: Notify::new(),
            parts,
        }));
        accounts.reload().await?;
        if let Some(store) = &accounts.0.parts.store {
            accounts.0.pairs.load(&store.oauth().pairs().await?);
        }
        Ok(accounts)
    }

    /// Returns a bearer token for calls to this account. Renews it first if it is known to be stale.
    ///
    /// # Errors
    /// There is no usable token. The error says what an operator must do.
    pub async fn bearer<'a>(&self, account_ref: impl Into<AccountRef<'a>>) -> Result<Bearer, NoBearer> {
        let account_ref = account_ref.into();
        if let Some(at_hand) = self.at_hand(account_ref) {
            return at_hand;
        }
        let Some(entry) = self.entry(account_ref) else { return self.find(account_ref).await };
        self.renew(&entry.record.key, entry.record.generation).await
    }

    /// Returns what [`bearer`](Self::bearer) returns, if that takes no renewal.
    pub fn at_hand<'a>(&self, account_ref: impl Into<AccountRef<'a>>) -> Option<Result<Bearer, NoBearer>> {
        let account_ref = account_ref.into();
        if let Some(bearer) = self.long_lived(account_ref.origin) {
            return Some(Ok(bearer));
        }
        match self.entry(account_ref) {
            Some(entry) => Some(entry.bearer()).filter(|bearer| bearer.is_err() || self.is_good(&entry)),
            None => self.maybe_moved(account_ref).is_none().then_some(Err(NoBearer::Unknown)),
        }
    }

    /// Returns a new bearer token to replace `refused`, which got a 401. The tokens are renewed once, however many
    /// callers ask.
    ///
    /// # Errors
    /// There is no newer token. The error says what an operator must do.
    pub async fn renewed<'a>(
        &self,
        account_ref: impl Into<AccountRef<'a>>,
        refused: &Bearer,
    ) -> Result<Bearer, NoBearer> {
        let account_ref = account_ref.into();
        if let Some(bearer) = self.long_lived(account_ref.origin) {
            // It may have been replaced while a call with the old one was in progress.
            let is_new = !Arc::ptr_eq(&bearer.token, &refused.token);
            return if is_new { Ok(bearer) } else { Err(NoBearer::LongLived) };
        }
        let entry = self.entry(account_ref).ok_or(NoBearer::Unknown)?;
        let key = &entry.record.key;
        self.record_refused(key, refused);
        self.renew(key, refused.generation).await
    }

    /// Whether `origin` now belongs to a different account, whose pauses must not apply to this one.
    pub fn is_anothers(&self, origin: &str, account_id: AccountId) -> bool {
        let is_another =
            |entry: Arc<Entry>| entry.record.key.account_id != account_id && entry.open().is_ok();
        self.entry(origin).is_some_and(is_another)
    }

    /// Returns the current address of the account that was at `origin`, if it has moved. Its calls are paced
    /// together, whichever address a job names.
    pub fn moved_to(&self, origin: &str) -> Option<Arc<str>> {
        if self.is_long_lived(origin) {
            return None;
        }
        self.directory().moved_to(origin).cloned()
    }

    /// Returns the addresses whose jobs are paced together with those of `origin`: the reverse of
    /// [`moved_to`](Self::moved_to).
    pub fn moved_from(&self, origin: &str) -> Vec<Arc<str>> {
        self.directory().moved_from(origin)
    }

    /// Returns the longest time that a caller waits for a bearer token.
    pub fn max_bearer_wait(&self) -> Duration {
        self.lease()
    }

    /// Whether Kommo has reported that this account disconnected the integration.
    pub fn is_disabled(&self, account_id: AccountId, client_uuid: &str) -> bool {
        let directory = self.directory();
        // This runs for each request, and usually no account is revoked.
        if !directory.has_revoked() {
            return false;
        }
        let entry = directory.get(&AccountKey::new(account_id, client_uuid));
        entry.is_some_and(|entry| entry.record.authorization.state() == AccountState::Revoked)
    }

    /// Returns when the first access token of the connected accounts expires; `None` if there is none.
    pub fn first_expiry(&self) -> Option<Timestamp> {
        let expiry = |entry: &Arc<Entry>| match &entry.record.authorization {
            Authorization::Active(tokens) => Some(tokens.expires_at),
            Authorization::Needed { .. } | Authorization::Revoked { .. } => None,
        };
        self.directory().entries().filter_map(expiry).min()
    }

    /// Returns the integrations that accounts are connected through.
    pub fn integrations(&self) -> &[OAuthIntegration] {
        &self.0.parts.integrations
    }

    /// Applies a new long-lived token for `accounts.NAME`, and resumes deliveries that waited for one. Returns
    /// whether the token differs from the previous one, or `None` if there is no such account.
    pub fn exchange_token(&self, name: &str, token: SecretString) -> Option<bool> {
        let account = self.0.parts.long_lived.iter().find(|account| account.name == name)?;
        let mut known = self.0.long_lived.write().unwrap_or_else(PoisonError::into_inner);
        let bearer = known.get_mut(&account.origin)?;
        if bearer.token.expose_secret() == token.expose_secret() {
            return Some(false);
        }
        bearer.token = Arc::new(token);
        drop(known);
        self.resume_with_new_token(&account.origin);
        Some(true)
    }

    fn long_lived(&self, origin: &str) -> Option<Bearer> {
        self.0.long_lived.read().unwrap_or_else(PoisonError::into_inner).get(origin).cloned()
    }

    fn is_long_lived(&self, origin: &str) -> bool {
        self.0.long_lived.read().unwrap_or_else(PoisonError::into_inner).contains_key(origin)
    }

    fn entry<'a>(&self, account_ref: impl Into<AccountRef<'a>>) -> Option<Arc<Entry>> {
        self.directory().of(account_ref.into()).cloned()
    }

    fn entry_of(&self, key: &AccountKey) -> Option<Arc<Entry>> {
        self.directory().get(key).cloned()
    }

    fn integration(&self, client_uuid: &str) -> Option<&OAuthIntegration> {
        let known = |integration: &&OAuthIntegration| {
            integration.client_uuid.eq_ignore_ascii_case(client_uuid.trim())
        };
        self.0.parts.integrations.iter().find(known)
    }

    /// Reloads everything from the store.
    async fn reload(&self) -> Result<(), StoreError> {
        let Some(store) = &self.0.parts.store else { return Ok(()) };
        loop {
            let before = self.changes();
            let records = store.accounts().all().await?;
            if self.replace(before, records) {
                return Ok(());
            }
        }
    }

    fn directory(&self) -> RwLockReadGuard<'_, AccountDirectory> {
        self.0.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of changes of the directory.
    fn changes(&self) -> u64 {
        self.directory().changes()
    }

    /// Replaces the directory with records read from the store, unless it has changed since `before`: the records may
    /// then be outdated, and would bring back old tokens. Returns whether it did.
    fn replace(&self, before: u64, records: Vec<AccountRecord>) -> bool {
        let mut taken = false;
        self.change(|directory| taken = directory.replace(before, records, self.0.sealer.as_ref()));
        taken
    }

    /// Changes the directory and applies the consequences.
    fn change(&self, change: impl FnOnce(&mut AccountDirectory)) {
        let mut directory = self.0.directory.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut directory);
        for state in AccountState::ALL {
            let there =
                directory.entries().filter(|entry| entry.record.authorization.state() == state).count();
            let there = u32::try_from(there).unwrap_or(u32::MAX);
            metrics::gauge!("bridge_accounts", "state" => state.as_str()).set(there);
        }
        let readdressed = directory.take_readdressed();
        drop(directory);
        readdressed.iter().for_each(|origin| self.0.parts.limiter.recheck(origin));
        self.0.changed.notify_one();
    }

    /// Resumes deliveries that waited only for new tokens.
    fn resume_after_renewal(&self, origin: &str) {
        if self.0.parts.limiter.resume_after_renewal(origin) {
            self.0.parts.health.account_resumes(origin);
        }
    }

    /// Resumes the account's deliveries, because it can be called again.
    fn resume_with_new_token(&self, origin: &str) {
        self.0.parts.health.account_resumes(origin);
        self.0.parts.limiter.resume_with_new_token(origin);
    }
}

/// Returns the host of an origin, by which logs and commands name the account: `example.kommo.com`.
fn host(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

impl Credentials for Accounts {
    fn bearer<'a>(&'a self, account_ref: AccountRef<'a>) -> BearerFuture<'a> {
        Box::pin(Self::bearer(self, account_ref))
    }

    fn renewed<'a>(&'a self, account_ref: AccountRef<'a>, refused: &'a Bearer) -> BearerFuture<'a> {
        Box::pin(Self::renewed(self, account_ref, refused))
    }

    fn is_refused(&self, account_ref: AccountRef<'_>, bearer: &Bearer) -> bool {
        Self::is_refused(self, account_ref, bearer)
    }
}
