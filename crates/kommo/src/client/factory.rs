//! Makes the clients of all accounts, which share one HTTP client and one pace.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::pace::CallLimiter;
use model::AccountId;
use model::clock::Clock;

use super::super::credentials::Credentials;
use super::super::http_client::HttpClient;
use super::Client;

/// Makes a [`Client`] for each account. All of them share what is in it.
pub struct ClientFactory {
    /// The one HTTP client.
    pub kommo: HttpClient,
    /// The pace, shared with the sender.
    pub limiter: Arc<CallLimiter>,
    /// Where bearers come from.
    pub credentials: Arc<dyn Credentials>,
    /// Measures waiting.
    pub clock: Clock,
    /// Uniform in 0 to 1.
    pub random: fn() -> f64,
    /// How long a call may wait, unless its client says otherwise.
    pub patience: Duration,
    /// Where calls run, if not where they are awaited: a handler may block its thread, and must not stop a connection
    /// that others use.
    pub runtime: Option<Handle>,
}

impl ClientFactory {
    /// The client of the account at this address, `https://example.kommo.com`.
    pub fn client_at(self: &Arc<Self>, origin: impl Into<Arc<str>>) -> Client {
        Client { shared: self.clone(), origin: origin.into(), account_id: None, patience: self.patience }
    }

    /// The client of just this account, which is at this address or was.
    pub fn client_of(self: &Arc<Self>, origin: impl Into<Arc<str>>, account_id: AccountId) -> Client {
        Client { account_id: Some(account_id), ..self.client_at(origin) }
    }
}
