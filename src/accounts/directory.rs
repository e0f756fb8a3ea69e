//! The account directory: the connected accounts in memory, decrypted and indexed by address. No I/O.
//!
//! It is a copy of the store's accounts, replaced whenever one changes. Calls name an account by its address, so the
//! directory is searched by address. It also finds a moved account under its old address.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;

use kommo::{AccountRef, Bearer, NoBearer};
use model::maps::HashMap;
use model::{AccountId, AccountKey, AccountRecord, AccountState, Authorization, Timestamp};

use super::seal::{Sealer, Tokens, Unsealable};

/// The accounts by key, and their addresses.
#[derive(Default)]
pub(super) struct AccountDirectory {
    /// Sorted, so that all entries of one account are adjacent.
    entries: BTreeMap<AccountKey, Arc<Entry>>,
    /// The account whose bearer token is sent to an address.
    at: HashMap<Arc<str>, AccountKey>,
    /// The new addresses of moved accounts, by old address.
    moved: HashMap<Arc<str>, Arc<str>>,
    /// Addresses whose calls have changed target since the last [`take_readdressed`](Self::take_readdressed).
    readdressed: Vec<Arc<str>>,
    has_revoked: bool,
    /// Counts the changes.
    changes: u64,
}

/// A connected account, ready for use.
pub(super) struct Entry {
    pub(super) record: AccountRecord,
    /// Its tokens if it is active, or why they are unusable.
    pub(super) tokens: Option<Result<Open, Unreadable>>,
}

/// Why the tokens of an active account are unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("store.encryption_key is missing, so its tokens cannot be read")]
    NoKey,
    #[error(transparent)]
    Sealed(#[from] Unsealable),
}

/// Decrypted tokens.
pub(super) struct Open {
    pub(super) tokens: Tokens,
    access: Arc<SecretString>,
    /// Whether the current key encrypted them.
    pub(super) is_current: bool,
}

impl Entry {
    fn new(record: AccountRecord, sealer: Option<&Sealer>) -> Self {
        let tokens = match &record.authorization {
            Authorization::Active(sealed) => Some(match sealer {
                None => Err(Unreadable::NoKey),
                Some(sealer) => match sealer.open(&record.key, sealed) {
                    Ok(tokens) => Ok(Open {
                        access: Arc::new(tokens.access.clone()),
                        tokens,
                        is_current: sealer.is_current(sealed),
                    }),
                    Err(error) => Err(error.into()),
                },
            }),
            Authorization::Needed { .. } | Authorization::Revoked { .. } => None,
        };
        Self { record, tokens }
    }

    /// Returns its tokens and its address.
    ///
    /// # Errors
    /// It has no usable tokens.
    pub(super) fn open(&self) -> Result<(&Open, &Arc<str>), NoBearer> {
        match (&self.tokens, &self.record.origin) {
            (Some(Ok(open)), Some(origin)) => Ok((open, origin)),
            (Some(Err(error)), _) => Err(NoBearer::NeedsAuthorization { why: error.to_string() }),
            _ => {
                let why = self.record.authorization.reason().unwrap_or("it was not connected").to_owned();
                Err(NoBearer::NeedsAuthorization { why })
            }
        }
    }

    /// Returns the bearer token for its calls.
    ///
    /// # Errors
    /// It has no usable tokens.
    pub(super) fn bearer(&self) -> Result<Bearer, NoBearer> {
        let (open, origin) = self.open()?;
        Ok(Bearer { origin: origin.clone(), token: open.access.clone(), generation: self.record.generation })
    }

    /// Ranks the accounts at one address; the greatest is called. Active accounts rank highest and revoked ones lowest;
    /// among equals, the most recently connected one wins.
    fn rank(&self) -> (bool, bool, Option<Timestamp>) {
        let state = self.record.authorization.state();
        (state == AccountState::Active, state != AccountState::Revoked, self.record.connected_at)
    }
}

impl AccountDirectory {
    /// Returns the number of changes so far.
    pub(super) const fn changes(&self) -> u64 {
        self.changes
    }

    /// Replaces all records, unless something has changed since `before`. Returns whether it did.
    pub(super) fn replace(
        &mut self,
        before: u64,
        records: Vec<AccountRecord>,
        sealer: Option<&Sealer>,
    ) -> bool {
        if self.changes != before {
            return false;
        }
        let entries =
            records.into_iter().map(|record| (record.key.clone(), Arc::new(Entry::new(record, sealer))));
        self.entries = entries.collect();
        self.index();
        true
    }

    /// Replaces the record of the same account, unless the known one is newer: writes may arrive here out of order.
    pub(super) fn put(&mut self, record: AccountRecord, sealer: Option<&Sealer>) {
        let newer = |known: &Arc<Entry>| {
            known.record.generation > record.generation && known.record.connected_at >= record.connected_at
        };
        if self.entries.get(&record.key).is_some_and(newer) {
            return;
        }
        self.entries.insert(record.key.clone(), Arc::new(Entry::new(record, sealer)));
        self.index();
    }

    /// Removes an account.
    #[cfg(any(test, feature = "cli"))]
    pub(super) fn remove(&mut self, key: &AccountKey) {
        self.entries.remove(key);
        self.index();
    }

    /// Returns all accounts.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values()
    }

    /// Returns one account.
    pub(super) fn get(&self, key: &AccountKey) -> Option<&Arc<Entry>> {
        self.entries.get(key)
    }

    /// Returns the connections of the account with this number, through any integration.
    pub(super) fn numbered(&self, account_id: AccountId) -> impl Iterator<Item = &Arc<Entry>> {
        let from = AccountKey { account_id, client_uuid: Arc::from("") };
        self.entries
            .range(from..)
            .take_while(move |(key, _)| key.account_id == account_id)
            .map(|(_, entry)| entry)
    }

    /// Returns the account whose bearer token is sent to `origin`, or to where the account there has moved.
    pub(super) fn at(&self, origin: &str) -> Option<&Arc<Entry>> {
        let key = self.at.get(origin).or_else(|| self.at.get(self.moved.get(origin)?))?;
        self.entries.get(key)
    }

    /// Returns the account of a reference: the one that has the address or had it, but never one with a different
    /// number.
    pub(super) fn of(&self, account_ref: AccountRef<'_>) -> Option<&Arc<Entry>> {
        let found = self.at(account_ref.origin)?;
        let Some(wanted) = account_ref.account_id.filter(|wanted| *wanted != found.record.key.account_id)
        else {
            return Some(found);
        };
        // The address has passed from one account to another, which is rare.
        let was_there = |entry: &&Arc<Entry>| {
            let AccountRecord { origin, previous_origin, .. } = &entry.record;
            [origin, previous_origin].into_iter().flatten().any(|known| **known == *account_ref.origin)
        };
        self.numbered(wanted).filter(was_there).max_by_key(|entry| entry.rank())
    }

    /// Returns the current address of the account that was at `origin`, if it has moved.
    pub(super) fn moved_to(&self, origin: &str) -> Option<&Arc<str>> {
        self.moved.get(origin)
    }

    /// Returns the earlier addresses of the account at `origin`.
    pub(super) fn moved_from(&self, origin: &str) -> Vec<Arc<str>> {
        self.moved.iter().filter(|(_, to)| ***to == *origin).map(|(from, _)| from.clone()).collect()
    }

    /// Returns the addresses whose calls have changed target since the last call of this function. An address may
    /// occur twice.
    pub(super) fn take_readdressed(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.readdressed)
    }

    /// Whether any account is revoked.
    pub(super) const fn has_revoked(&self) -> bool {
        self.has_revoked
    }

    fn index(&mut self) {
        self.changes += 1;
        let mut states = self.entries.values().map(|entry| entry.record.authorization.state());
        self.has_revoked = states.any(|state| state == AccountState::Revoked);
        self.at.clear();
        for entry in self.entries.values() {
            let Some(origin) = &entry.record.origin else { continue };
            let known = self.at.get(origin).and_then(|key| self.entries.get(key));
            if known.is_none_or(|known| known.rank() < entry.rank()) {
                self.at.insert(origin.clone(), entry.record.key.clone());
            }
        }
        let mut moves: Vec<_> = self.entries.values().collect();
        // If several accounts were at one address, the last one wins.
        moves.sort_by_key(|entry| entry.rank());
        let moves = moves.into_iter().filter_map(|entry| {
            let (from, to) = (entry.record.previous_origin.clone()?, entry.record.origin.clone()?);
            // An account that is at the old address now owns it.
            (!self.at.contains_key(&from)).then_some((from, to))
        });
        let before = std::mem::replace(&mut self.moved, moves.collect());
        let changed = |from: &&Arc<str>| before.get(*from) != self.moved.get(*from);
        self.readdressed.extend(before.keys().chain(self.moved.keys()).filter(changed).cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(account_id: i64, origin: &str, authorization: Authorization) -> AccountRecord {
        AccountRecord {
            key: AccountKey::new(AccountId(account_id), "id"),
            origin: Some(origin.into()),
            previous_origin: None,
            authorization,
            generation: 1,
            connected_at: None,
        }
    }

    fn sealer() -> Sealer {
        Sealer::new(&[1; 32], None, |bytes| {
            bytes.fill_with(|| fastrand::u8(..));
            true
        })
    }

    fn active(account_id: i64, origin: &str) -> AccountRecord {
        let now = Timestamp::from_millis(0);
        let tokens = Tokens { access: "a".into(), refresh: "r".into(), obtained_at: now, expires_at: now };
        let key = AccountKey::new(AccountId(account_id), "id");
        record(account_id, origin, Authorization::Active(sealer().seal(&key, &tokens).unwrap()))
    }

    fn needs(account_id: i64, origin: &str) -> AccountRecord {
        record(account_id, origin, Authorization::Needed { reason: "Kommo said so".into() })
    }

    impl AccountDirectory {
        fn new(records: Vec<AccountRecord>, sealer: Option<&Sealer>) -> Self {
            let mut directory = Self::default();
            assert!(directory.replace(0, records, sealer));
            directory
        }
    }

    #[test]
    fn older_records_do_not_replace_newer_ones() {
        let mut directory = AccountDirectory::default();
        let before = directory.changes();
        let renewed = AccountRecord { generation: 2, ..active(1, "https://a") };
        directory.put(renewed, Some(&sealer()));
        let known =
            |directory: &AccountDirectory| directory.at("https://a").map(|entry| entry.record.generation);
        assert!(!directory.replace(before, vec![active(1, "https://a")], Some(&sealer())));
        directory.put(active(1, "https://a"), Some(&sealer()));
        assert_eq!(known(&directory), Some(2));
        // Another process removed it and connected it again, so its generations start over.
        let reconnected =
            AccountRecord { connected_at: Some(Timestamp::from_millis(1)), ..active(1, "https://a") };
        directory.put(reconnected, Some(&sealer()));
        assert_eq!(known(&directory), Some(1));
        assert!(directory.replace(directory.changes(), Vec::new(), None) && known(&directory).is_none());
    }

    fn called(directory: &AccountDirectory, origin: &str) -> Option<(i64, String)> {
        let entry = directory.at(origin)?;
        Some((entry.record.key.account_id.0, entry.bearer().ok()?.origin.to_string()))
    }

    #[test]
    fn an_active_account_is_preferred_at_its_address() {
        let other = |account: AccountRecord| AccountRecord {
            key: AccountKey::new(account.key.account_id, "other"),
            ..account
        };
        for records in [
            vec![active(1, "https://a"), other(needs(1, "https://a"))],
            vec![other(needs(1, "https://a")), active(1, "https://a")],
        ] {
            let directory = AccountDirectory::new(records, Some(&sealer()));
            assert_eq!(called(&directory, "https://a"), Some((1, "https://a".into())));
        }
        assert!(AccountDirectory::default().at("https://a").is_none());
    }

    #[test]
    fn a_moved_account_is_found_under_its_old_address_until_another_has_it() {
        let moved = AccountRecord { previous_origin: Some("https://old".into()), ..active(1, "https://new") };
        let mut directory = AccountDirectory::new(vec![moved], Some(&sealer()));
        assert_eq!(called(&directory, "https://old"), Some((1, "https://new".into())));
        assert_eq!(directory.moved_to("https://old").map(|new| &**new), Some("https://new"));
        assert_eq!(
            (directory.moved_from("https://new"), directory.moved_from("https://old")),
            (vec!["https://old".into()], vec![])
        );
        directory.put(active(2, "https://old"), Some(&sealer()));
        assert_eq!(called(&directory, "https://old"), Some((2, "https://old".into())));
        assert_eq!(directory.moved_to("https://old"), None);
        directory.remove(&AccountKey::new(AccountId(2), "ID"));
        assert_eq!(called(&directory, "https://old"), Some((1, "https://new".into())));
    }

    #[test]
    fn an_address_whose_calls_change_target_is_reported_once_per_change() {
        let moved = AccountRecord { previous_origin: Some("https://old".into()), ..active(1, "https://new") };
        let mut directory = AccountDirectory::new(vec![active(1, "https://old")], Some(&sealer()));
        assert!(directory.take_readdressed().is_empty());
        directory.put(moved, Some(&sealer()));
        assert_eq!(directory.take_readdressed(), ["https://old".into()]);
        directory.put(active(3, "https://third"), Some(&sealer()));
        assert!(directory.take_readdressed().is_empty());
        directory.put(active(2, "https://old"), Some(&sealer()));
        assert_eq!(directory.take_readdressed(), ["https://old".into()], "another account has it now");
    }

    #[test]
    fn a_reassigned_address_never_yields_another_accounts_token() {
        let moved = AccountRecord { previous_origin: Some("https://old".into()), ..active(1, "https://new") };
        let mut directory = AccountDirectory::new(vec![moved], Some(&sealer()));
        let of = |directory: &AccountDirectory, account_id: i64, origin: &str| {
            let entry = directory.of(AccountRef::from((origin, AccountId(account_id))))?;
            Some((entry.record.key.account_id.0, entry.bearer().ok()?.origin.to_string()))
        };
        // A stranger has the old address, and is not connected yet.
        assert_eq!(of(&directory, 2, "https://old"), None);
        assert_eq!(of(&directory, 2, "https://new"), None);
        assert_eq!(of(&directory, 1, "https://old"), Some((1, "https://new".into())));
        // Once it is connected, each account gets its own token.
        directory.put(active(2, "https://old"), Some(&sealer()));
        assert_eq!(of(&directory, 2, "https://old"), Some((2, "https://old".into())));
        assert_eq!(of(&directory, 1, "https://old"), Some((1, "https://new".into())));
        // It moves too. Of the two accounts that were there, each is found by its number.
        directory.put(
            AccountRecord { previous_origin: Some("https://old".into()), ..active(2, "https://newer") },
            Some(&sealer()),
        );
        assert_eq!(of(&directory, 2, "https://old"), Some((2, "https://newer".into())));
        assert_eq!(of(&directory, 1, "https://old"), Some((1, "https://new".into())));
        directory.put(active(2, "https://old"), Some(&sealer()));
        // A reference without a number means the account that is there now.
        assert_eq!(called(&directory, "https://old"), Some((2, "https://old".into())));
    }

    #[test]
    fn an_account_without_usable_tokens_says_why() {
        let cases = [
            (AccountDirectory::new(vec![needs(1, "https://a")], Some(&sealer())), "Kommo said so"),
            (AccountDirectory::new(vec![active(1, "https://a")], None), "store.encryption_key is missing"),
            (
                AccountDirectory::new(
                    vec![active(1, "https://a")],
                    Some(&Sealer::new(&[2; 32], None, |_| true)),
                ),
                "encrypted under another key",
            ),
        ];
        for (directory, expected) in cases {
            let error = directory.at("https://a").unwrap().bearer().unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("accounts authorize"), "{error}");
        }
    }
}
