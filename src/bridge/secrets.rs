//! SIGHUP: reads the secret files again, and puts the new secrets in force.
//!
//! If a file cannot be used, the old secret stays in force. The log names the keys that changed, never their values.

use std::collections::HashMap;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokio::signal::unix::Signal;

use crate::accounts::Accounts;
use crate::config::{Config, SecretFile, SecretFileError};
use crate::handlers::HttpSecrets;
use crate::receive;
use crate::secrets::SharedSecret;
use model::HandlerName;

/// The secret files of the configuration, and the parts that use their secrets.
pub(super) struct Secrets {
    files: Vec<SecretFile>,
    /// The integrations whose tokens are accepted, by name.
    signers: Vec<(String, receive::TokenSigner)>,
    accounts: Accounts,
    admin_tokens: AdminTokens,
    /// The secrets of HTTP handlers, by the handler's name.
    handlers: HashMap<HandlerName, HttpSecrets>,
}

/// The tokens of the admin listener. While both are set, they differ.
#[derive(Clone)]
pub(super) struct AdminTokens {
    /// `admin.token`
    pub(super) token: Option<SharedSecret>,
    /// `admin.read_token`
    pub(super) read_token: Option<SharedSecret>,
}

/// The use of a secret, which its key determines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SecretUse<'a> {
    ClientSecret(&'a str),
    PreviousClientSecret(&'a str),
    AccessToken(&'a str),
    AdminToken,
    ReadToken,
    /// `secret`, `previous_secret` or `auth` of an HTTP handler.
    Handler {
        name: &'a str,
        key: &'a str,
    },
    /// Read only at the start: data in use is encrypted with it.
    Start,
}

impl<'a> SecretUse<'a> {
    fn of(path: &'a [String]) -> Self {
        let [section, rest @ ..] = path else { return Self::Start };
        match (section.as_str(), rest) {
            ("admin", [key]) if key == "token" => Self::AdminToken,
            ("admin", [key]) if key == "read_token" => Self::ReadToken,
            ("integrations", [name, key]) if key == "client_secret" => Self::ClientSecret(name),
            ("integrations", [name, key]) if key == "previous_client_secret" => {
                Self::PreviousClientSecret(name)
            }
            ("accounts", [name, key]) if key == "access_token" => Self::AccessToken(name),
            ("handlers", [name, key]) if key != "proxy" => Self::Handler { name, key },
            _ => Self::Start,
        }
    }
}

/// Whether SIGHUP puts a new secret of this key in force.
pub(super) fn is_read_again(path: &[String]) -> bool {
    SecretUse::of(path) != SecretUse::Start
}

/// The result of reading the files again, by key.
#[derive(Debug, Default)]
struct Reloaded {
    changed: Vec<String>,
    unchanged: usize,
    /// Keys whose files changed, but which take effect only after a restart.
    restart: Vec<String>,
    /// Keys whose old secret stays in force, and why.
    failed: Vec<(String, SecretFileError)>,
}

impl Secrets {
    pub(super) fn new(
        config: &Config,
        signers: &[receive::TokenSigner],
        accounts: &Accounts,
        admin_tokens: AdminTokens,
        handlers: HashMap<HandlerName, HttpSecrets>,
    ) -> Self {
        let names = config.integrations.keys().cloned();
        Self {
            files: config.secret_files.clone(),
            signers: names.zip(signers.iter().cloned()).collect(),
            accounts: accounts.clone(),
            admin_tokens,
            handlers,
        }
    }

    /// The tokens that the admin listener accepts.
    pub(super) fn admin_tokens(&self) -> AdminTokens {
        self.admin_tokens.clone()
    }

    /// Reads the files again at each signal. Never ends; drop it with the bridge.
    pub(super) async fn reload_on(self: Arc<Self>, mut signal: Signal) {
        while signal.recv().await.is_some() {
            let secrets = self.clone();
            // Reading may block: the file may be a pipe, or on a disk that hangs.
            match tokio::task::spawn_blocking(move || secrets.reload()).await {
                Ok(reloaded) => reloaded.log(),
                Err(error) => {
                    tracing::error!(%error, "could not read the secret files: the old secrets stay in force")
                }
            }
        }
    }

    fn reload(&self) -> Reloaded {
        let mut reloaded = Reloaded::default();
        for (file, secret) in self.read_files() {
            let secret = match secret {
                Ok(secret) => secret,
                Err(error) => {
                    reloaded.failed.push((file.key(), error));
                    continue;
                }
            };
            let found = match SecretUse::of(&file.path) {
                SecretUse::Start => None,
                SecretUse::AdminToken => {
                    self.admin_tokens.token.as_ref().map(|token| token.exchange(secret.clone()))
                }
                SecretUse::ReadToken => {
                    self.admin_tokens.read_token.as_ref().map(|token| token.exchange(secret.clone()))
                }
                SecretUse::Handler { name, key } => {
                    self.handlers.get(name).and_then(|secrets| secrets.exchange(key, secret.clone()))
                }
                SecretUse::AccessToken(name) => self.accounts.exchange_token(name, secret.clone()),
                SecretUse::ClientSecret(name) => self.integration(name).map(|(known, signer)| {
                    let changed = known.client_secret.exchange(secret.clone());
                    update_signer(known, signer);
                    changed
                }),
                SecretUse::PreviousClientSecret(name) => {
                    self.integration(name).and_then(|(known, signer)| {
                        let changed = known.previous_client_secret.as_ref()?.exchange(secret.clone());
                        update_signer(known, signer);
                        Some(changed)
                    })
                }
            };
            match found {
                Some(true) => reloaded.changed.push(file.key()),
                None if !file.is_as_at_start(&secret) => reloaded.restart.push(file.key()),
                Some(false) | None => reloaded.unchanged += 1,
            }
        }
        reloaded
    }

    /// Reads all files. If the two tokens of the admin listener would become equal, refuses the one that changed, because
    /// everyone with the read token could then change everything.
    fn read_files(&self) -> Vec<(&SecretFile, Result<SecretString, SecretFileError>)> {
        let mut read: Vec<_> = self.files.iter().map(|file| (file, file.read())).collect();
        let AdminTokens { token, read_token } = &self.admin_tokens;
        let after = |wanted: SecretUse<'_>, current: &Option<SharedSecret>| {
            let found = read.iter().find(|(file, _)| SecretUse::of(&file.path) == wanted);
            let new = found.and_then(|(_, secret)| secret.as_ref().ok().cloned());
            new.or_else(|| current.as_ref().map(|current| current.get().as_ref().clone()))
        };
        let (full, reading) = (after(SecretUse::AdminToken, token), after(SecretUse::ReadToken, read_token));
        if full.zip(reading).is_none_or(|(one, other)| one.expose_secret() != other.expose_secret()) {
            return read;
        }
        for (file, secret) in &mut read {
            let current = match SecretUse::of(&file.path) {
                SecretUse::AdminToken => token,
                SecretUse::ReadToken => read_token,
                _ => continue,
            };
            let is_unchanged = match (&*secret, current) {
                (Ok(new), Some(current)) => new.expose_secret() == current.get().expose_secret(),
                _ => true,
            };
            if !is_unchanged {
                let refusal = "contains the same secret as the other token of the admin listener: \
                               admin.token and admin.read_token must differ";
                *secret =
                    Err(SecretFileError::Refused { file: file.file.clone(), refusal: refusal.to_owned() });
            }
        }
        read
    }

    /// `integrations.NAME`, as the accounts and the receiver hold it.
    fn integration(&self, name: &str) -> Option<(&crate::accounts::OAuthIntegration, &receive::TokenSigner)> {
        let known = self.accounts.integrations().iter().find(|known| known.name == name)?;
        let (_, signer) = self.signers.iter().find(|(signer, _)| signer == name)?;
        Some((known, signer))
    }
}

fn update_signer(known: &crate::accounts::OAuthIntegration, signer: &receive::TokenSigner) {
    let previous = known.previous_client_secret.as_ref().map(SharedSecret::get);
    signer.replace_secrets(&known.client_secret.get(), previous.as_deref());
}

impl Reloaded {
    fn log(&self) {
        for (key, error) in &self.failed {
            let why = error.to_string();
            tracing::error!(key, why, "cannot use a secret file: the old secret stays in force");
        }
        for key in &self.restart {
            tracing::warn!(
                key,
                "this secret has changed, but the bridge reads it only at its start: restart the bridge to use it"
            );
        }
        let (changed, unchanged) = (self.changed.join(", "), self.unchanged);
        let (failed, restart) = (self.failed.len(), self.restart.len());
        tracing::info!(changed, unchanged, failed, restart, "SIGHUP: secret files read again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_says_which_secrets_can_change_at_run_time() {
        for (path, expected) in [
            (&["admin", "token"][..], SecretUse::AdminToken),
            (&["admin", "read_token"], SecretUse::ReadToken),
            (&["integrations", "main", "client_secret"], SecretUse::ClientSecret("main")),
            (&["integrations", "a.b", "previous_client_secret"], SecretUse::PreviousClientSecret("a.b")),
            (&["accounts", "main", "access_token"], SecretUse::AccessToken("main")),
            (&["handlers", "a", "secret"], SecretUse::Handler { name: "a", key: "secret" }),
            (&["handlers", "a", "previous_secret"], SecretUse::Handler { name: "a", key: "previous_secret" }),
            (&["handlers", "a", "auth"], SecretUse::Handler { name: "a", key: "auth" }),
            (&["handlers", "a", "proxy"], SecretUse::Start),
            (&["store", "encryption_key"], SecretUse::Start),
            (&["store", "previous_encryption_key"], SecretUse::Start),
            (&["integrations", "main", "other"], SecretUse::Start),
            (&["admin"], SecretUse::Start),
            (&[], SecretUse::Start),
        ] {
            let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
            assert_eq!(SecretUse::of(&path), expected, "{path:?}");
        }
    }
}
