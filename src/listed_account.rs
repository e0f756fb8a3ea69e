//! One account as people see it: what `accounts list` prints and what the API shows, except for what only the running
//! bridge knows.

use serde::Serialize;
use utoipa::ToSchema;

use crate::schema;
use model::{AccountId, AccountKey, AccountState, AccountWait, Timestamp};

/// One account. Contains no token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ListedAccount {
    /// Its scheme, host and port; null if unknown.
    #[serde(skip)]
    pub origin: Option<String>,
    /// Its host, with the port unless it is the scheme's default; null if unknown.
    pub host: Option<String>,
    /// Its name in the configuration, if it is configured.
    pub name: Option<String>,
    /// Kommo's number of the account, if it is known.
    #[schema(value_type = Option<i64>)]
    pub account_id: Option<AccountId>,
    /// The integration that it is connected through: its name, or its id if it is no longer configured.
    pub integration: Option<String>,
    /// Its state.
    #[schema(value_type = schema::AccountState)]
    pub state: AccountState,
    /// Why it is not active, and what to do.
    pub reason: Option<String>,
    /// When its access token expires; null for a long-lived one.
    #[schema(value_type = Option<schema::Moment>)]
    pub expires_at: Option<Timestamp>,
    /// When a person last connected it.
    #[schema(value_type = Option<schema::Moment>)]
    pub connected_at: Option<Timestamp>,
    /// The number of deliveries that wait for it.
    pub waiting: u64,
    /// What they wait for, according to the running bridge.
    #[schema(value_type = Option<schema::AccountWait>)]
    pub waits_for: Option<AccountWait>,
    /// Its row in the store.
    #[serde(skip)]
    pub key: Option<AccountKey>,
}

#[cfg(any(test, feature = "cli"))]
impl ListedAccount {
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
