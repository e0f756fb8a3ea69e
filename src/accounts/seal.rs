//! Encrypts tokens and codes for the store: XChaCha20-Poly1305 under `store.encryption_key`.
//!
//! Each token has its own random nonce, and is bound to its account, its integration and its column: moved to another
//! row or column, it cannot be decrypted. A code is bound to its integration, its address and its column. The id of
//! the key is stored beside the ciphertext, to find the right key after a change of keys.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use model::{AccountKey, SealedTokens, Timestamp};
use store::SealedCode;

/// Bytes of a nonce.
const NONCE_BYTES: usize = 24;

/// A decrypted pair of tokens.
#[derive(Clone)]
pub(super) struct Tokens {
    pub(super) access: SecretString,
    pub(super) refresh: SecretString,
    pub(super) obtained_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

/// Which token of a pair.
#[derive(Clone, Copy)]
enum Column {
    Access,
    Refresh,
}

/// Encrypts and decrypts tokens.
pub(super) struct Sealer {
    /// The first key encrypts; all of them decrypt.
    keys: Vec<Key>,
    random: fn(&mut [u8]) -> bool,
}

struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
}

/// Why a pair of tokens cannot be decrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsealable {
    /// Another key encrypted it.
    #[error(
        "its tokens are encrypted under another key ({0}): set store.previous_encryption_key to that key, or authorize the account again"
    )]
    OtherKey(String),
    /// It is damaged, or was moved from another row.
    #[error("its tokens are damaged: authorize the account again")]
    Damaged,
}

impl Sealer {
    /// Encrypts under `key`, and decrypts what `key` or `previous` encrypted. `random` fills a buffer with secret
    /// random bytes and returns whether it succeeded.
    pub(super) fn new(key: &[u8; 32], previous: Option<&[u8; 32]>, random: fn(&mut [u8]) -> bool) -> Self {
        let keys = std::iter::once(key).chain(previous).map(Key::new).collect();
        Self { keys, random }
    }

    /// Whether the current key encrypted these tokens.
    pub(super) fn is_current(&self, sealed: &SealedTokens) -> bool {
        self.keys.first().is_some_and(|key| key.id == sealed.key_id)
    }

    /// Encrypts a pair. `None` if the system provides no random bytes.
    pub(super) fn seal(&self, of: &AccountKey, tokens: &Tokens) -> Option<SealedTokens> {
        let key = self.keys.first()?;
        Some(SealedTokens {
            key_id: key.id.clone(),
            access: self.encrypt(key, &tokens.access, &bound_to(of, Column::Access))?,
            refresh: self.encrypt(key, &tokens.refresh, &bound_to(of, Column::Refresh))?,
            obtained_at: tokens.obtained_at,
            expires_at: tokens.expires_at,
        })
    }

    /// Encrypts the code of an installation through an integration at an address. `None` if the system provides no
    /// random bytes.
    pub(super) fn seal_code(
        &self,
        client_uuid: &str,
        origin: &str,
        code: &SecretString,
    ) -> Option<SealedCode> {
        let key = self.keys.first()?;
        let code = self.encrypt(key, code, &code_bound_to(client_uuid, origin))?;
        Some(SealedCode { key_id: key.id.clone(), code })
    }

    /// Decrypts the code of an installation. `None` if another key encrypted it, or it is damaged.
    pub(super) fn open_code(
        &self,
        client_uuid: &str,
        origin: &str,
        sealed: &SealedCode,
    ) -> Option<SecretString> {
        let key = self.keys.iter().find(|key| key.id == sealed.key_id)?;
        key.decrypt(&sealed.code, &code_bound_to(client_uuid, origin))
    }

    /// Encrypts another secret, bound to `what` it is. Returns the id of the key, and the ciphertext. `None` if the system
    /// provides no random bytes.
    pub(super) fn seal_other(&self, what: &[u8], secret: &SecretString) -> Option<(String, Vec<u8>)> {
        let key = self.keys.first()?;
        Some((key.id.clone(), self.encrypt(key, secret, what)?))
    }

    /// Decrypts what [`seal_other`](Self::seal_other) encrypted. The flag says whether the current key did.
    ///
    /// # Errors
    /// Another key encrypted it, or it is damaged.
    pub(super) fn open_other(
        &self,
        what: &[u8],
        key_id: &str,
        sealed: &[u8],
    ) -> Result<(SecretString, bool), Unsealable> {
        let place = self.keys.iter().position(|key| key.id == key_id);
        let place = place.ok_or_else(|| Unsealable::OtherKey(key_id.to_owned()))?;
        let secret = self.keys.get(place).and_then(|key| key.decrypt(sealed, what));
        Ok((secret.ok_or(Unsealable::Damaged)?, place == 0))
    }

    fn encrypt(&self, key: &Key, secret: &SecretString, bound: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_BYTES];
        // A repeated nonce would reveal the secret.
        if !(self.random)(&mut nonce) {
            return None;
        }
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: bound };
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), payload).ok()?;
        Some([&nonce[..], &sealed].concat())
    }

    /// Decrypts a pair.
    ///
    /// # Errors
    /// Another key encrypted it, or it is damaged.
    pub(super) fn open(&self, of: &AccountKey, sealed: &SealedTokens) -> Result<Tokens, Unsealable> {
        let named = self.keys.iter().find(|key| key.id == sealed.key_id);
        let key = named.ok_or_else(|| Unsealable::OtherKey(sealed.key_id.clone()))?;
        let open = |column: Column, sealed: &[u8]| key.decrypt(sealed, &bound_to(of, column));
        Ok(Tokens {
            access: open(Column::Access, &sealed.access).ok_or(Unsealable::Damaged)?,
            refresh: open(Column::Refresh, &sealed.refresh).ok_or(Unsealable::Damaged)?,
            obtained_at: sealed.obtained_at,
            expires_at: sealed.expires_at,
        })
    }
}

impl Key {
    fn new(key: &[u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(b"salesbot-bridge key id\0").chain_update(key).finalize();
        Self { id: hex::encode(&digest[..8]), cipher: XChaCha20Poly1305::new(key.into()) }
    }

    fn decrypt(&self, sealed: &[u8], bound: &[u8]) -> Option<SecretString> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: bound };
        let secret = self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
        String::from_utf8(secret).ok().map(SecretString::from)
    }
}

/// Returns the data that a ciphertext is bound to. The integration's id comes last, because it is the only part without
/// a fixed length.
fn bound_to(of: &AccountKey, column: Column) -> Vec<u8> {
    let column: &[u8] = match column {
        Column::Access => b"accounts.access_token\0",
        Column::Refresh => b"accounts.refresh_token\0",
    };
    [column, &of.account_id.0.to_be_bytes(), of.client_uuid.as_bytes()].concat()
}

/// Returns the data that a code is bound to. The address is preceded by its length, because neither part has a fixed
/// one.
fn code_bound_to(client_uuid: &str, origin: &str) -> Vec<u8> {
    let client_uuid = client_uuid.trim().to_ascii_lowercase();
    let length = (origin.len() as u64).to_be_bytes();
    [b"oauth_codes.code\0", &length[..], origin.as_bytes(), client_uuid.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::AccountId;

    fn of(account_id: i64, client_uuid: &str) -> AccountKey {
        AccountKey::new(AccountId(account_id), client_uuid)
    }

    fn tokens() -> Tokens {
        Tokens {
            access: "the-access-token".into(),
            refresh: "the-refresh-token".into(),
            obtained_at: Timestamp::from_millis(1),
            expires_at: Timestamp::from_millis(2),
        }
    }

    fn sealer(key: u8, previous: Option<u8>) -> Sealer {
        Sealer::new(&[key; 32], previous.map(|key| [key; 32]).as_ref(), |bytes| {
            bytes.fill_with(|| fastrand::u8(..));
            true
        })
    }

    fn opened(sealer: &Sealer, of: &AccountKey, sealed: &SealedTokens) -> Result<[String; 2], Unsealable> {
        let tokens = sealer.open(of, sealed)?;
        Ok([tokens.access, tokens.refresh].map(|token| token.expose_secret().to_owned()))
    }

    #[test]
    fn sealed_tokens_can_be_opened_and_reveal_nothing() {
        let (sealer, key) = (sealer(1, None), of(7, "Id"));
        let sealed = sealer.seal(&key, &tokens()).unwrap();
        assert_eq!(
            opened(&sealer, &of(7, "iD"), &sealed).unwrap(),
            ["the-access-token", "the-refresh-token"]
        );
        for bytes in [&sealed.access, &sealed.refresh] {
            assert!(!bytes.windows(5).any(|part| part == b"token"));
        }
        let again = sealer.seal(&key, &tokens()).unwrap();
        assert_ne!(again.access, sealed.access, "each has its own nonce");
        assert_eq!(sealed.key_id.len(), 16);
    }

    #[test]
    fn without_random_bytes_nothing_is_sealed() {
        assert!(Sealer::new(&[1; 32], None, |_| false).seal(&of(7, "id"), &tokens()).is_none());
    }

    #[test]
    fn sealed_tokens_open_only_in_their_own_row_and_column() {
        let (sealer, key) = (sealer(1, None), of(7, "id"));
        let sealed = sealer.seal(&key, &tokens()).unwrap();
        let swapped =
            SealedTokens { access: sealed.refresh.clone(), refresh: sealed.access.clone(), ..sealed.clone() };
        let cut = SealedTokens { access: sealed.access[..20].to_vec(), ..sealed.clone() };
        let mut changed = sealed.clone();
        changed.refresh[30] ^= 1;
        for (of, sealed) in [
            (&of(8, "id"), &sealed),
            (&of(7, "other"), &sealed),
            (&key, &swapped),
            (&key, &cut),
            (&key, &changed),
        ] {
            assert_eq!(opened(&sealer, of, sealed), Err(Unsealable::Damaged));
        }
    }

    #[test]
    fn a_code_opens_only_for_its_integration_and_address() {
        let sealed = sealer(1, None).seal_code("Id", "https://a", &"the-code".into()).unwrap();
        let open = |key, client_uuid, origin| {
            sealer(key, None)
                .open_code(client_uuid, origin, &sealed)
                .map(|code| code.expose_secret().to_owned())
        };
        assert_eq!(open(1, "id", "https://a").as_deref(), Some("the-code"));
        for (key, client_uuid, origin) in
            [(2, "id", "https://a"), (1, "ix", "https://a"), (1, "id", "https://b")]
        {
            assert_eq!(open(key, client_uuid, origin), None, "{key} {client_uuid} {origin}");
        }
        assert!(sealer(2, Some(1)).open_code("id", "https://a", &sealed).is_some());
    }

    #[test]
    fn a_key_can_be_changed() {
        let key = of(7, "id");
        let sealed = sealer(1, None).seal(&key, &tokens()).unwrap();
        let both = sealer(2, Some(1));
        assert!(opened(&both, &key, &sealed).is_ok() && !both.is_current(&sealed));
        let renewed = both.seal(&key, &tokens()).unwrap();
        assert!(both.is_current(&renewed) && opened(&sealer(2, None), &key, &renewed).is_ok());
        let refused = opened(&sealer(2, None), &key, &sealed).unwrap_err();
        assert_eq!(refused, Unsealable::OtherKey(sealed.key_id));
    }
}
