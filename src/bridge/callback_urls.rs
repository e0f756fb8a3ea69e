//! Makes the URLs of callbacks: from the address in the configuration and the key in the store.

use crate::accounts::{CallbackKeyError, open_callback_key, seal_callback_key};
use crate::config::Config;
use crate::handler::CallbackUrls;
use store::Store;

use super::Error;
use super::kommo_stack::{encryption_keys, secret_random};

/// Reads the key of callbacks, or makes it. Encrypts it again if the configuration has another encryption key now.
///
/// # Errors
/// The key is encrypted under a key that the configuration does not have, or the store cannot be written.
pub(super) async fn callback_urls(config: &Config, store: &Store) -> Result<CallbackUrls, Error> {
    let keys = encryption_keys(config);
    let seal =
        |key: &[u8; 32]| seal_callback_key(key, keys.as_ref(), secret_random).map_err(Error::of_callback_key);
    let mut new = [0; 32];
    if !secret_random(&mut new) {
        return Err(Error::of_callback_key(CallbackKeyError::NoRandom));
    }
    let stored = store.callbacks().key(seal(&new)?).await?;
    let opened = open_callback_key(&stored, keys.as_ref(), secret_random);
    let (key, is_to_seal) = opened.map_err(Error::of_callback_key)?;
    if is_to_seal {
        store.callbacks().encrypt_key(seal(&key)?).await?;
    }
    Ok(CallbackUrls::new(config.server.callback_url.clone(), key))
}
