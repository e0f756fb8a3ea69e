//! The key from which the tokens of callbacks are derived.

use rusqlite::OptionalExtension;

use crate::sqlite::engine::Engine;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::{StoreError, StoredKey};

impl Engine {
    pub(crate) async fn callback_key(&self, new: StoredKey) -> Result<StoredKey, StoreError> {
        self.execute(KeepKey(new)).await
    }

    pub(crate) async fn encrypt_callback_key(&self, key: StoredKey) -> Result<(), StoreError> {
        self.execute(EncryptKey(key)).await
    }
}

/// Stores this key unless there is one. Answers with the stored one.
struct KeepKey(StoredKey);

impl Command for KeepKey {
    type Answer = StoredKey;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<StoredKey, StoreError> {
        let select = "SELECT key, key_id FROM callback_key";
        let known = transaction
            .query_one(select, (), |row| Ok(StoredKey { key: row.get(0)?, key_id: row.get(1)? }))
            .optional()?;
        if let Some(known) = known {
            return Ok(known);
        }
        let StoredKey { key, key_id } = &self.0;
        transaction.execute("INSERT INTO callback_key (id, key, key_id) VALUES (1, ?, ?)", (key, key_id))?;
        Ok(self.0.clone())
    }
}

/// Replaces the encryption of the key.
struct EncryptKey(StoredKey);

impl Command for EncryptKey {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let StoredKey { key, key_id } = &self.0;
        transaction.execute("UPDATE callback_key SET key = ?, key_id = ?", (key, key_id))?;
        Ok(())
    }
}
