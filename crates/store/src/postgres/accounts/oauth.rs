//! The OAuth data apart from the accounts: pairs of account and address seen in tokens, codes that await confirmation,
//! used links, and calls that announce that an account was disconnected.

use sqlx::Row;
use sqlx::postgres::PgRow;

use model::{AccountId, AccountKey, Timestamp};

use crate::postgres::accounts::oauth_commands::{
    AddPairs, KeepCode, NoteRevocation, SettleRevocation, TakeCode, UseState,
};
use crate::postgres::engine::Engine;
use crate::time::Moment;
use crate::{CodeLimits, KeptCode, NewCode, Pair, PendingRevocation, SealedCode, StateUse, StoreError};

pub(crate) const PAIRS: &str = "SELECT client_uuid, origin, account_id FROM account_origins";
pub(crate) const KEPT_CODES: &str = "SELECT id, client_uuid, origin, received_at, expires_at FROM oauth_codes \
     WHERE expires_at > $1 OR expires_service_at > $2 ORDER BY id DESC";
pub(crate) const PENDING: &str = "SELECT account_id, client_uuid, pending_at, pending_at = first_at FROM revocation_calls \
     WHERE pending_at IS NOT NULL";

impl Engine {
    pub(crate) async fn pairs(&self) -> Result<Vec<Pair>, StoreError> {
        let rows = sqlx::query(PAIRS).fetch_all(&self.reading).await?;
        let pair = |row: &PgRow| {
            Ok(Pair {
                client_uuid: row.try_get::<&str, _>(0)?.into(),
                origin: row.try_get::<&str, _>(1)?.into(),
                account_id: AccountId(row.try_get(2)?),
            })
        };
        rows.iter().map(pair).collect()
    }

    pub(crate) async fn add_pairs(&self, pairs: Vec<Pair>) -> Result<(), StoreError> {
        self.execute(AddPairs::new(pairs)).await
    }

    pub(crate) async fn keep_code(&self, code: NewCode, limits: CodeLimits) -> Result<(), StoreError> {
        self.execute(KeepCode { code, limits, now: self.moment() }).await
    }

    pub(crate) async fn kept_codes(&self) -> Result<Vec<KeptCode>, StoreError> {
        let Moment { calendar, service, .. } = self.moment();
        let kept = sqlx::query(KEPT_CODES).bind(calendar.as_millis()).bind(service.as_millis());
        let rows = kept.fetch_all(&self.reading).await?;
        let kept = |row: &PgRow| {
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

    pub(crate) async fn take_code(&self, id: i64) -> Result<Option<SealedCode>, StoreError> {
        self.execute(TakeCode { id }).await
    }

    pub(crate) async fn use_state(
        &self,
        nonce: [u8; 16],
        code_hash: [u8; 32],
        until: Timestamp,
    ) -> Result<StateUse, StoreError> {
        self.execute(UseState { nonce, code_hash, until, now: self.moment() }).await
    }

    pub(crate) async fn note_revocation(&self, key: AccountKey, pending: bool) -> Result<bool, StoreError> {
        self.execute(NoteRevocation { key, pending, now: self.clock().now() }).await
    }

    pub(crate) async fn pending_revocations(&self) -> Result<Vec<PendingRevocation>, StoreError> {
        let rows = sqlx::query(PENDING).fetch_all(&self.reading).await?;
        let pending = |row: &PgRow| {
            Ok(PendingRevocation {
                key: AccountKey::new(AccountId(row.try_get(0)?), row.try_get(1)?),
                since: Timestamp::from_millis(row.try_get(2)?),
                is_first: row.try_get(3)?,
            })
        };
        rows.iter().map(pending).collect()
    }

    pub(crate) async fn settle_revocation(&self, key: AccountKey) -> Result<(), StoreError> {
        self.execute(SettleRevocation { key }).await
    }
}
