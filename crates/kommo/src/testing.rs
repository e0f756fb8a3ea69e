//! Shortcuts for tests of this crate and of the crates that use it.
#![allow(clippy::unwrap_used, reason = "only tests use this module")]

use std::sync::Arc;
use std::time::Duration;

use model::clock::Clock;
use model::{AllowedHosts, HostRules, Outgoing};

use crate::credentials::LongLived;
use crate::pace::{CallLimiter, CallLimits, Permit};
use crate::{ClientFactory, HttpClient, HttpClientError};

impl HttpClient {
    /// Creates an HTTP client with `rules` and `timeout`, without a proxy.
    ///
    /// # Errors
    /// The errors of [`new`](Self::new).
    pub fn direct(rules: HostRules, timeout: Duration) -> Result<Self, HttpClientError> {
        Self::new(&Outgoing::default(), rules, timeout)
    }
}

impl ClientFactory {
    /// Creates a factory for tests without calls: it allows no host.
    ///
    /// # Panics
    /// TLS cannot be set up.
    pub fn offline(clock: Clock) -> Arc<Self> {
        let patience = Duration::from_secs(1);
        let kommo =
            HttpClient::direct(HostRules { allowed: AllowedHosts::default(), insecure: false }, patience)
                .unwrap();
        let limits = CallLimits { rate_per_account: 7, rate_total: None, concurrency: 1 };
        let limiter = CallLimiter::new(limits, clock.clone());
        let credentials = Arc::new(LongLived::new("https://offline.kommo.com", "a-token".into()));
        Arc::new(Self { kommo, limiter, credentials, clock, random: || 1.0, patience, runtime: None })
    }
}

impl CallLimiter {
    /// The permits of [`try_acquire`](Self::try_acquire); empty if there are none.
    pub fn acquire_now(self: &Arc<Self>, account: &str, wanted: usize) -> Vec<Permit> {
        self.try_acquire(account, wanted).unwrap_or_default()
    }
}
