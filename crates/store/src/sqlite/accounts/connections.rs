//! The commands that change connected accounts.
//!
//! Only one process renews tokens at a time: it holds a lease, and its write names the generation that it renewed. A
//! write that names another generation changes nothing.

use sqlx::{Row, SqliteConnection};

use model::{AccountKey, Timestamp};

use crate::sqlite::accounts::oauth_commands::{record_connected_account, settle_pending};
use crate::sqlite::write::command::Command;
use crate::sqlite::write::named::Named;
use crate::sqlite::write::post_commit::PostCommit;
use crate::sqlite::write::single_row::{Update, insert_row};
use crate::sqlite::write::statement::Values;
use crate::{Leased, NewConnection, Renewal, Role, StoreError};

/// Connects an account after an authorization: it becomes active, whatever its state was. Answers with its generation.
/// Answers `None` and changes nothing if the account is known at an address from which it may not move.
pub(crate) struct Connect {
    pub(crate) new: NewConnection,
    pub(crate) now: Timestamp,
}

insert_row! {
    /// The last value, after those of the row, is the address that the account may move away from.
    const CONNECT, fn push_connection(new: &NewConnection, now: Timestamp);
    let NewConnection { key, origin, tokens, .. } = new;
    "INSERT INTO accounts" {
        "account_id" => key.account_id.0,
        "client_uuid" => &*key.client_uuid,
        "origin" => &**origin,
        "state" = "'active'",
        "generation" = "1",
        "key_id" => tokens.key_id.as_str(),
        "access_token" => tokens.access.as_slice(),
        "refresh_token" => tokens.refresh.as_slice(),
        "obtained_at" => tokens.obtained_at.as_millis(),
        "expires_at" => tokens.expires_at.as_millis(),
        "connected_at" => now.as_millis(),
    }
    " ON CONFLICT (account_id, client_uuid) DO UPDATE SET \
             previous_origin = CASE WHEN origin <> excluded.origin THEN origin ELSE previous_origin END, \
             origin = excluded.origin, state = 'active', reason = NULL, generation = generation + 1, \
             key_id = excluded.key_id, access_token = excluded.access_token, refresh_token = excluded.refresh_token, \
             obtained_at = excluded.obtained_at, expires_at = excluded.expires_at, \
             renewing_until = NULL, renewing_by = NULL, connected_at = excluded.connected_at \
             WHERE origin IS NULL OR origin = excluded.origin OR origin = ? RETURNING generation"
}

impl Command for Connect {
    type Answer = Option<u64>;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: &mut PostCommit,
    ) -> Result<Option<u64>, StoreError> {
        let NewConnection { key, moves_from, state, .. } = &self.new;
        let mut values = Values::default();
        push_connection(&self.new, self.now, &mut values);
        values.push(moves_from.as_deref());
        let generation: Option<i64> =
            sqlx::query_scalar_with(CONNECT, values.checked()?).fetch_optional(&mut *connection).await?;
        let Some(generation) = generation else { return Ok(None) };
        // Any announced disconnection is older than this connection.
        settle_pending(connection, key).await?;
        if let Some(nonce) = *state {
            record_connected_account(connection, nonce, key.account_id).await?;
        }
        Ok(Some(u64::try_from(generation).unwrap_or(0)))
    }
}

/// Takes the lease for renewing the tokens of a generation.
pub(crate) struct LeaseRenewal {
    pub(crate) key: AccountKey,
    pub(crate) generation: u64,
    pub(crate) by: Role,
    pub(crate) steady: Timestamp,
    pub(crate) until: Timestamp,
}

impl Command for LeaseRenewal {
    type Answer = Leased;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: &mut PostCommit,
    ) -> Result<Leased, StoreError> {
        let row = Named::new(
            "SELECT renewing_until FROM accounts WHERE account_id = :account_id AND client_uuid = :client_uuid \
             AND generation = :generation AND state = 'active'",
        )
        .value("account_id", self.key.account_id.0)
        .value("client_uuid", &*self.key.client_uuid)
        .value("generation", stored(self.generation))
        .query()?
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row else { return Ok(Leased::Changed) };
        if let Some(until) = row.try_get::<Option<i64>, _>(0)?.map(Timestamp::from_millis)
            && until > self.steady
        {
            // A lease that was taken by our clock would end at `self.until` at the latest. So the holder used another
            // clock, and ours might take days to reach `until`. Shorten the lease to the usual length from now.
            if until > self.until {
                self.keep_until(connection, self.until).await?;
            }
            return Ok(Leased::Busy(until.min(self.until)));
        }
        let by = match self.by {
            Role::Owner => "owner",
            Role::Observer => "visitor",
        };
        Named::new(
            "UPDATE accounts SET renewing_until = :until, renewing_by = :by WHERE account_id = :account_id \
             AND client_uuid = :client_uuid AND generation = :generation AND state = 'active'",
        )
        .value("until", self.until.as_millis())
        .value("by", by)
        .value("account_id", self.key.account_id.0)
        .value("client_uuid", &*self.key.client_uuid)
        .value("generation", stored(self.generation))
        .query()?
        .execute(connection)
        .await?;
        Ok(Leased::Granted)
    }
}

impl LeaseRenewal {
    async fn keep_until(
        &self,
        connection: &mut SqliteConnection,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        Named::new(
            "UPDATE accounts SET renewing_until = :until WHERE account_id = :account_id \
             AND client_uuid = :client_uuid AND generation = :generation",
        )
        .value("until", until.as_millis())
        .value("account_id", self.key.account_id.0)
        .value("client_uuid", &*self.key.client_uuid)
        .value("generation", stored(self.generation))
        .query()?
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// Ends the renewal of a generation. Answers with the generation that is current from now on. Answers `None` and changes
/// nothing if the generation has changed in the meantime.
pub(crate) struct EndRenewal {
    pub(crate) key: AccountKey,
    pub(crate) generation: u64,
    pub(crate) renewal: Renewal,
}

const OF_GENERATION: &str =
    " WHERE account_id = ?1 AND client_uuid = ?2 AND generation = ?3 AND state = 'active'";

impl Command for EndRenewal {
    type Answer = Option<u64>;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: &mut PostCommit,
    ) -> Result<Option<u64>, StoreError> {
        let update = |set| {
            let key = &self.key;
            Update::new(set).value(key.account_id.0).value(&*key.client_uuid).value(stored(self.generation))
        };
        let (update, next) = match &self.renewal {
            Renewal::Renewed { origin, tokens } => (
                update(
                    "UPDATE accounts SET renewing_until = NULL, renewing_by = NULL, generation = generation + 1, \
                     previous_origin = CASE WHEN origin <> ?4 THEN origin ELSE previous_origin END",
                )
                .set("origin", &**origin)
                .set("key_id", &tokens.key_id)
                .set("access_token", &tokens.access)
                .set("refresh_token", &tokens.refresh)
                .set("obtained_at", tokens.obtained_at.as_millis())
                .set("expires_at", tokens.expires_at.as_millis()),
                self.generation + 1,
            ),
            Renewal::Failed => (
                update("UPDATE accounts SET renewing_until = NULL, renewing_by = NULL"),
                self.generation,
            ),
            Renewal::Stopped(authorization) => (
                update("UPDATE accounts SET renewing_until = NULL, renewing_by = NULL, generation = generation + 1")
                    .set("state", authorization.state().as_str())
                    .set("reason", authorization.reason())
                    .sql(
                        ", key_id = NULL, access_token = NULL, refresh_token = NULL, obtained_at = NULL, \
                         expires_at = NULL",
                    ),
                self.generation + 1,
            ),
        };
        let done = update.sql(OF_GENERATION).query()?.execute(connection).await?;
        Ok((done.rows_affected() == 1).then_some(next))
    }
}

/// Records that the account was disconnected in Kommo. The store remembers this even for an account that was never
/// connected, because its requests must be refused. Answers `false` and changes nothing if `seen` is not the account's
/// current generation.
pub(crate) struct Revoke {
    pub(crate) key: AccountKey,
    /// `None` for an account that is not in the store.
    pub(crate) seen: Option<u64>,
    pub(crate) reason: String,
}

impl Command for Revoke {
    type Answer = bool;

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut PostCommit) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO accounts (account_id, client_uuid, state, reason, generation) VALUES (?, ?, 'revoked', ?, 1) \
             ON CONFLICT (account_id, client_uuid) DO UPDATE SET state = 'revoked', reason = excluded.reason, \
             generation = generation + 1, key_id = NULL, access_token = NULL, refresh_token = NULL, obtained_at = NULL, \
             expires_at = NULL, renewing_until = NULL, renewing_by = NULL WHERE generation = ?",
        )
        .bind(self.key.account_id.0)
        .bind(&*self.key.client_uuid)
        .bind(&self.reason)
        .bind(self.seen.map(stored))
        .execute(&mut *connection)
        .await?;
        settle_pending(connection, &self.key).await?;
        Ok(done.rows_affected() == 1)
    }
}

/// Deletes an account. Answers whether it existed.
pub(crate) struct Remove {
    pub(crate) key: AccountKey,
}

impl Command for Remove {
    type Answer = bool;

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut PostCommit) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM accounts WHERE account_id = ? AND client_uuid = ?")
            .bind(self.key.account_id.0)
            .bind(&*self.key.client_uuid)
            .execute(&mut *connection)
            .await?;
        settle_pending(connection, &self.key).await?;
        Ok(done.rows_affected() == 1)
    }
}

/// Ends the leases of an owner that died during a renewal, so that this owner can renew at once. The old tokens still
/// work.
pub(crate) struct FreeRenewals;

impl Command for FreeRenewals {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut PostCommit) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE accounts SET renewing_until = NULL, renewing_by = NULL WHERE renewing_by = 'owner'",
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

fn stored(generation: u64) -> i64 {
    i64::try_from(generation).unwrap_or(i64::MAX)
}
