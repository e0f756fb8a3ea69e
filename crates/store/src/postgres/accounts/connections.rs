//! The commands that change connected accounts.
//!
//! Only one process renews tokens at a time: it holds a lease, and its write names the generation that it renewed. A
//! write that names another generation changes nothing.

use sqlx::Row;

use model::{AccountId, AccountKey, Timestamp};

use crate::jobs::actions::NewAction;
use crate::postgres::accounts::oauth_commands::{record_connected_account, settle_pending};
use crate::postgres::actions;
use crate::postgres::write::command::Command;
use crate::postgres::write::text::storable;
use crate::postgres::write::transaction::Transaction;
use crate::{ActionKind, Actor, Leased, NewConnection, Renewal, Role, StoreError};

/// Connects an account after an authorization: it becomes active, whatever its state was. Answers with its generation.
/// Answers `None` and changes nothing if the account is known at an address from which it may not move.
pub(crate) struct Connect {
    pub(crate) new: NewConnection,
    pub(crate) now: Timestamp,
}

/// The last value is the address that the account may move away from.
pub(crate) const CONNECT: &str = "INSERT INTO accounts (account_id, client_uuid, origin, state, generation, key_id, access_token, \
     refresh_token, obtained_at, expires_at, connected_at) VALUES ($1, $2, $3, 'active', 1, $4, $5, $6, $7, $8, $9) \
     ON CONFLICT (account_id, client_uuid) DO UPDATE SET \
     previous_origin = CASE WHEN accounts.origin <> excluded.origin THEN accounts.origin ELSE accounts.previous_origin END, \
     origin = excluded.origin, state = 'active', reason = NULL, generation = accounts.generation + 1, \
     key_id = excluded.key_id, access_token = excluded.access_token, refresh_token = excluded.refresh_token, \
     obtained_at = excluded.obtained_at, expires_at = excluded.expires_at, \
     renewing_until = NULL, renewing_by = NULL, connected_at = excluded.connected_at \
     WHERE accounts.origin IS NULL OR accounts.origin = excluded.origin OR accounts.origin = $10 RETURNING generation";

impl Command for Connect {
    type Answer = Option<u64>;

    async fn apply(&self, transaction: &mut Transaction) -> Result<Option<u64>, StoreError> {
        let NewConnection { key, origin, tokens, moves_from, state, by } = &self.new;
        let connect = sqlx::query(CONNECT)
            .bind(key.account_id.0)
            .bind(&*key.client_uuid)
            .bind(&**origin)
            .bind(&*tokens.key_id)
            .bind(&*tokens.access)
            .bind(&*tokens.refresh)
            .bind(tokens.obtained_at.as_millis())
            .bind(tokens.expires_at.as_millis())
            .bind(self.now.as_millis())
            .bind(moves_from.as_deref());
        let rows = transaction.change(connect).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let generation: i64 = row.try_get(0)?;
        // Any announced disconnection is older than this connection.
        settle_pending(transaction, key).await?;
        if let Some(nonce) = *state {
            record_connected_account(transaction, nonce, key.account_id).await?;
        }
        if let Some(by) = by {
            let target = account_named(Some(origin), key.account_id);
            actions::record(transaction, &NewAction::on(by, ActionKind::AccountsConfirm, target)).await?;
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

/// Locks the row, because another process may take the lease at the same time.
pub(crate) const RENEWING_UNTIL: &str = "SELECT renewing_until FROM accounts WHERE account_id = $1 AND client_uuid = $2 \
     AND generation = $3 AND state = 'active' FOR UPDATE";
pub(crate) const LEASE: &str = "UPDATE accounts SET renewing_until = $4, renewing_by = $5 WHERE account_id = $1 \
     AND client_uuid = $2 AND generation = $3 AND state = 'active'";
pub(crate) const SHORTEN: &str =
    "UPDATE accounts SET renewing_until = $4 WHERE account_id = $1 AND client_uuid = $2 AND generation = $3";

impl Command for LeaseRenewal {
    type Answer = Leased;

    async fn apply(&self, transaction: &mut Transaction) -> Result<Leased, StoreError> {
        let until = self.until.as_millis();
        let found = transaction.read(of_generation(RENEWING_UNTIL, &self.key, self.generation)).await?;
        let Some(found) = found.first() else { return Ok(Leased::Changed) };
        let held: Option<i64> = found.try_get(0)?;
        if let Some(held) = held.map(Timestamp::from_millis)
            && held > self.steady
        {
            // A lease that was taken by our clock would end at `self.until` at the latest. So the holder used another
            // clock, and ours might take days to reach `held`. Shorten the lease to the usual length from now.
            if held > self.until {
                let shorten = of_generation(SHORTEN, &self.key, self.generation).bind(until);
                transaction.execute(shorten).await?;
            }
            return Ok(Leased::Busy(held.min(self.until)));
        }
        let by = match self.by {
            Role::Owner => "owner",
            Role::Observer => "visitor",
        };
        let lease = of_generation(LEASE, &self.key, self.generation).bind(until).bind(by);
        transaction.execute(lease).await?;
        Ok(Leased::Granted)
    }
}

/// Ends the renewal of a generation. Answers with the generation that is current from now on. Answers `None` and changes
/// nothing if the generation has changed in the meantime.
pub(crate) struct EndRenewal {
    pub(crate) key: AccountKey,
    pub(crate) generation: u64,
    pub(crate) renewal: Renewal,
}

/// Expands to the SQL that ends the renewal of one generation of an active account, and sets `$set`.
macro_rules! end_renewal {
    ($set:literal) => {
        concat!(
            "UPDATE accounts SET renewing_until = NULL, renewing_by = NULL",
            $set,
            " WHERE account_id = $1 AND client_uuid = $2 AND generation = $3 AND state = 'active'"
        )
    };
}

pub(crate) const RENEWED: &str = end_renewal!(
    ", generation = generation + 1, \
     previous_origin = CASE WHEN origin <> $4 THEN origin ELSE previous_origin END, origin = $4, \
     key_id = $5, access_token = $6, refresh_token = $7, obtained_at = $8, expires_at = $9"
);
pub(crate) const RENEWAL_FAILED: &str = end_renewal!("");
pub(crate) const STOPPED: &str = end_renewal!(
    ", generation = generation + 1, state = $4, reason = $5, key_id = NULL, access_token = NULL, \
     refresh_token = NULL, obtained_at = NULL, expires_at = NULL"
);

impl Command for EndRenewal {
    type Answer = Option<u64>;

    async fn apply(&self, transaction: &mut Transaction) -> Result<Option<u64>, StoreError> {
        let of = |sql| of_generation(sql, &self.key, self.generation);
        let (changed, next) = match &self.renewal {
            Renewal::Renewed { origin, tokens } => {
                let renewed = of(RENEWED)
                    .bind(&**origin)
                    .bind(&*tokens.key_id)
                    .bind(&*tokens.access)
                    .bind(&*tokens.refresh)
                    .bind(tokens.obtained_at.as_millis())
                    .bind(tokens.expires_at.as_millis());
                (transaction.execute(renewed).await?, self.generation + 1)
            }
            Renewal::Failed => (transaction.execute(of(RENEWAL_FAILED)).await?, self.generation),
            Renewal::Stopped(authorization) => {
                let reason = authorization.reason().map(storable);
                let stopped = of(STOPPED).bind(authorization.state().as_str()).bind(reason.as_deref());
                (transaction.execute(stopped).await?, self.generation + 1)
            }
        };
        Ok((changed == 1).then_some(next))
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

pub(crate) const REVOKE: &str = "INSERT INTO accounts (account_id, client_uuid, state, reason, generation) \
     VALUES ($1, $2, 'revoked', $3, 1) \
     ON CONFLICT (account_id, client_uuid) DO UPDATE SET state = 'revoked', reason = excluded.reason, \
     generation = accounts.generation + 1, key_id = NULL, access_token = NULL, refresh_token = NULL, obtained_at = NULL, \
     expires_at = NULL, renewing_until = NULL, renewing_by = NULL WHERE accounts.generation = $4";

impl Command for Revoke {
    type Answer = bool;

    async fn apply(&self, transaction: &mut Transaction) -> Result<bool, StoreError> {
        let revoke = sqlx::query(REVOKE)
            .bind(self.key.account_id.0)
            .bind(&*self.key.client_uuid)
            .bind(storable(&self.reason))
            .bind(self.seen.map(stored));
        let changed = transaction.execute(revoke).await?;
        settle_pending(transaction, &self.key).await?;
        Ok(changed == 1)
    }
}

pub(crate) const REMOVE: &str =
    "DELETE FROM accounts WHERE account_id = $1 AND client_uuid = $2 RETURNING origin";

/// Returns the host of an account, or its number.
fn account_named(origin: Option<&str>, account_id: AccountId) -> String {
    let host = origin.and_then(|origin| origin.split_once("://")).map(|(_scheme, host)| host);
    host.map_or_else(|| account_id.to_string(), str::to_owned)
}

/// Deletes an account. Answers whether it existed.
pub(crate) struct Remove {
    pub(crate) key: AccountKey,
    pub(crate) by: Actor,
}

impl Command for Remove {
    type Answer = bool;

    async fn apply(&self, transaction: &mut Transaction) -> Result<bool, StoreError> {
        let remove = sqlx::query(REMOVE).bind(self.key.account_id.0).bind(&*self.key.client_uuid);
        let removed = transaction.change(remove).await?;
        settle_pending(transaction, &self.key).await?;
        let Some(row) = removed.first() else { return Ok(false) };
        let origin: Option<String> = row.try_get(0)?;
        let target = account_named(origin.as_deref(), self.key.account_id);
        actions::record(transaction, &NewAction::on(&self.by, ActionKind::AccountsRemove, target)).await?;
        Ok(true)
    }
}

pub(crate) const FREE_RENEWALS: &str =
    "UPDATE accounts SET renewing_until = NULL, renewing_by = NULL WHERE renewing_by = 'owner'";

/// Ends the leases of an owner that died during a renewal, so that this owner can renew at once. The old tokens still
/// work.
pub(crate) struct FreeRenewals;

impl Command for FreeRenewals {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        transaction.execute(sqlx::query(FREE_RENEWALS)).await?;
        Ok(())
    }
}

type PgQuery<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// Binds the first three values: account, integration and generation.
fn of_generation<'q>(sql: &'static str, key: &'q AccountKey, generation: u64) -> PgQuery<'q> {
    sqlx::query(sql).bind(key.account_id.0).bind(&*key.client_uuid).bind(stored(generation))
}

fn stored(generation: u64) -> i64 {
    i64::try_from(generation).unwrap_or(i64::MAX)
}
