//! Reads filters for the API and for `jobs list`: a filter may name accounts as the configuration and the store know them.

use std::collections::BTreeMap;
use std::sync::Arc;

use url::Url;

use model::filter::{Condition, FilterContext, FilterError, FilteredAccount};
use model::{AccountRecord, Filter, Timestamp};
use store::{Store, StoreError};

/// The accounts of the configuration, by name.
#[derive(Clone, Debug, Default)]
pub struct AccountNames(Arc<BTreeMap<String, FilteredAccount>>);

/// Why a filter cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadFilter {
    /// The text is not a filter.
    #[error(transparent)]
    Text(#[from] FilterError),
    /// The connected accounts cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AccountNames {
    /// These names, with the base URL of each account.
    pub fn new<'a>(accounts: impl Iterator<Item = (&'a String, &'a Url)>) -> Self {
        let named = accounts.filter_map(|(name, url)| Some((name.to_lowercase(), at(url)?)));
        Self(Arc::new(named.collect()))
    }

    /// Parses a filter. An account may be named by its number, its host, its name in the configuration, or the subdomain
    /// of its host if it is known by that alone.
    ///
    /// # Errors
    /// The text is not a filter, or the store cannot be read.
    pub async fn parse(&self, text: &str, store: &Store, now: Timestamp) -> Result<Filter, BadFilter> {
        // Most filters name no account.
        let connected = if text.contains("account:") { store.accounts().all().await? } else { Vec::new() };
        let account = |name: &str| self.find(name, &connected);
        Ok(Filter::parse(text, &FilterContext { now, account: &account })?)
    }

    /// The name of the account at `host` in the configuration; `None` if it has none.
    pub(super) fn name_of(&self, host: &str) -> Option<&str> {
        let named =
            |account: &FilteredAccount| matches!(account, FilteredAccount::Host(named) if named == host);
        self.0.iter().find(|(_, account)| named(account)).map(|(name, _)| name.as_str())
    }

    fn find(&self, name: &str, connected: &[AccountRecord]) -> Option<FilteredAccount> {
        let name = name.to_lowercase();
        if let Some(named) = self.0.get(&name) {
            return Some(named.clone());
        }
        let origins = connected.iter().filter_map(|record| record.origin.as_deref());
        let connected = origins.filter_map(|origin| at(&origin.parse().ok()?));
        let is_below = |account: &FilteredAccount| match account {
            FilteredAccount::Host(host) => host.split('.').next() == Some(name.as_str()),
            FilteredAccount::Number(_) => false,
        };
        let mut found: Vec<FilteredAccount> =
            self.0.values().cloned().chain(connected).filter(is_below).collect();
        found.sort_by_key(|account| format!("{account:?}"));
        found.dedup();
        found.pop().filter(|_| found.is_empty())
    }
}

/// The account at this address.
fn at(url: &Url) -> Option<FilteredAccount> {
    let host = url.host_str()?;
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    Some(FilteredAccount::Host(host))
}

/// Whether the filter searches for a text in what customers wrote.
pub(super) fn searches_bodies(filter: &Filter) -> bool {
    let mut conditions = filter.clauses().iter().flat_map(|clause| &clause.any_of);
    conditions.any(|condition| matches!(condition, Condition::Text(_)))
}

/// Whether the filter searches for a text, so that a request without a job may be what someone looks for.
#[cfg(feature = "cli")]
pub fn searches(filter: &Filter) -> bool {
    let mut conditions = filter.clauses().iter().flat_map(|clause| &clause.any_of);
    conditions.any(|condition| {
        matches!(
            condition,
            Condition::Text(_) | Condition::Entity(_) | Condition::ReturnUrl(_) | Condition::Conversation(_)
        )
    })
}

#[cfg(test)]
mod tests {
    use model::{AccountId, AccountKey, Authorization};

    use super::*;

    #[test]
    fn an_account_is_found_by_its_name_and_by_a_subdomain_that_only_one_has() {
        let urls: BTreeMap<String, Url> = [
            ("Shop", "https://one.kommo.com"),
            ("local", "http://127.0.0.1:8090"),
            ("two", "https://other.amocrm.ru"),
        ]
        .map(|(name, url)| (name.to_owned(), url.parse().unwrap()))
        .into();
        let names = AccountNames::new(urls.iter());
        let record = |origin: &str| AccountRecord {
            key: AccountKey::new(AccountId(7), "x"),
            origin: Some(origin.into()),
            previous_origin: None,
            authorization: Authorization::Needed { reason: "x".into() },
            generation: 1,
            connected_at: None,
        };
        let connected = [
            record("https://two.kommo.com"),
            record("https://twin.kommo.com"),
            record("https://twin.amocrm.ru"),
            record("https://one.kommo.com"),
        ];
        for (name, host) in [
            ("shop", Some("one.kommo.com")),
            ("SHOP", Some("one.kommo.com")),
            ("local", Some("127.0.0.1:8090")),
            // A name comes first.
            ("two", Some("other.amocrm.ru")),
            ("other", Some("other.amocrm.ru")),
            ("one", Some("one.kommo.com")),
            ("twin", None),
            ("kommo", None),
        ] {
            let expected = host.map(|host| FilteredAccount::Host(host.into()));
            assert_eq!(names.find(name, &connected), expected, "{name}");
        }
        assert_eq!(
            (
                names.name_of("one.kommo.com"),
                names.name_of("127.0.0.1:8090"),
                names.name_of("twin.kommo.com")
            ),
            (Some("shop"), Some("local"), None)
        );
    }
}
