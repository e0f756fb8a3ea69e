//! What is kept for OAuth beside the accounts themselves: pairs of account and address that tokens showed, codes that wait
//! for a confirmation, links that were used, and calls that say that an account was disconnected.

use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use model::{AccountId, AccountKey, Timestamp};

use crate::sqlite::accounts::oauth_commands::{
    AddPairs, KeepCode, NoteRevocation, SettleRevocation, TakeCode, UseState,
};
use crate::time::Moment;
use crate::{Store, StoreError};

/// An account and an address that occurred together in a verified token of an integration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The integration's id, in lower case.
    pub client_uuid: Arc<str>,
    /// Scheme, host and port.
    pub origin: Arc<str>,
    /// The account's number.
    pub account_id: AccountId,
}

/// A code as it is kept: encrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedCode {
    /// Names the key that encrypted it.
    pub key_id: String,
    /// Nonce and ciphertext.
    pub code: Vec<u8>,
}

/// A code of an installation that was not exchanged yet.
#[derive(Clone)]
pub struct NewCode {
    /// The integration's id, in lower case.
    pub client_uuid: Arc<str>,
    /// The address that the caller named.
    pub origin: Arc<str>,
    /// The code.
    pub sealed: SealedCode,
    /// When it came.
    pub received_at: Timestamp,
    /// From then on Kommo no longer takes it.
    pub expires_at: Timestamp,
}

/// A code that is kept, without the code itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptCode {
    /// Names it; a newer one has a greater number.
    pub id: i64,
    /// The integration's id, in lower case.
    pub client_uuid: Arc<str>,
    /// The address that the caller named.
    pub origin: Arc<str>,
    /// When it came.
    pub received_at: Timestamp,
    /// From then on Kommo no longer takes it.
    pub expires_at: Timestamp,
}

/// How many codes are kept at most.
#[derive(Clone, Copy, Debug)]
pub struct CodeLimits {
    /// For one integration at one address. Beyond it, the oldest one of them goes.
    pub per_origin: i64,
    /// In all. Beyond it, the oldest one goes of the address that has most.
    pub total: i64,
}

/// Whether the `state` of a link may be used with a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateUse {
    /// Yes: it was not used yet, or with this very code, which connected nothing so far.
    Granted,
    /// It was used with this very code, which connected this account.
    Connected(AccountId),
    /// It was used with another code.
    OtherCode,
}

/// A call that says that an account was disconnected, and that is not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRevocation {
    /// Which connection.
    pub key: AccountKey,
    /// Since when it waits.
    pub since: Timestamp,
    /// Whether no such call had come before.
    pub is_first: bool,
}

impl Store {
    /// All pairs of account and address that were stored.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn pairs(&self) -> Result<Vec<Pair>, StoreError> {
        let sql = "SELECT client_uuid, origin, account_id FROM account_origins";
        let rows = sqlx::query(sql).fetch_all(&self.0.reading).await?;
        let pair = |row: &SqliteRow| {
            Ok(Pair {
                client_uuid: row.try_get::<&str, _>(0)?.into(),
                origin: row.try_get::<&str, _>(1)?.into(),
                account_id: AccountId(row.try_get(2)?),
            })
        };
        rows.iter().map(pair).collect()
    }

    /// Stores pairs; those that are there already change nothing.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn add_pairs(&self, pairs: Vec<Pair>) -> Result<(), StoreError> {
        self.ask(AddPairs(pairs)).await
    }

    /// Keeps a code until it is taken or its time is over.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn keep_code(&self, code: NewCode, limits: CodeLimits) -> Result<(), StoreError> {
        self.ask(KeepCode { code, limits, now: self.moment() }).await
    }

    /// The codes whose time is not over by both clocks, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn kept_codes(&self) -> Result<Vec<KeptCode>, StoreError> {
        let sql = "SELECT id, client_uuid, origin, received_at, expires_at FROM oauth_codes \
                   WHERE expires_at > ? OR expires_service_at > ? ORDER BY id DESC";
        let Moment { calendar, service, .. } = self.moment();
        let rows = sqlx::query(sql)
            .bind(calendar.as_millis())
            .bind(service.as_millis())
            .fetch_all(&self.0.reading)
            .await?;
        let kept = |row: &SqliteRow| {
            Ok(KeptCode {
                id: row.try_get(0)?,
                client_uuid: row.try_get::<&str, _>(1)?.into(),
                origin: row.try_get::<&str, _>(2)?.into(),
                received_at: Timestamp::from_millis(row.try_get(3)?),
                expires_at: Timestamp::from_millis(row.try_get(4)?),
            })
        };
        rows.iter().map(kept).collect()
    }

    /// Takes a code out of the store, so that no one else exchanges it too; `None` if it is gone.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn take_code(&self, id: i64) -> Result<Option<SealedCode>, StoreError> {
        self.ask(TakeCode { id }).await
    }

    /// Uses the `state` of a link for a code. `until` is the link's end; a row is kept for as long again.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn use_state(
        &self,
        nonce: [u8; 16],
        code_hash: [u8; 32],
        until: Timestamp,
    ) -> Result<StateUse, StoreError> {
        self.ask(UseState { nonce, code_hash, until, now: self.moment() }).await
    }

    /// Notes a signed call that says that an account was disconnected; if `pending`, it waits to be settled. Says whether
    /// it is the first one for this account and integration.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn note_revocation(&self, key: AccountKey, pending: bool) -> Result<bool, StoreError> {
        self.ask(NoteRevocation { key, pending, now: self.clock().now() }).await
    }

    /// The calls that wait to be settled.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn pending_revocations(&self) -> Result<Vec<PendingRevocation>, StoreError> {
        let sql = "SELECT account_id, client_uuid, pending_at, pending_at = first_at FROM revocation_calls \
                   WHERE pending_at IS NOT NULL";
        let rows = sqlx::query(sql).fetch_all(&self.0.reading).await?;
        let pending = |row: &SqliteRow| {
            Ok(PendingRevocation {
                key: AccountKey::new(AccountId(row.try_get(0)?), row.try_get(1)?),
                since: Timestamp::from_millis(row.try_get(2)?),
                is_first: row.try_get(3)?,
            })
        };
        rows.iter().map(pending).collect()
    }

    /// Settles a call without believing it: nothing waits for this account any longer.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn settle_revocation(&self, key: AccountKey) -> Result<(), StoreError> {
        self.ask(SettleRevocation { key }).await
    }
}
