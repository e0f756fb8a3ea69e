//! Reads connected accounts, and sends the commands that change them. Tokens arrive here encrypted; the store does not
//! know the key.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use model::{AccountId, AccountKey, AccountRecord, Authorization, SealedTokens, Timestamp};

use crate::postgres::accounts::connections::{Connect, EndRenewal, LeaseRenewal, Remove, Revoke};
use crate::postgres::engine::Engine;
use crate::{Actor, Leased, NewConnection, Renewal, StoreError};

impl Engine {
    pub(crate) async fn all_accounts(&self) -> Result<Vec<AccountRecord>, StoreError> {
        all(&self.reading).await
    }

    pub(crate) async fn account_generations(&self) -> Result<Vec<(AccountKey, u64)>, StoreError> {
        generations(&self.reading).await
    }

    pub(crate) async fn connect_account(&self, new: NewConnection) -> Result<Option<u64>, StoreError> {
        self.execute(Connect { new, now: self.clock().now() }).await
    }

    pub(crate) async fn lease_renewal(
        &self,
        key: AccountKey,
        generation: u64,
        lease: Duration,
    ) -> Result<Leased, StoreError> {
        let (steady, until) = (self.moment().steady, self.lease(lease));
        self.execute(LeaseRenewal { key, generation, by: self.role, steady, until }).await
    }

    pub(crate) async fn end_renewal(
        &self,
        key: AccountKey,
        generation: u64,
        renewal: Renewal,
    ) -> Result<Option<u64>, StoreError> {
        self.execute(EndRenewal { key, generation, renewal }).await
    }

    pub(crate) async fn revoke_account(
        &self,
        key: AccountKey,
        seen: Option<u64>,
        reason: String,
    ) -> Result<bool, StoreError> {
        self.execute(Revoke { key, seen, reason }).await
    }

    pub(crate) async fn remove_account(&self, key: AccountKey, by: &Actor) -> Result<bool, StoreError> {
        self.execute(Remove { key, by: by.clone() }).await
    }
}

async fn all(pool: &PgPool) -> Result<Vec<AccountRecord>, StoreError> {
    let rows = sqlx::query(
        "SELECT account_id, client_uuid, origin, previous_origin, state, reason, generation, key_id, access_token, \
         refresh_token, obtained_at, expires_at, connected_at FROM accounts ORDER BY account_id, client_uuid",
    )
    .fetch_all(pool)
    .await?;
    // A damaged row must not prevent the use of other accounts' tokens.
    let (good, bad): (Vec<_>, Vec<_>) = rows.iter().map(record).partition(Result::is_ok);
    for error in bad.into_iter().filter_map(Result::err) {
        tracing::error!(%error, "an account cannot be read: run `accounts remove` and authorize it again");
    }
    Ok(good.into_iter().flatten().collect())
}

async fn generations(pool: &PgPool) -> Result<Vec<(AccountKey, u64)>, StoreError> {
    let rows =
        sqlx::query("SELECT account_id, client_uuid, generation FROM accounts").fetch_all(pool).await?;
    rows.iter()
        .map(|row| {
            let generation: i64 = row.try_get("generation")?;
            Ok((key(row)?, u64::try_from(generation).unwrap_or(0)))
        })
        .collect()
}

fn key(row: &PgRow) -> Result<AccountKey, StoreError> {
    Ok(AccountKey {
        account_id: AccountId(row.try_get("account_id")?),
        client_uuid: shared(row.try_get("client_uuid")?),
    })
}

fn shared(text: &str) -> Arc<str> {
    text.into()
}

fn record(row: &PgRow) -> Result<AccountRecord, StoreError> {
    let key = key(row)?;
    let corrupt = |column, why: &str| StoreError::Corrupt {
        table: "accounts",
        column,
        id: format!("{} {}", key.account_id.0, key.client_uuid),
        why: why.into(),
    };
    let reason = || row.try_get::<Option<String>, _>("reason").map(Option::unwrap_or_default);
    let authorization = match row.try_get("state")? {
        "active" => Authorization::Active(SealedTokens {
            key_id: row.try_get("key_id")?,
            access: row.try_get("access_token")?,
            refresh: row.try_get("refresh_token")?,
            obtained_at: Timestamp::from_millis(row.try_get("obtained_at")?),
            expires_at: Timestamp::from_millis(row.try_get("expires_at")?),
        }),
        "needs_authorization" => Authorization::Needed { reason: reason()? },
        "revoked" => Authorization::Revoked { reason: reason()? },
        _ => return Err(corrupt("state", "unknown")),
    };
    let generation: i64 = row.try_get("generation")?;
    Ok(AccountRecord {
        origin: row.try_get::<Option<&str>, _>("origin")?.map(shared),
        previous_origin: row.try_get::<Option<&str>, _>("previous_origin")?.map(shared),
        authorization,
        generation: u64::try_from(generation).map_err(|_| corrupt("generation", "negative"))?,
        connected_at: row.try_get::<Option<i64>, _>("connected_at")?.map(Timestamp::from_millis),
        key,
    })
}
