//! The key from which the tokens of callbacks are derived.

use sqlx::Row;

use crate::postgres::engine::Engine;
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;
use crate::{StoreError, StoredKey};

pub(crate) const FIND: &str = "SELECT key, key_id FROM callback_key WHERE id = 1";
/// Another process may have stored a key in the meantime.
pub(crate) const INSERT: &str =
    "INSERT INTO callback_key (id, key, key_id) VALUES (1, $1, $2) ON CONFLICT (id) DO NOTHING";
pub(crate) const UPDATE: &str = "UPDATE callback_key SET key = $1, key_id = $2 WHERE id = 1";

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

    async fn apply(&self, transaction: &mut Transaction) -> Result<StoredKey, StoreError> {
        if let Some(known) = find(transaction).await? {
            return Ok(known);
        }
        let StoredKey { key, key_id } = &self.0;
        transaction.execute(sqlx::query(INSERT).bind(key.as_slice()).bind(key_id.as_deref())).await?;
        Ok(find(transaction).await?.unwrap_or_else(|| self.0.clone()))
    }
}

async fn find(transaction: &mut Transaction) -> Result<Option<StoredKey>, StoreError> {
    let rows = transaction.read(sqlx::query(FIND)).await?;
    rows.first().map(|row| Ok(StoredKey { key: row.try_get(0)?, key_id: row.try_get(1)? })).transpose()
}

/// Replaces the encryption of the key.
struct EncryptKey(StoredKey);

impl Command for EncryptKey {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let StoredKey { key, key_id } = &self.0;
        transaction.execute(sqlx::query(UPDATE).bind(key.as_slice()).bind(key_id.as_deref())).await?;
        Ok(())
    }
}
