//! The commands that change the OAuth tables apart from the accounts.

use sqlx::{Row, SqliteConnection};

use model::{AccountId, AccountKey, Timestamp};

use crate::sqlite::write::command::Command;
use crate::sqlite::write::named::Named;
use crate::sqlite::write::post_commit::PostCommit;
use crate::sqlite::write::single_row::insert_row;
use crate::sqlite::write::statement::Values;
use crate::time::Moment;
use crate::{CodeLimits, NewCode, Pair, SealedCode, StateUse, StoreError};

/// Stores pairs of account and address.
pub(crate) struct AddPairs(pub(crate) Vec<Pair>);

impl Command for AddPairs {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut PostCommit) -> Result<(), StoreError> {
        for Pair { client_uuid, origin, account_id } in &self.0 {
            sqlx::query(
                "INSERT INTO account_origins (client_uuid, origin, account_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(&**client_uuid)
            .bind(&**origin)
            .bind(account_id.0)
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }
}

/// Stores a code, and deletes codes that have expired or exceed the limits.
pub(crate) struct KeepCode {
    pub(crate) code: NewCode,
    pub(crate) limits: CodeLimits,
    pub(crate) now: Moment,
}

insert_row! {
    const KEEP_CODE, fn push_code(code: &NewCode, now: Moment);
    "INSERT INTO oauth_codes" {
        "client_uuid" => &*code.client_uuid,
        "origin" => &*code.origin,
        "key_id" => code.sealed.key_id.as_str(),
        "code" => code.sealed.code.as_slice(),
        "received_at" => code.received_at.as_millis(),
        "expires_at" => code.expires_at.as_millis(),
        "expires_service_at" => now.service_at(code.expires_at).as_millis(),
    }
}

/// Deletes the codes of one integration at one address, except this number of the newest.
const DROP_OF_ORIGIN: &str = "DELETE FROM oauth_codes WHERE id IN (SELECT id FROM oauth_codes WHERE client_uuid = :client_uuid AND \
     origin = :origin ORDER BY id DESC LIMIT -1 OFFSET :kept)";
/// Deletes the oldest code of the address with the most codes, if there are more than this number in total.
const DROP_OF_FULLEST: &str = "DELETE FROM oauth_codes WHERE (SELECT count(*) FROM oauth_codes) > ?1 AND id = ( \
     SELECT min(id) FROM oauth_codes GROUP BY client_uuid, origin ORDER BY count(*) DESC, min(id) LIMIT 1)";

impl Command for KeepCode {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut PostCommit) -> Result<(), StoreError> {
        let Self { code, limits, now } = self;
        sqlx::query("DELETE FROM oauth_codes WHERE expires_at <= ? AND expires_service_at <= ?")
            .bind(now.calendar.as_millis())
            .bind(now.service.as_millis())
            .execute(&mut *connection)
            .await?;
        let mut values = Values::default();
        push_code(code, *now, &mut values);
        sqlx::query_with(KEEP_CODE, values.checked()?).execute(&mut *connection).await?;
        Named::new(DROP_OF_ORIGIN)
            .value("client_uuid", &*code.client_uuid)
            .value("origin", &*code.origin)
            .value("kept", limits.per_origin)
            .query()?
            .execute(&mut *connection)
            .await?;
        sqlx::query(DROP_OF_FULLEST).bind(limits.total).execute(connection).await?;
        Ok(())
    }
}

/// Removes a code and answers with it.
pub(crate) struct TakeCode {
    pub(crate) id: i64,
}

impl Command for TakeCode {
    type Answer = Option<SealedCode>;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: &mut PostCommit,
    ) -> Result<Option<SealedCode>, StoreError> {
        let row = sqlx::query("DELETE FROM oauth_codes WHERE id = ? RETURNING key_id, code")
            .bind(self.id)
            .fetch_optional(connection)
            .await?;
        row.map(|row| Ok(SealedCode { key_id: row.try_get(0)?, code: row.try_get(1)? })).transpose()
    }
}

/// Uses the `state` of a link for a code.
pub(crate) struct UseState {
    pub(crate) nonce: [u8; 16],
    pub(crate) code_hash: [u8; 32],
    pub(crate) until: Timestamp,
    pub(crate) now: Moment,
}

impl Command for UseState {
    type Answer = StateUse;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: &mut PostCommit,
    ) -> Result<StateUse, StoreError> {
        // Setting the clock back must not make a used link valid again. So a row stays for one hour, the lifetime of a
        // link, after its link has expired.
        let over = self.now.cutoff(std::time::Duration::from_secs(60 * 60));
        sqlx::query("DELETE FROM oauth_states WHERE expires_at < ? AND expires_service_at < ?")
            .bind(over.calendar.as_millis())
            .bind(over.service.as_millis())
            .execute(&mut *connection)
            .await?;
        let known = sqlx::query("SELECT code_hash, account_id FROM oauth_states WHERE nonce = ?")
            .bind(&self.nonce[..])
            .fetch_optional(&mut *connection)
            .await?;
        if let Some(row) = known {
            let code_hash: &[u8] = row.try_get(0)?;
            let account_id: Option<i64> = row.try_get(1)?;
            return Ok(match account_id {
                _ if code_hash != self.code_hash => StateUse::OtherCode,
                Some(account_id) => StateUse::Connected(AccountId(account_id)),
                None => StateUse::Granted,
            });
        }
        sqlx::query(
            "INSERT INTO oauth_states (nonce, code_hash, expires_at, expires_service_at) VALUES (?, ?, ?, ?)",
        )
        .bind(&self.nonce[..])
        .bind(&self.code_hash[..])
        .bind(self.until.as_millis())
        .bind(self.now.service_at(self.until).as_millis())
        .execute(connection)
        .await?;
        Ok(StateUse::Granted)
    }
}

/// Records the account that a link connected.
pub(crate) async fn record_connected_account(
    connection: &mut SqliteConnection,
    nonce: [u8; 16],
    account_id: AccountId,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE oauth_states SET account_id = ? WHERE nonce = ?")
        .bind(account_id.0)
        .bind(&nonce[..])
        .execute(connection)
        .await?;
    Ok(())
}

/// Records a call that announces that an account was disconnected. Answers whether it is the first one.
pub(crate) struct NoteRevocation {
    pub(crate) key: AccountKey,
    pub(crate) pending: bool,
    pub(crate) now: Timestamp,
}

impl Command for NoteRevocation {
    type Answer = bool;

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut PostCommit) -> Result<bool, StoreError> {
        let now = self.now.as_millis();
        let inserted = sqlx::query(
            "INSERT INTO revocation_calls (account_id, client_uuid, first_at, pending_at) VALUES (?, ?, ?, ?) \
             ON CONFLICT DO NOTHING",
        )
        .bind(self.key.account_id.0)
        .bind(&*self.key.client_uuid)
        .bind(now)
        .bind(self.pending.then_some(now))
        .execute(&mut *connection)
        .await?;
        if inserted.rows_affected() == 1 {
            return Ok(true);
        }
        if self.pending {
            // A call that already waits keeps its time. A later call gets a time after `first_at`, because equal times
            // mark the first call.
            Named::new(
                "UPDATE revocation_calls SET pending_at = coalesce(pending_at, max(:now, first_at + 1)) \
                 WHERE account_id = :account_id AND client_uuid = :client_uuid",
            )
            .value("now", now)
            .value("account_id", self.key.account_id.0)
            .value("client_uuid", &*self.key.client_uuid)
            .query()?
            .execute(connection)
            .await?;
        }
        Ok(false)
    }
}

/// Settles the pending call of this account.
pub(crate) struct SettleRevocation {
    pub(crate) key: AccountKey,
}

impl Command for SettleRevocation {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut PostCommit) -> Result<(), StoreError> {
        settle_pending(connection, &self.key).await
    }
}

/// Marks the pending call of this account as settled.
pub(crate) async fn settle_pending(
    connection: &mut SqliteConnection,
    key: &AccountKey,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE revocation_calls SET pending_at = NULL WHERE account_id = ? AND client_uuid = ?")
        .bind(key.account_id.0)
        .bind(&*key.client_uuid)
        .execute(connection)
        .await?;
    Ok(())
}
