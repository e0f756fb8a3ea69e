//! The secrets of one HTTP handler, which can be replaced while it runs.

use secrecy::{ExposeSecret, SecretString};

use crate::config::HttpHandlerConfig;
use crate::secrets::SharedSecret;

/// A shorter secret is not looked for, because it may be part of any word.
const MIN_HIDDEN: usize = 8;

/// The secrets in force. Cheap to clone; clones share them.
#[derive(Clone, Debug)]
pub struct HttpSecrets {
    secret: Option<SharedSecret>,
    previous_secret: Option<SharedSecret>,
    auth: Option<SharedSecret>,
}

impl HttpSecrets {
    /// The secrets of the configuration.
    pub fn new(config: &HttpHandlerConfig) -> Self {
        let shared = |secret: &Option<SecretString>| secret.clone().map(SharedSecret::from);
        Self {
            secret: shared(&config.secret),
            previous_secret: shared(&config.previous_secret),
            auth: shared(&config.auth),
        }
    }

    /// Puts a new secret in force for the key `handlers.NAME.KEY`. Returns whether it differs from the previous one; `None`
    /// if the handler has no such secret.
    pub fn exchange(&self, key: &str, secret: SecretString) -> Option<bool> {
        let shared = match key {
            "secret" => &self.secret,
            "previous_secret" => &self.previous_secret,
            "auth" => &self.auth,
            _ => &None,
        };
        shared.as_ref().map(|shared| shared.exchange(secret))
    }

    /// The secrets that sign a request, the current one first.
    pub(super) fn signing(&self) -> Vec<std::sync::Arc<SecretString>> {
        [&self.secret, &self.previous_secret].into_iter().flatten().map(SharedSecret::get).collect()
    }

    /// `text` without these secrets, which a handler may repeat.
    pub(super) fn hidden_in(&self, text: &str) -> String {
        let known = self.signing().into_iter().chain(self.auth());
        known.fold(text.to_owned(), |text, secret| {
            // The scheme of `auth` may be repeated without harm, and its key without the scheme.
            let secret = secret.expose_secret();
            let key = secret.rsplit(' ').next().unwrap_or(secret);
            if key.len() < MIN_HIDDEN { text } else { text.replace(key, "…") }
        })
    }

    /// The value of the header `Authorization`.
    pub(super) fn auth(&self) -> Option<std::sync::Arc<SecretString>> {
        self.auth.as_ref().map(SharedSecret::get)
    }
}
