//! Who may speak to which account: the bearer tokens, by the account's address.
//!
//! There are two kinds. An account of the configuration has a long-lived token, which is never written to disk; where
//! both are there, it is the one that is used. A connected account got its tokens by OAuth: a person
//! authorized it ([`connect`]), its tokens are kept encrypted ([`seal`]), and renewed ahead of their end or
//! after a 401 ([`renew`]).
//!
//! What it promises: tokens of an account are renewed by one at a time, over all processes of one store; a new pair is stored
//! before it is used, so no crash loses an account; a secret goes to allowed hosts only, and without a link only to those that
//! are known or confirmed ([`install`]); no address can take an account away from another one by naming it ([`place`]); what
//! Kommo disconnects is refused from then on ([`revoke`]). Deliveries that waited for an account go out by themselves once it is
//! connected.

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
mod known;
mod link;
#[cfg(any(test, feature = "cli"))]
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
use model::{AccountId, AccountKey, AccountRecord, AccountState};
use store::StoreError;

#[cfg(any(test, feature = "cli"))]
pub use confirm::Installation;
pub use connect::Callback;
pub use connection::{ConnectError, Connected, Connection, Kept};
#[cfg(any(test, feature = "cli"))]
pub use link::LINK_LIFE;
pub use link::StateError;
#[cfg(any(test, feature = "cli"))]
pub use list::Listed;
pub use parts::{AccountsParts, EncryptionKeys, LongLivedAccount, OAuthIntegration};
pub use revoke::{Revocation, RevocationError, Revoked};

use connect::LinkTurns;
use directory::{AccountDirectory, Entry};
use evidence::LastAnswer;
use pairs::Pairs;
use renew::Renewing;
use seal::Sealer;
use throttle::Throttle;

/// The accounts that the bridge can speak to. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    parts: AccountsParts,
    /// By origin.
    long_lived: RwLock<HashMap<String, Bearer>>,
    sealer: Option<Sealer>,
    directory: RwLock<AccountDirectory>,
    /// One entry for each account that was ever renewed here.
    renewing: Mutex<HashMap<AccountKey, Arc<Renewing>>>,
    /// The generations of tokens to which Kommo said 401, until they are renewed.
    refused: Mutex<HashMap<AccountKey, u64>>,
    /// Installations that anybody can claim.
    strangers: Mutex<Throttle>,
    /// Which account was seen at which address.
    pairs: Pairs,
    /// Links that are being used.
    link_turns: Mutex<LinkTurns>,
    /// What accounts were asked after a call that says that they were disconnected.
    last_answers: Mutex<HashMap<AccountKey, Arc<tokio::sync::Mutex<Option<LastAnswer>>>>>,
    /// Accounts that were disconnected not long ago, and until when, by the elapsed time, requests may come in that were
    /// checked before that.
    disconnected: Mutex<Vec<(AccountId, Duration)>>,
    /// Rows of the store that cannot be read, and their generations.
    unreadable: Mutex<HashMap<AccountKey, u64>>,
    /// Something changed that decides when tokens are renewed.
    changed: Notify,
}

impl Accounts {
    /// The accounts of the configuration and of the store.
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
            strangers: Mutex::default(),
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

    /// A bearer for calls to that account that is not known to be stale; it is renewed first if it must be.
    ///
    /// # Errors
    /// There is none; the error says what a person has to do.
    pub async fn bearer<'a>(&self, account_ref: impl Into<AccountRef<'a>>) -> Result<Bearer, NoBearer> {
        let account_ref = account_ref.into();
        if let Some(bearer) = self.long_lived(account_ref.origin) {
            return Ok(bearer);
        }
        let Some(entry) = self.entry(account_ref) else { return self.find(account_ref).await };
        entry.open()?;
        if self.is_good(&entry) {
            return entry.bearer();
        }
        self.renew(&entry.record.key, entry.record.generation).await
    }

    /// Another bearer in place of `refused`, to which Kommo said 401. However many ask, the tokens are renewed once.
    ///
    /// # Errors
    /// There is none; the error says what a person has to do.
    pub async fn renewed<'a>(
        &self,
        account_ref: impl Into<AccountRef<'a>>,
        refused: &Bearer,
    ) -> Result<Bearer, NoBearer> {
        let account_ref = account_ref.into();
        if let Some(bearer) = self.long_lived(account_ref.origin) {
            // It may have been exchanged while the old one was on its way.
            let is_new = !Arc::ptr_eq(&bearer.token, &refused.token);
            return if is_new { Ok(bearer) } else { Err(NoBearer::LongLived) };
        }
        let entry = self.entry(account_ref).ok_or(NoBearer::Unknown)?;
        let key = &entry.record.key;
        self.note_refused(key, refused);
        self.renew(key, refused.generation).await
    }

    /// Whether a bearer can be had at once: nothing has to be renewed for it first.
    pub fn is_at_hand<'a>(&self, account_ref: impl Into<AccountRef<'a>>) -> bool {
        let account_ref = account_ref.into();
        let good = |entry: Arc<Entry>| entry.open().is_err() || self.is_good(&entry);
        self.long_lived(account_ref.origin).is_some()
            || self.entry(account_ref).map_or_else(|| self.perhaps_moved(account_ref).is_none(), good)
    }

    /// Whether calls to `origin` go to another account than this one, so that its pauses must not be this one's.
    pub fn is_anothers(&self, origin: &str, account_id: AccountId) -> bool {
        let is_another =
            |entry: Arc<Entry>| entry.record.key.account_id != account_id && entry.open().is_ok();
        self.entry(origin).is_some_and(is_another)
    }

    /// Where the account that was at `origin` is now, if it has moved: its calls are paced together, whichever address
    /// a job names.
    pub fn moved_to(&self, origin: &str) -> Option<Arc<str>> {
        if self.long_lived(origin).is_some() {
            return None;
        }
        self.directory().moved_to(origin).cloned()
    }

    /// The addresses whose jobs are paced together with those of `origin`, as [`moved_to`](Self::moved_to) says.
    pub fn moved_from(&self, origin: &str) -> Vec<Arc<str>> {
        self.directory().moved_from(origin)
    }

    /// The longest that one waits for a bearer.
    pub fn max_bearer_wait(&self) -> Duration {
        self.lease()
    }

    /// Whether Kommo has told that this account disconnected the integration.
    pub fn is_disabled(&self, account_id: AccountId, client_uuid: &str) -> bool {
        let directory = self.directory();
        // Asked for each request, and nearly always there is none.
        if !directory.has_revoked() {
            return false;
        }
        let entry = directory.get(&AccountKey::new(account_id, client_uuid));
        entry.is_some_and(|entry| entry.record.authorization.state() == AccountState::Revoked)
    }

    /// The integrations that accounts are connected through.
    pub fn integrations(&self) -> &[OAuthIntegration] {
        &self.0.parts.integrations
    }

    /// Puts a new long-lived token of `accounts.NAME` in force. Deliveries that waited for one go on. Says whether it is
    /// another one than before, or `None` if there is no such account.
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

    /// Reads everything anew from the store.
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

    /// How often the directory was changed.
    fn changes(&self) -> u64 {
        self.directory().changes()
    }

    /// Takes what was read from the store, unless the directory was changed since `before`: what was read then may be older than
    /// what is known, and would bring back tokens that are gone. Says whether it was taken.
    fn replace(&self, before: u64, records: Vec<AccountRecord>) -> bool {
        let mut taken = false;
        self.change(|directory| taken = directory.replace(before, records, self.0.sealer.as_ref()));
        taken
    }

    /// Changes the directory, and passes on what follows from that.
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

    /// The tokens of the account are new: deliveries that waited for nothing else go on.
    fn resume_after_renewal(&self, origin: &str) {
        if self.0.parts.limiter.resume_after_renewal(origin) {
            self.0.parts.health.account_goes_on(origin);
        }
    }

    /// The account can be called: its deliveries go on.
    fn resume_with_new_token(&self, origin: &str) {
        self.0.parts.health.account_goes_on(origin);
        self.0.parts.limiter.resume_with_new_token(origin);
    }
}

/// How an account is called in notes and logs: `example.kommo.com`.
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
