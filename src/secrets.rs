//! A secret that can be replaced while it is in use.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};

/// The secret in force. Clones share it: after [`exchange`](Self::exchange), [`get`](Self::get) returns the new secret.
/// The result of an earlier `get` remains the old one.
#[derive(Clone)]
pub struct SharedSecret(Arc<RwLock<Arc<SecretString>>>);

impl SharedSecret {
    /// The secret in force.
    pub fn get(&self) -> Arc<SecretString> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts `secret` in force. Returns whether it differs from the previous one.
    pub fn exchange(&self, secret: SecretString) -> bool {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = current.expose_secret() != secret.expose_secret();
        if changed {
            *current = Arc::new(secret);
        }
        changed
    }
}

impl<T: Into<SecretString>> From<T> for SharedSecret {
    fn from(secret: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(secret.into()))))
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_see_the_new_secret_and_earlier_values_stay_the_same() {
        let (secret, before) = (SharedSecret::from("old"), SharedSecret::from("old").get());
        let clone = secret.clone();
        assert!(!secret.exchange("old".into()));
        let kept = clone.get();
        assert!(secret.exchange("new".into()));
        assert_eq!(clone.get().expose_secret(), "new");
        assert_eq!((kept.expose_secret(), before.expose_secret()), ("old", "old"));
        assert!(!format!("{secret:?}").contains("new"));
    }
}
