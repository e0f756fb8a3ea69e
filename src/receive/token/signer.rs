//! The secrets that sign tokens, ready for use.
//!
//! Preparing an HMAC from its key costs as much as signing a short text, so it is done once per secret. Each request
//! clones the prepared state.

use std::sync::{Arc, PoisonError, RwLock};

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Sha256, Sha512};

/// The algorithms that Kommo signs tokens with; all others are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// HMAC with SHA-512: the tokens of bots.
    Hs512,
    /// HMAC with SHA-256: Kommo's other one-time tokens.
    Hs256,
}

/// A Kommo integration as the signer of tokens. Clones share their keys.
#[derive(Clone)]
pub struct TokenSigner {
    name: Arc<str>,
    client_uuid: Arc<str>,
    keys: Arc<RwLock<Arc<[Key]>>>,
}

impl TokenSigner {
    /// Creates the signer for the configured integration `name`. Its tokens are signed with `secret` or, while the secret
    /// is being changed, with `previous`.
    pub fn new(
        name: &str,
        client_uuid: &str,
        secret: &SecretString,
        previous: Option<&SecretString>,
    ) -> Self {
        let keys = Arc::new(RwLock::new(keys(secret, previous)));
        Self { name: name.into(), client_uuid: client_uuid.trim().into(), keys }
    }

    /// Replaces the secrets: from now on, only tokens signed with these are accepted.
    pub fn replace_secrets(&self, secret: &SecretString, previous: Option<&SecretString>) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys(secret, previous);
    }

    /// Returns its name in the configuration.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether `client_uuid` is its id. A token without one belongs to no integration.
    pub(super) fn is(&self, client_uuid: &str) -> bool {
        !client_uuid.is_empty() && self.client_uuid.eq_ignore_ascii_case(client_uuid)
    }

    /// Whether `signature` of `message` was made with one of its secrets; tries the current one first. The comparison
    /// takes constant time.
    pub(super) fn signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        keys.iter().any(|key| key.signed(algorithm, message, signature))
    }
}

fn keys(secret: &SecretString, previous: Option<&SecretString>) -> Arc<[Key]> {
    std::iter::once(secret).chain(previous).filter_map(Key::new).collect()
}

struct Key {
    hs512: Hmac<Sha512>,
    hs256: Hmac<Sha256>,
}

impl Key {
    /// `None` for an empty secret, because anyone could sign with it.
    fn new(secret: &SecretString) -> Option<Self> {
        let bytes = secret.expose_secret().as_bytes();
        if bytes.is_empty() {
            return None;
        }
        Some(Self { hs512: Hmac::new_from_slice(bytes).ok()?, hs256: Hmac::new_from_slice(bytes).ok()? })
    }

    fn signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match algorithm {
            Algorithm::Hs512 => self.hs512.clone().chain_update(message).verify_slice(signature).is_ok(),
            Algorithm::Hs256 => self.hs256.clone().chain_update(message).verify_slice(signature).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_secret_signs_nothing() {
        let secret = SecretString::from("");
        let integration = TokenSigner::new("main", "id", &secret, Some(&secret));
        let signature = Hmac::<Sha256>::new_from_slice(b"").unwrap().chain_update("m").finalize();
        assert!(!integration.signed(Algorithm::Hs256, b"m", &signature.into_bytes()));
    }

    #[test]
    fn replaced_secrets_take_effect_and_old_ones_stop_working() {
        let integration = TokenSigner::new("main", "id", &"old".into(), None);
        let clone = integration.clone();
        let signed = |secret: &str| {
            let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update("m");
            clone.signed(Algorithm::Hs256, b"m", &mac.finalize().into_bytes())
        };
        assert!(signed("old") && !signed("new"));
        integration.replace_secrets(&"new".into(), Some(&"old".into()));
        assert!(signed("old") && signed("new"));
        integration.replace_secrets(&"new".into(), None);
        assert!(!signed("old") && signed("new"));
    }

    #[test]
    fn a_token_without_an_id_belongs_to_no_integration() {
        let secret = SecretString::from("secret");
        let integration = |client_uuid| TokenSigner::new("main", client_uuid, &secret, None);
        assert!(integration(" Aa-1 ").is("aA-1"));
        assert!(!integration("aa-1").is("") && !integration("").is(""));
    }

    #[test]
    fn a_truncated_signature_is_refused() {
        let secret = SecretString::from("secret");
        let integration = TokenSigner::new("main", "id", &secret, None);
        let signature = Hmac::<Sha512>::new_from_slice(b"secret").unwrap().chain_update("m").finalize();
        let signature = signature.into_bytes();
        assert!(integration.signed(Algorithm::Hs512, b"m", &signature));
        for shorter in 0..signature.len() {
            assert!(!integration.signed(Algorithm::Hs512, b"m", &signature[..shorter]));
        }
    }
}
