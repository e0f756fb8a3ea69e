//! All accounts as a person sees them: configured ones, connected ones, and ones known only from waiting deliveries.

use std::collections::HashSet;
use std::sync::Arc;

#[cfg(any(test, feature = "cli"))]
use model::AccountKey;
use model::{ALL_ACCOUNTS, AccountState};
#[cfg(any(test, feature = "cli"))]
use store::Actor;
use store::StoreError;

use super::{Accounts, host};
use crate::listed_account::ListedAccount;

impl Accounts {
    /// Returns all accounts: configured ones first, then connected ones, then unknown ones that deliveries wait for.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self) -> Result<Vec<ListedAccount>, StoreError> {
        let waiting = match &self.0.parts.store {
            Some(store) => store.jobs().waiting_deliveries().await?,
            None => Vec::new(),
        };
        let waits = match &self.0.parts.store {
            Some(store) => store.accounts().waits().await?,
            None => Vec::new(),
        };
        let wait_at = |origin: &str| {
            let wait = waits.iter().find(|(known, _)| known == origin);
            wait.map(|(_, wait)| wait.clone())
        };
        let waiting_at = |origin: &str| {
            let count = waiting.iter().find(|(known, _)| known == origin);
            count.map_or(0, |(_, jobs)| *jobs)
        };
        let mut listed: Vec<ListedAccount> = self
            .0
            .parts
            .long_lived
            .iter()
            .map(|account| ListedAccount {
                origin: Some(account.origin.clone()),
                host: Some(host(&account.origin).to_owned()),
                name: Some(account.name.clone()),
                account_id: None,
                integration: None,
                state: AccountState::Active,
                reason: None,
                expires_at: None,
                connected_at: None,
                waiting: waiting_at(&account.origin),
                waits_for: wait_at(&account.origin),
                key: None,
            })
            .collect();
        let mut known: Vec<String> =
            self.0.parts.long_lived.iter().map(|account| account.origin.clone()).collect();
        let mut connected = Vec::new();
        for entry in self.directory().entries() {
            let record = &entry.record;
            let addresses = record.origin.iter().chain(&record.previous_origin);
            // Deliveries to the address of a configured account belong to that account.
            let open: Vec<&str> = addresses
                .map(|origin| &**origin)
                .filter(|origin| !known.iter().any(|known| known == origin))
                .collect();
            let integration = self.integration(&record.key.client_uuid);
            let trouble = entry.tokens.as_ref().and_then(|tokens| tokens.as_ref().err());
            connected.push(ListedAccount {
                origin: record.origin.as_deref().map(str::to_owned),
                host: record.origin.as_deref().map(|origin| host(origin).to_owned()),
                name: None,
                account_id: Some(record.key.account_id),
                integration: Some(
                    integration.map_or(&*record.key.client_uuid, |known| &known.name).to_owned(),
                ),
                state: trouble.map_or(record.authorization.state(), |_| AccountState::NeedsAuthorization),
                reason: trouble
                    .map(ToString::to_string)
                    .or_else(|| record.authorization.reason().map(str::to_owned)),
                expires_at: entry.open().ok().map(|(open, _)| open.tokens.expires_at),
                connected_at: record.connected_at,
                waiting: open.iter().map(|origin| waiting_at(origin)).sum(),
                waits_for: open.iter().find_map(|origin| wait_at(origin)),
                key: Some(record.key.clone()),
            });
        }
        connected.sort_by(|a, b| (&a.host, &a.key).cmp(&(&b.host, &b.key)));
        {
            let directory = self.directory();
            known.extend(
                waiting
                    .iter()
                    .map(|(origin, _)| origin)
                    .filter(|origin| directory.at(origin).is_some())
                    .cloned(),
            );
        }
        listed.extend(connected);
        let unknown = waiting.iter().filter(|(origin, _)| !known.contains(origin)).map(|(origin, jobs)| {
            ListedAccount {
                origin: Some(origin.clone()),
                host: Some(host(origin).to_owned()),
                name: None,
                account_id: None,
                integration: None,
                state: AccountState::NeedsAuthorization,
                reason: Some("it was never connected".to_owned()),
                expires_at: None,
                connected_at: None,
                waiting: *jobs,
                waits_for: wait_at(origin),
                key: None,
            }
        });
        listed.extend(unknown);
        Ok(listed)
    }

    /// Returns how many accounts are not active, or have an origin that is in `paused` or waits for anything. Reads only
    /// memory.
    pub fn in_trouble(&self, paused: &HashSet<Arc<str>>) -> usize {
        let waits = self.0.parts.health.waits();
        let mut stuck: HashSet<&str> = paused.iter().map(|origin| &**origin).collect();
        stuck.extend(waits.iter().map(|(origin, _)| &**origin).filter(|origin| *origin != ALL_ACCOUNTS));
        let mut known = HashSet::new();
        let configured = self.0.parts.long_lived.iter().filter(|account| {
            known.insert(account.origin.clone());
            stuck.contains(account.origin.as_str())
        });
        let mut accounts = configured.count();
        let directory = self.directory();
        for entry in directory.entries() {
            let record = &entry.record;
            let addresses = || record.origin.iter().chain(&record.previous_origin).map(|origin| &**origin);
            let is_stuck = addresses().any(|origin| !known.contains(origin) && stuck.contains(origin));
            let is_readable = !matches!(entry.tokens, Some(Err(_)));
            let is_active = is_readable && record.authorization.state() == AccountState::Active;
            accounts += usize::from(is_stuck || !is_active);
        }
        // Deliveries wait for accounts that were never connected.
        let unknown = |origin: &&str| !known.contains(*origin) && directory.at(origin).is_none();
        accounts + stuck.into_iter().filter(unknown).count()
    }

    /// Removes a connected account and its tokens. Returns whether there was one.
    ///
    /// # Errors
    /// The store cannot be written.
    #[cfg(any(test, feature = "cli"))]
    pub async fn remove(&self, key: &AccountKey, by: Actor) -> Result<bool, StoreError> {
        let Some(store) = &self.0.parts.store else { return Ok(false) };
        let removed = store.operator(by).remove_account(key.clone()).await?;
        self.change(|directory| directory.remove(key));
        Ok(removed)
    }
}
