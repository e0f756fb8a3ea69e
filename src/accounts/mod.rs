//! Who may speak to which account: the bearer tokens, by the account's address.

use std::collections::HashMap;

use secrecy::SecretString;

/// The accounts that the bridge can speak to.
#[derive(Debug, Default)]
pub struct Accounts(HashMap<String, SecretString>);

impl Accounts {
    /// Accounts with long-lived tokens: `accounts.*` of the configuration, as (origin, token), where an
    /// origin is `https://example.kommo.com`.
    pub fn long_lived(accounts: impl IntoIterator<Item = (String, SecretString)>) -> Self {
        Self(accounts.into_iter().collect())
    }

    /// The bearer for calls to `origin`; none if no account has that address.
    pub fn bearer(&self, origin: &str) -> Option<&SecretString> {
        self.0.get(origin)
    }
}
