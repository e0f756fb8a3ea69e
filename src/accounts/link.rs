//! The link that a person follows to authorize an account, and its `state`.
//!
//! Kommo returns `state` with the code. It proves that this bridge requested the authorization recently, for this
//! integration. It consists of a time, a nonce and a signature, so any process with the key can check it. It allows
//! one code: the store remembers a used nonce for longer than the link is valid.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use model::Timestamp;

use super::{Accounts, EncryptionKeys, OAuthIntegration};

/// How long a link is valid.
#[cfg(any(test, feature = "cli"))]
pub const LINK_LIFE: std::time::Duration = std::time::Duration::from_secs(60 * 60);

/// Bytes of the expiry time and the nonce.
const HEAD_BYTES: usize = 8 + NONCE_BYTES;

/// Bytes of the nonce, which makes each state unique.
const NONCE_BYTES: usize = 16;

/// A `state` that this bridge signed and that has not expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// When it expires.
    pub(super) until: Timestamp,
    /// Identifies the link.
    pub(super) nonce: [u8; NONCE_BYTES],
}

/// Why a `state` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// There is none, and the call does not come from the installation of a widget.
    #[error("it has no `state`: start with a link from `salesbot-bridge accounts authorize`")]
    Missing,
    /// Created by someone else, for another integration, or with another key.
    #[error(
        "its `state` was not created by this bridge: start with a new link from `salesbot-bridge accounts authorize`"
    )]
    Foreign,
    /// Expired.
    #[error("its link is older than an hour: create a new one with `salesbot-bridge accounts authorize`")]
    Expired,
    /// It was already used with another code, or the account that it connected is no longer connected.
    #[error("its link was already used: create a new one with `salesbot-bridge accounts authorize`")]
    Used,
}

impl Accounts {
    /// Returns the link for authorizing an account through `integration`; `site` is `https://www.kommo.com` or
    /// `https://www.amocrm.ru`. `None` without `store.encryption_key`, which signs it, or if the system provides no
    /// random bytes.
    #[cfg(any(test, feature = "cli"))]
    pub fn authorization_link(&self, site: &url::Url, integration: &OAuthIntegration) -> Option<url::Url> {
        let mut nonce = [0; NONCE_BYTES];
        if !(self.0.parts.secret_random)(&mut nonce) {
            return None;
        }
        let until = self.0.parts.clock.now() + LINK_LIFE;
        let state = state(self.0.parts.keys.as_ref()?, &integration.client_uuid, until, nonce);
        let mut link = site.join("/oauth").ok()?;
        // In this mode Kommo redirects the person's own window to the redirect_uri.
        link.query_pairs_mut()
            .append_pair("client_id", &integration.client_uuid)
            .append_pair("state", &state)
            .append_pair("mode", "post_message");
        Some(link)
    }

    pub(super) fn check_state(
        &self,
        integration: &OAuthIntegration,
        state: &str,
    ) -> Result<State, StateError> {
        let keys = self.0.parts.keys.as_ref().ok_or(StateError::Foreign)?;
        check(keys, &integration.client_uuid, state, self.0.parts.clock.now())
    }
}

#[cfg(any(test, feature = "cli"))]
fn state(keys: &EncryptionKeys, client_uuid: &str, until: Timestamp, nonce: [u8; NONCE_BYTES]) -> String {
    let head = [&until.as_millis().to_be_bytes()[..], &nonce].concat();
    let signature = signer(&keys.current, client_uuid, &head).map(|mac| mac.finalize().into_bytes().to_vec());
    BASE64_URL_SAFE_NO_PAD.encode([head, signature.unwrap_or_default()].concat())
}

fn check(keys: &EncryptionKeys, client_uuid: &str, state: &str, now: Timestamp) -> Result<State, StateError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(state).map_err(|_| StateError::Foreign)?;
    let (head, signature) = bytes.split_at_checked(HEAD_BYTES).ok_or(StateError::Foreign)?;
    let signed = |key| signer(key, client_uuid, head).is_some_and(|mac| mac.verify_slice(signature).is_ok());
    if !signed(&keys.current) && !keys.previous.as_ref().is_some_and(|key| signed(key)) {
        return Err(StateError::Foreign);
    }
    let until = head.first_chunk().map(|bytes| Timestamp::from_millis(i64::from_be_bytes(*bytes)));
    let (until, nonce) = until.zip(head.last_chunk().copied()).ok_or(StateError::Foreign)?;
    if until <= now { Err(StateError::Expired) } else { Ok(State { until, nonce }) }
}

/// Uses a derived key, so that the signature of a state cannot be used for anything else.
fn signer(key: &[u8; 32], client_uuid: &str, head: &[u8]) -> Option<Hmac<Sha256>> {
    let mut derive = Hmac::<Sha256>::new_from_slice(key).ok()?;
    derive.update(b"salesbot-bridge oauth state");
    let mut mac = Hmac::<Sha256>::new_from_slice(&derive.finalize().into_bytes()).ok()?;
    mac.update(head);
    mac.update(client_uuid.trim().to_ascii_lowercase().as_bytes());
    Some(mac)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn keys(current: u8, previous: Option<u8>) -> EncryptionKeys {
        EncryptionKeys { current: Arc::new([current; 32]), previous: previous.map(|key| Arc::new([key; 32])) }
    }

    const fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_state_is_valid_for_its_integration_until_it_expires() {
        let made = state(&keys(1, None), "Id", at(1_000), [7; 16]);
        let good = Ok(State { until: at(1_000), nonce: [7; 16] });
        for (key, previous, client_uuid, now, expected) in [
            (1, None, "id", 999, good),
            (2, Some(1), "ID", 0, good),
            (1, None, "id", 1_000, Err(StateError::Expired)),
            (2, None, "id", 0, Err(StateError::Foreign)),
            (1, None, "other", 0, Err(StateError::Foreign)),
        ] {
            assert_eq!(check(&keys(key, previous), client_uuid, &made, at(now)), expected);
        }
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(&made).unwrap();
        bytes[0] ^= 1;
        let later = BASE64_URL_SAFE_NO_PAD.encode(&bytes);
        for forged in ["", "x", "!", &made[..made.len() - 4], &later] {
            assert_eq!(check(&keys(1, None), "id", forged, at(0)), Err(StateError::Foreign), "{forged}");
        }
    }
}
