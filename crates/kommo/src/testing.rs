//! For tests of this crate and of its users: a client, its gate and its transport, made with few words.
#![allow(clippy::unwrap_used, reason = "only tests get here")]

use std::sync::Arc;
use std::time::Duration;

use model::clock::Clock;
use model::{HostRules, Outgoing};

use crate::credentials::LongLived;
use crate::pace::{Gate, Limits, Pass};
use crate::{Clients, HttpClient, HttpClientError};

impl HttpClient {
    /// An HTTP client that keeps `rules`, gives each call `timeout`, and calls directly.
    ///
    /// # Errors
    /// As [`leaving`](Self::new).
    pub fn direct(rules: HostRules, timeout: Duration) -> Result<Self, HttpClientError> {
        Self::new(&Outgoing::default(), rules, timeout)
    }
}

impl Clients {
    /// Clients for tests in which no one asks Kommo: no host is allowed.
    ///
    /// # Panics
    /// TLS cannot be set up.
    pub fn of_nobody(clock: Clock) -> Arc<Self> {
        let patience = Duration::from_secs(1);
        let kommo = HttpClient::direct(HostRules { allowed: Vec::new(), insecure: false }, patience).unwrap();
        let limits = Limits { rate_per_account: 7, rate_total: None, places: 1 };
        let gate = Gate::new(limits, clock.clone());
        let credentials = Arc::new(LongLived::new("https://nobody.kommo.com", "a-token".into()));
        Arc::new(Self { kommo, gate, credentials, clock, random: || 1.0, patience, runtime: None })
    }
}

impl Gate {
    /// The passes of [`admit`](Self::admit), where the reason for none does not matter.
    pub fn enter(self: &Arc<Self>, account: &str, wanted: usize) -> Vec<Pass> {
        self.admit(account, wanted).unwrap_or_default()
    }
}
