//! Connected accounts. What is written here is encrypted already; the store does not know the key.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqlitePool};

use model::{AccountId, AccountKey, AccountRecord, Authorization, JobId, SealedTokens, Timestamp};

use crate::sqlite::accounts::connections::{
    Connect, EndRenewal, LeaseRenewal, Leased, NewConnection, Remove, Renewal, Revoke,
};
use crate::sqlite::jobs::lane_reload;
use crate::sqlite::jobs::operator::cancel::Cancel;
use crate::{Store, StoreError};

impl Store {
    /// All connected accounts, those that need a person among them.
    ///
    /// # Errors
    /// The store cannot be read. A damaged row is logged and left out.
    pub async fn accounts(&self) -> Result<Vec<AccountRecord>, StoreError> {
        all(&self.0.reading).await
    }

    /// Each connected account and the generation of its tokens: enough to notice that something changed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn account_generations(&self) -> Result<Vec<(AccountKey, u64)>, StoreError> {
        generations(&self.0.reading).await
    }

    /// An authorization connected the account: it becomes active, whatever it was. Gives the generation of its tokens; `None`
    /// if it is known at an address that it may not be moved away from, and then nothing is changed.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn connect_account(&self, new: NewConnection) -> Result<Option<u64>, StoreError> {
        self.ask(Connect { new, now: self.clock().now() }).await
    }

    /// Asks to be the only one who renews the tokens of this generation, for as long as `lease`.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn lease_renewal(
        &self,
        key: AccountKey,
        generation: u64,
        lease: Duration,
    ) -> Result<Leased, StoreError> {
        let (steady, until) = (self.moment().steady, self.lease(lease));
        self.ask(LeaseRenewal { key, generation, by: self.0.purpose, steady, until }).await
    }

    /// Ends the renewal of this generation. Gives the generation from now on; none if it is another one by now, and then
    /// nothing was changed.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn end_renewal(
        &self,
        key: AccountKey,
        generation: u64,
        renewal: Renewal,
    ) -> Result<Option<u64>, StoreError> {
        self.ask(EndRenewal { key, generation, renewal }).await
    }

    /// Notes that an account was disconnected in Kommo, even if it was never connected here: its requests are refused. Says
    /// whether it was noted: not if the account has another generation than `seen` by now, because someone connected it
    /// meanwhile.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn revoke_account(
        &self,
        key: AccountKey,
        seen: Option<u64>,
        reason: String,
    ) -> Result<bool, StoreError> {
        self.ask(Revoke { key, seen, reason }).await
    }

    /// Forgets an account and its tokens. Says whether there was one.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn remove_account(&self, key: AccountKey) -> Result<bool, StoreError> {
        self.ask(Remove { key }).await
    }

    /// Cancels the unfinished jobs of these accounts, with `why` as their last error; returns how many. It looks for them once, beside the writer, and cancels
    /// them in chunks, so that others get their turn in between.
    ///
    /// # Errors
    /// The store cannot be read or written; some may be cancelled.
    pub async fn cancel_accounts(
        &self,
        account_ids: &[AccountId],
        why: &'static str,
    ) -> Result<u64, StoreError> {
        if account_ids.is_empty() {
            return Ok(0);
        }
        let mut cancelled = 0;
        for some in unfinished(&self.0.reading, account_ids).await?.chunks(TOGETHER) {
            let now = self.moment();
            let asked = some.iter().map(|&id| self.ask(Cancel { id, now, why: Some(why) }));
            for answer in futures_util::future::join_all(asked).await {
                // One that ended meanwhile needs no cancelling.
                cancelled += u64::from(answer?.is_ok());
            }
        }
        Ok(cancelled)
    }

    /// How many deliveries wait for each origin.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn waiting_deliveries(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let mut waiting = Vec::new();
        for row in sqlx::query(lane_reload::DELIVERY).fetch_all(&self.0.reading).await? {
            let origin: String = row.try_get(0)?;
            let jobs: i64 = sqlx::query_scalar(WAITING).bind(&origin).fetch_one(&self.0.reading).await?;
            waiting.push((origin, u64::try_from(jobs).unwrap_or(0)));
        }
        Ok(waiting)
    }
}

/// Jobs that are cancelled at once: they share transactions, and leave room for others in them.
const TOGETHER: usize = 128;

pub(crate) const WAITING: &str =
    "SELECT count(*) FROM jobs WHERE state = 'delivering' AND lease_until IS NULL AND origin = ?";

/// What waits is found by its account; what is under way is as much as there are places for. The accounts are a JSON array.
pub(crate) const UNFINISHED: &str = "SELECT id FROM jobs WHERE due_at IS NOT NULL AND lease_until IS NULL \
     AND account_id IN (SELECT value FROM json_each(?1)) \
     UNION ALL SELECT id FROM jobs WHERE lease_until IS NOT NULL AND account_id IN (SELECT value FROM json_each(?1))";

async fn unfinished(pool: &SqlitePool, account_ids: &[AccountId]) -> Result<Vec<JobId>, StoreError> {
    let numbers: Vec<i64> = account_ids.iter().map(|account_id| account_id.0).collect();
    let rows =
        sqlx::query(UNFINISHED).bind(serde_json::Value::from(numbers).to_string()).fetch_all(pool).await?;
    rows.iter().map(|row| Ok(JobId::from_uuid(row.try_get(0)?))).collect()
}

async fn all(pool: &SqlitePool) -> Result<Vec<AccountRecord>, StoreError> {
    let rows = sqlx::query(
        "SELECT account_id, client_uuid, origin, previous_origin, state, reason, generation, key_id, access_token, \
         refresh_token, obtained_at, expires_at, connected_at FROM accounts ORDER BY account_id, client_uuid",
    )
    .fetch_all(pool)
    .await?;
    // A row that the program cannot have written must not keep the others' tokens from being used.
    let (good, bad): (Vec<_>, Vec<_>) = rows.iter().map(record).partition(Result::is_ok);
    for error in bad.into_iter().filter_map(Result::err) {
        tracing::error!(%error, "an account cannot be read; `accounts remove` and a new authorization fix it");
    }
    Ok(good.into_iter().flatten().collect())
}

async fn generations(pool: &SqlitePool) -> Result<Vec<(AccountKey, u64)>, StoreError> {
    let rows =
        sqlx::query("SELECT account_id, client_uuid, generation FROM accounts").fetch_all(pool).await?;
    rows.iter()
        .map(|row| {
            let generation: i64 = row.try_get("generation")?;
            Ok((key(row)?, u64::try_from(generation).unwrap_or(0)))
        })
        .collect()
}

fn key(row: &SqliteRow) -> Result<AccountKey, StoreError> {
    Ok(AccountKey {
        account_id: AccountId(row.try_get("account_id")?),
        client_uuid: shared(row.try_get("client_uuid")?),
    })
}

fn shared(text: &str) -> Arc<str> {
    text.into()
}

fn record(row: &SqliteRow) -> Result<AccountRecord, StoreError> {
    let key = key(row)?;
    let corrupt = |column, why: &str| StoreError::Corrupt {
        table: "accounts",
        column,
        id: format!("{} {}", key.account_id.0, key.client_uuid),
        why: why.to_owned(),
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
