//! Tokens that got a 401: no call may use them until they are renewed or the renewal fails.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use kommo::{AccountRef, Bearer};
use model::AccountKey;

use super::directory::Entry;
use super::{Accounts, due};

impl Accounts {
    /// Records that this bearer token got a 401.
    pub(super) fn record_refused(&self, key: &AccountKey, bearer: &Bearer) {
        let mut refused = self.refused();
        let known = refused.entry(key.clone()).or_insert(bearer.generation);
        *known = bearer.generation.max(*known);
    }

    /// Whether this bearer token got a 401, so that no call may use it.
    pub fn is_refused<'a>(&self, account_ref: impl Into<AccountRef<'a>>, bearer: &Bearer) -> bool {
        let is_refused = |entry: Arc<Entry>| self.refused_generation(&entry.record.key) >= bearer.generation;
        !bearer.is_long_lived() && self.entry(account_ref).is_some_and(is_refused)
    }

    /// Whether the account's tokens may be used: they got no 401 and do not expire soon.
    pub(super) fn is_good(&self, entry: &Entry) -> bool {
        let (now, record) = (self.0.parts.clock.now(), &entry.record);
        self.refused_generation(&record.key) < record.generation
            && entry
                .open()
                .is_ok_and(|(open, _)| due::is_good(open.tokens.obtained_at, open.tokens.expires_at, now))
    }

    /// Returns the newest generation of the account's tokens that got a 401; 0 if none did.
    fn refused_generation(&self, key: &AccountKey) -> u64 {
        self.refused().get(key).copied().unwrap_or_default()
    }

    pub(super) fn clear_refused(&self, key: &AccountKey) {
        self.refused().remove(key);
    }

    pub(super) fn refused(&self) -> MutexGuard<'_, HashMap<AccountKey, u64>> {
        self.0.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
