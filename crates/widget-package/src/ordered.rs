//! A JSON object that keeps the order of its keys: the bot designer shows a block's fields in the order of the
//! manifest.

use serde::{Serialize, Serializer};

/// Keys and values in insertion order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ordered<T>(Vec<(String, T)>);

impl<T> Ordered<T> {
    /// Adds `key` with `value`, unless the key exists.
    pub(super) fn add(&mut self, key: impl Into<String>, value: T) {
        let key = key.into();
        if self.get(&key).is_none() {
            self.0.push((key, value));
        }
    }

    /// The value of `key`.
    pub(super) fn get(&self, key: &str) -> Option<&T> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The value of `key`, after adding the default value if there is none.
    pub(super) fn entry(&mut self, key: &str) -> &mut T
    where
        T: Default,
    {
        let at = self.0.iter().position(|(known, _)| known == key).unwrap_or_else(|| {
            self.0.push((key.to_owned(), T::default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }
}

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Into<String>, T> FromIterator<(K, T)> for Ordered<T> {
    fn from_iter<I: IntoIterator<Item = (K, T)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}
