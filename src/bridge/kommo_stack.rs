//! The Kommo stack: the HTTP client, the call limiter, the accounts and their clients, created from the configuration.
//! The bridge has one, and so does each command that calls Kommo.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;

use crate::accounts::{self, Accounts, EncryptionKeys, LongLivedAccount, OAuthIntegration};
use crate::config::{self, Config};
use crate::health::Health;
use crate::secrets::SharedSecret;
use kommo::pace::{CallLimiter, CallLimits};
use kommo::{ClientFactory, HttpClient};
use model::clock::Clock;
use store::{Store, StoreError};

use super::Error;

/// What all calls to Kommo share.
#[derive(Clone)]
pub(crate) struct KommoStack {
    pub(crate) kommo: HttpClient,
    pub(crate) limiter: Arc<CallLimiter>,
    pub(crate) health: Health,
    pub(crate) clock: Clock,
}

/// Creates the call limiter from the configuration.
pub(crate) fn limiter(config: &Config, clock: &Clock) -> Arc<CallLimiter> {
    let limits = CallLimits {
        rate_per_account: config.delivery.rate_per_account,
        rate_total: config.delivery.rate_total,
        concurrency: config.delivery.concurrency,
    };
    CallLimiter::new(limits, clock.clone())
}

/// Creates the HTTP client from the configuration. All calls to Kommo go through it.
///
/// # Errors
/// TLS cannot be set up.
pub(crate) fn kommo(config: &Config) -> Result<HttpClient, Error> {
    let config::DeliveryConfig { outgoing, hosts, request_timeout, .. } = &config.delivery;
    Ok(HttpClient::new(outgoing, hosts.clone(), *request_timeout)?)
}

impl KommoStack {
    /// Creates the stack of a command, which calls Kommo with or without a running bridge.
    ///
    /// # Errors
    /// The HTTP client cannot be created.
    #[cfg(feature = "cli")]
    pub(crate) fn new(config: &Config, clock: Clock) -> Result<Self, Error> {
        Ok(Self { kommo: kommo(config)?, limiter: limiter(config, &clock), health: Health::new(), clock })
    }

    /// Opens the accounts of the configuration and, if given, of `store`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn accounts(
        self,
        config: &Config,
        store: Option<Store>,
    ) -> Result<Accounts, StoreError> {
        let Self { kommo, limiter, health, clock } = self;
        let long_lived = config.accounts.iter().map(|(name, account)| LongLivedAccount {
            name: name.clone(),
            origin: account.base_url.origin().ascii_serialization(),
            token: account.access_token.clone(),
        });
        let integrations = config.integrations.iter().map(|(name, known)| OAuthIntegration {
            name: name.clone(),
            client_uuid: known.client_uuid.clone(),
            client_secret: known.client_secret.clone().into(),
            previous_client_secret: known.previous_client_secret.clone().map(SharedSecret::from),
            redirect_uri: known.redirect_uri.clone(),
            install_without_link: known.install_without_link,
        });
        Accounts::open(accounts::AccountsParts {
            long_lived: long_lived.collect(),
            integrations: integrations.collect(),
            keys: encryption_keys(config),
            store,
            hosts: config.delivery.hosts.clone(),
            kommo,
            limiter,
            health,
            request_timeout: config.delivery.request_timeout,
            clock,
            random: fastrand::f64,
            secret_random,
        })
        .await
    }

    /// Creates the clients of `accounts`. Their calls run on `runtime`, or where they are awaited if it is `None`.
    pub(crate) fn clients(
        &self,
        config: &Config,
        accounts: &Accounts,
        runtime: Option<Handle>,
    ) -> Arc<ClientFactory> {
        Arc::new(ClientFactory {
            kommo: self.kommo.clone(),
            limiter: self.limiter.clone(),
            credentials: Arc::new(accounts.clone()),
            clock: self.clock.clone(),
            random: fastrand::f64,
            // Enough for the call and one long pause that Kommo asks for.
            patience: config.delivery.request_timeout * 3,
            runtime,
        })
    }
}

/// The keys that encrypt secrets in the store.
pub(super) fn encryption_keys(config: &Config) -> Option<EncryptionKeys> {
    let current = config.store.encryption_key.as_ref().and_then(key)?;
    let previous = config.store.previous_encryption_key.as_ref().and_then(key);
    Some(EncryptionKeys { current, previous })
}

/// Decodes a key. The configuration has already validated it.
fn key(text: &SecretString) -> Option<Arc<[u8; 32]>> {
    let bytes = BASE64_STANDARD.decode(text.expose_secret().trim()).ok()?;
    Some(Arc::new(bytes.try_into().ok()?))
}

pub(super) fn secret_random(bytes: &mut [u8]) -> bool {
    getrandom::fill(bytes).is_ok()
}
