//! What the clients of all accounts share: one HTTP client and one pace.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::pace::CallLimiter;
use model::clock::Clock;

use super::super::credentials::Credentials;
use super::super::http_client::HttpClient;

/// Makes a [`Client`](super::Client) for each account. All of them share what is in it.
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
