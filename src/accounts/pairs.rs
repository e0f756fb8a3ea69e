//! Which account was at which address, according to verified tokens of bots.
//!
//! A token signed with an integration's secret contains the account's address (`iss`) and its number. An installation
//! without a link may be trusted at an address that occurred in such a token, because the address belongs to a real
//! account and is not merely an allowed host. A pair counts only for the integration that signed the token: the
//! holder of another secret could have forged it.
//!
//! Every accepted request checks whether its pair is known, so the check uses only memory. [`watch`](super::watch)
//! stores a new pair within five seconds. A pair lost in a crash is seen again with the account's next request.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use model::AccountId;
use model::maps::HashMap;
use store::{Pair, Store, StoreError};

use super::Accounts;

/// The maximum number of pairs: far more than a bridge has accounts, but it limits what a stolen secret can fill.
const MAX_PAIRS: usize = 100_000;

/// The known pairs.
#[derive(Default)]
pub(super) struct Pairs {
    known: RwLock<Known>,
    /// Pairs that are not stored yet.
    unsaved: Mutex<Vec<Pair>>,
}

#[derive(Default)]
struct Known {
    /// Ids of integrations and numbers of accounts, by address.
    at: HashMap<Arc<str>, Vec<(Arc<str>, AccountId)>>,
    count: usize,
}

impl Known {
    /// Returns the accounts that were seen at this address.
    fn numbers<'a>(&'a self, client_uuid: &'a str, origin: &str) -> impl Iterator<Item = AccountId> + 'a {
        let there = self.at.get(origin).into_iter().flatten();
        there.filter(|(known, _)| is_same(known, client_uuid)).map(|(_, account_id)| *account_id)
    }

    fn has(&self, client_uuid: &str, origin: &str, account_id: AccountId) -> bool {
        self.numbers(client_uuid, origin).any(|known| known == account_id)
    }

    /// Returns whether the pair is new and there is room for it.
    fn add(&mut self, pair: &Pair) -> bool {
        if self.count >= MAX_PAIRS || self.has(&pair.client_uuid, &pair.origin, pair.account_id) {
            return false;
        }
        let Pair { client_uuid, origin, account_id } = pair.clone();
        self.at.entry(origin).or_default().push((client_uuid, account_id));
        self.count += 1;
        true
    }
}

fn is_same(known: &str, client_uuid: &str) -> bool {
    known.eq_ignore_ascii_case(client_uuid.trim())
}

impl Pairs {
    /// Loads the stored pairs.
    pub(super) fn load(&self, stored: &[Pair]) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for pair in stored {
            known.add(pair);
        }
    }

    /// Records a pair; the next [`save`](Self::save) stores a new one.
    fn note(&self, client_uuid: &str, origin: &str, account_id: AccountId) {
        // This runs for each request, and usually the pair is known.
        if self.knows(client_uuid, origin, account_id) {
            return;
        }
        let client_uuid = client_uuid.trim().to_ascii_lowercase().into();
        let pair = Pair { client_uuid, origin: origin.into(), account_id };
        if self.known.write().unwrap_or_else(PoisonError::into_inner).add(&pair) {
            self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).push(pair);
        }
    }

    /// Whether the account with this number was seen at this address.
    pub(super) fn knows(&self, client_uuid: &str, origin: &str, account_id: AccountId) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).has(client_uuid, origin, account_id)
    }

    /// Returns the numbers of the accounts that were seen at this address.
    pub(super) fn numbers_at(&self, client_uuid: &str, origin: &str) -> Vec<AccountId> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.numbers(client_uuid, origin).collect()
    }

    /// Returns the addresses where the account with this number was seen.
    pub(super) fn origins_of(&self, client_uuid: &str, account_id: AccountId) -> Vec<Arc<str>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let there = |origin: &&Arc<str>| known.has(client_uuid, origin, account_id);
        known.at.keys().filter(there).cloned().collect()
    }

    /// Stores new pairs.
    pub(super) async fn save(&self, store: &Store) -> Result<(), StoreError> {
        let new = std::mem::take(&mut *self.unsaved.lock().unwrap_or_else(PoisonError::into_inner));
        if new.is_empty() {
            return Ok(());
        }
        let saved = store.oauth().add_pairs(new.clone()).await;
        if saved.is_err() {
            self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).extend(new);
        }
        saved
    }
}

impl Accounts {
    /// Records that a verified token of this integration named this account at this address.
    pub fn was_seen(&self, client_uuid: &str, origin: &str, account_id: AccountId) {
        self.0.pairs.note(client_uuid, origin, account_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_counts_only_for_its_integration_address_and_number() {
        let pairs = Pairs::default();
        for (client_uuid, origin, account_id) in
            [("Id", "https://a", 7), (" iD", "https://a", 7), ("id", "https://a", 8), ("id", "https://b", 7)]
        {
            pairs.note(client_uuid, origin, AccountId(account_id));
        }
        assert_eq!(pairs.unsaved.lock().unwrap().len(), 3, "each pair once");
        for (client_uuid, origin, account_id, expected) in [
            ("ID", "https://a", 7, true),
            ("other", "https://a", 7, false),
            ("id", "https://c", 7, false),
            ("id", "https://b", 8, false),
        ] {
            let known = pairs.knows(client_uuid, origin, AccountId(account_id));
            assert_eq!(known, expected, "{client_uuid} {origin} {account_id}");
        }
        let mut numbers = pairs.numbers_at("id", "https://a");
        numbers.sort();
        assert_eq!(numbers, [AccountId(7), AccountId(8)]);
        assert_eq!(pairs.numbers_at("other", "https://a"), []);
        assert_eq!(pairs.origins_of("id", AccountId(7)).len(), 2);
    }

    #[test]
    fn the_number_of_pairs_is_limited() {
        let mut known = Known { count: MAX_PAIRS, ..Known::default() };
        let pair = Pair { client_uuid: "id".into(), origin: "https://a".into(), account_id: AccountId(7) };
        assert!(!known.add(&pair));
        known.count -= 1;
        assert!(known.add(&pair));
    }
}
