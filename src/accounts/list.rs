//! All accounts as a person sees them: configured ones, connected ones, and ones known only from waiting deliveries.

use serde::Serialize;

use model::{AccountId, AccountKey, AccountState, AccountWait, Timestamp};
#[cfg(any(test, feature = "cli"))]
use store::Actor;
use store::StoreError;

use super::{Accounts, host};

/// One account. Contains no token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its scheme, host and port; `None` if unknown.
    #[serde(skip)]
    pub origin: Option<String>,
    /// Its host, with the port unless it is the scheme's default; `None` if unknown.
    pub host: Option<String>,
    /// Its name in the configuration, if it is configured.
    pub name: Option<String>,
    /// Kommo's number of the account, if it is known.
    pub account_id: Option<AccountId>,
    /// The integration that it is connected through: its name, or its id if it is no longer configured.
    pub integration: Option<String>,
    /// Its state.
    pub state: AccountState,
    /// Why it is not active, and what to do.
    pub reason: Option<String>,
    /// When its access token expires; `None` for a long-lived one.
    pub expires_at: Option<Timestamp>,
    /// When a person last connected it.
    pub connected_at: Option<Timestamp>,
    /// The number of deliveries that wait for it.
    pub waiting: u64,
    /// What they wait for, according to the running bridge.
    pub waits_for: Option<AccountWait>,
    /// Its row in the store.
    #[serde(skip)]
    pub key: Option<AccountKey>,
}

#[cfg(any(test, feature = "cli"))]
impl Listed {
    /// Returns how the bridge knows the account.
    pub fn known_as(&self) -> model::AccountOrigin {
        use model::AccountOrigin;

        match (&self.name, &self.key, &self.integration) {
            (Some(name), ..) => AccountOrigin::Configured(name.clone()),
            (None, Some(_), Some(integration)) => AccountOrigin::Connected(integration.clone()),
            _ => AccountOrigin::Unknown,
        }
    }
}

impl Accounts {
    /// Returns all accounts: configured ones first, then connected ones, then unknown ones that deliveries wait for.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self) -> Result<Vec<Listed>, StoreError> {
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
        let mut listed: Vec<Listed> = self
            .0
            .parts
            .long_lived
            .iter()
            .map(|account| Listed {
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
            connected.push(Listed {
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
        let unknown =
            waiting.iter().filter(|(origin, _)| !known.contains(origin)).map(|(origin, jobs)| Listed {
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
            });
        listed.extend(unknown);
        Ok(listed)
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
