//! The parts that the clients of all accounts share, such as the HTTP client and the pace.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::pace::CallLimiter;
use model::clock::Clock;

use super::super::credentials::Credentials;
use super::super::http_client::HttpClient;

/// Creates a [`Client`](super::Client) for each account. All clients share its fields.
pub struct ClientFactory {
    /// The HTTP client.
    pub kommo: HttpClient,
    /// The pace of all calls, shared with the sender.
    pub limiter: Arc<CallLimiter>,
    /// The source of bearers.
    pub credentials: Arc<dyn Credentials>,
    /// The clock that measures waits.
    pub clock: Clock,
    /// Returns a uniform random number from 0 to 1.
    pub random: fn() -> f64,
    /// The default limit on how long a call waits; a client may have its own.
    pub patience: Duration,
    /// The runtime for calls; `None` to run a call in the task that awaits it. A handler may block its thread, which must
    /// not stop a shared connection.
    pub runtime: Option<Handle>,
}
