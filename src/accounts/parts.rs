//! What the accounts are made from: tokens and integrations of the configuration, and what the bridge lends them.

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
    /// The secret key that is being replaced.
    pub previous_client_secret: Option<SharedSecret>,
    /// Where Kommo sends a person after the authorization; without it no one can be connected.
    pub redirect_uri: Option<RedirectUri>,
    /// Whether an installation may connect an account without a link of ours.
    pub install_without_link: bool,
}

/// An account of the configuration.
#[derive(Clone)]
pub struct LongLivedAccount {
    /// Its name in the configuration.
    pub name: String,
    /// Its scheme, host and port.
    pub origin: String,
    /// Its token.
    pub token: SecretString,
}

/// What accounts need.
pub struct AccountsParts {
    /// `accounts.*` of the configuration.
    pub long_lived: Vec<LongLivedAccount>,
    /// `integrations.*` of the configuration.
    pub integrations: Vec<OAuthIntegration>,
    /// `store.encryption_key`, and the one that is being replaced; without one no account can be connected.
    pub keys: Option<EncryptionKeys>,
    /// Where connected accounts are kept; none for a command beside a store that does not exist yet.
    pub store: Option<Store>,
    /// Which hosts may get a secret.
    pub hosts: HostRules,
    /// How Kommo is asked.
    pub kommo: HttpClient,
    /// When Kommo may be asked.
    pub limiter: Arc<CallLimiter>,
    /// Where it is noted what an account waits for.
    pub health: Health,
    /// One call may take this long.
    pub request_timeout: Duration,
    /// The time.
    pub clock: Clock,
    /// Uniform in 0 to 1.
    pub random: fn() -> f64,
    /// Fills bytes that no one can guess; says whether it could.
    pub secret_random: fn(&mut [u8]) -> bool,
}

/// The keys under which tokens are kept, 32 bytes each.
#[derive(Clone)]
pub struct EncryptionKeys {
    /// `store.encryption_key`
    pub current: Arc<[u8; 32]>,
    /// `store.previous_encryption_key`
    pub previous: Option<Arc<[u8; 32]>>,
}
