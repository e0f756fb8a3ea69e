//! The inputs of `Accounts`: the configured tokens and integrations, and what the bridge shares with them.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::health::Health;
use crate::secrets::SharedSecret;
use kommo::HttpClient;
use kommo::pace::CallLimiter;
use model::clock::Clock;
use model::{HostRules, RedirectUri};
use store::Store;

/// An integration that accounts are connected through.
#[derive(Clone)]
pub struct OAuthIntegration {
    /// Its name in the configuration.
    pub name: String,
    /// Its id in Kommo.
    pub client_uuid: String,
    /// Its secret key.
    pub client_secret: SharedSecret,
    /// The previous secret key.
    pub previous_client_secret: Option<SharedSecret>,
    /// Where Kommo redirects a person after the authorization; without it, no account can be connected.
    pub redirect_uri: Option<RedirectUri>,
    /// Whether an installation may connect an account without one of our links.
    pub install_without_link: bool,
}

/// A configured account.
#[derive(Clone)]
pub struct LongLivedAccount {
    /// Its name in the configuration.
    pub name: String,
    /// Its scheme, host and port.
    pub origin: String,
    /// Its token.
    pub token: SecretString,
}

/// The inputs of `Accounts`.
pub struct AccountsParts {
    /// `accounts.*` from the configuration.
    pub long_lived: Vec<LongLivedAccount>,
    /// `integrations.*` from the configuration.
    pub integrations: Vec<OAuthIntegration>,
    /// `store.encryption_key` and the previous key; without them, no account can be connected.
    pub keys: Option<EncryptionKeys>,
    /// The store of connected accounts; `None` for a command whose store does not exist yet.
    pub store: Option<Store>,
    /// Which hosts may receive a secret.
    pub hosts: HostRules,
    /// The client for calls to Kommo.
    pub kommo: HttpClient,
    /// Decides when Kommo may be called.
    pub limiter: Arc<CallLimiter>,
    /// Records what an account waits for.
    pub health: Health,
    /// Time limit for one call.
    pub request_timeout: Duration,
    /// The time.
    pub clock: Clock,
    /// Returns a random number, uniform in 0 to 1.
    pub random: fn() -> f64,
    /// Fills a buffer with secret random bytes. Returns whether it succeeded.
    pub secret_random: fn(&mut [u8]) -> bool,
}

/// The keys that encrypt tokens, 32 bytes each.
#[derive(Clone)]
pub struct EncryptionKeys {
    /// `store.encryption_key`
    pub current: Arc<[u8; 32]>,
    /// `store.previous_encryption_key`
    pub previous: Option<Arc<[u8; 32]>>,
}
