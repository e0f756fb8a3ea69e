//! The encryption of the key from which the tokens of callbacks are derived.

use secrecy::{ExposeSecret, SecretString};

use store::StoredKey;

use super::EncryptionKeys;
use super::seal::{Sealer, Unsealable};

/// What the ciphertext is bound to.
const WHAT: &[u8] = b"callback_key.key\0";

/// Why the key of callbacks cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackKeyError {
    /// It is encrypted, and the configuration has no key.
    #[error(
        "the store's key for callbacks is encrypted: set store.encryption_key to the key with the id {0}"
    )]
    NoKey(String),
    /// It is encrypted under another key.
    #[error(
        "the store's key for callbacks is encrypted under another key ({0}): set store.previous_encryption_key to that key"
    )]
    OtherKey(String),
    /// The row is damaged.
    #[error(
        "the store's key for callbacks is damaged: stop the bridge, delete the row of the table callback_key, and start it \
         again; jobs that await a callback then get their fallback"
    )]
    Damaged,
    /// The system provides no random bytes.
    #[error("the system provides no random bytes")]
    NoRandom,
}

/// Prepares `key` for the store: encrypts it if there are `keys`. `random` fills a buffer with secret random bytes.
///
/// # Errors
/// The system provides no random bytes.
pub fn seal_callback_key(
    key: &[u8; 32],
    keys: Option<&EncryptionKeys>,
    random: fn(&mut [u8]) -> bool,
) -> Result<StoredKey, CallbackKeyError> {
    let Some(keys) = keys else { return Ok(StoredKey { key: key.to_vec(), key_id: None }) };
    let secret = SecretString::from(hex::encode(key));
    let (key_id, key) = sealer(keys, random).seal_other(WHAT, &secret).ok_or(CallbackKeyError::NoRandom)?;
    Ok(StoredKey { key, key_id: Some(key_id) })
}

/// Reads a key from the store. The flag says whether it should be sealed again: it is not encrypted although there are
/// `keys`, or not under the current one.
///
/// # Errors
/// Another key encrypted it, or it is damaged.
pub fn open_callback_key(
    stored: &StoredKey,
    keys: Option<&EncryptionKeys>,
    random: fn(&mut [u8]) -> bool,
) -> Result<([u8; 32], bool), CallbackKeyError> {
    let damaged = CallbackKeyError::Damaged;
    let Some(key_id) = &stored.key_id else {
        return Ok((stored.key.as_slice().try_into().map_err(|_| damaged)?, keys.is_some()));
    };
    let keys = keys.ok_or_else(|| CallbackKeyError::NoKey(key_id.clone()))?;
    let opened = sealer(keys, random).open_other(WHAT, key_id, &stored.key);
    let (secret, is_current) = opened.map_err(|error| match error {
        Unsealable::OtherKey(key_id) => CallbackKeyError::OtherKey(key_id),
        Unsealable::Damaged => CallbackKeyError::Damaged,
    })?;
    let mut key = [0; 32];
    hex::decode_to_slice(secret.expose_secret(), &mut key).map_err(|_| damaged)?;
    Ok((key, !is_current))
}

fn sealer(keys: &EncryptionKeys, random: fn(&mut [u8]) -> bool) -> Sealer {
    Sealer::new(&keys.current, keys.previous.as_deref(), random)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn random(bytes: &mut [u8]) -> bool {
        bytes.fill_with(|| fastrand::u8(..));
        true
    }

    fn keys(current: u8, previous: Option<u8>) -> EncryptionKeys {
        let key = |byte| Arc::new([byte; 32]);
        EncryptionKeys { current: key(current), previous: previous.map(key) }
    }

    #[test]
    fn the_key_follows_changes_of_the_encryption() {
        let key = [7; 32];
        let plain = seal_callback_key(&key, None, random).unwrap();
        let first = seal_callback_key(&key, Some(&keys(1, None)), random).unwrap();
        let id = first.key_id.clone().unwrap();
        assert!(!first.key.windows(8).any(|part| part == [7; 8]));
        let damaged = StoredKey { key: first.key[..40].to_vec(), ..first.clone() };
        let short = StoredKey { key: vec![7; 31], key_id: None };
        for (what, stored, keys, expected) in [
            ("plain", &plain, None, Ok((key, false))),
            ("plain before there was a key", &plain, Some(keys(1, None)), Ok((key, true))),
            ("encrypted", &first, Some(keys(1, None)), Ok((key, false))),
            ("under the previous key", &first, Some(keys(2, Some(1))), Ok((key, true))),
            ("under another key", &first, Some(keys(2, None)), Err(CallbackKeyError::OtherKey(id.clone()))),
            ("without a key", &first, None, Err(CallbackKeyError::NoKey(id))),
            ("damaged", &damaged, Some(keys(1, None)), Err(CallbackKeyError::Damaged)),
            ("short", &short, None, Err(CallbackKeyError::Damaged)),
        ] {
            assert_eq!(open_callback_key(stored, keys.as_ref(), random), expected, "{what}");
        }
        let refused = seal_callback_key(&key, Some(&keys(1, None)), |_| false);
        assert!(refused.is_err_and(|error| error == CallbackKeyError::NoRandom));
    }
}
