//! The commands that change connected accounts.
//!
//! Only one process renews tokens at a time: it holds a lease, and its write names the generation that it renewed. A
//! write that names another generation changes nothing.

use model::{AccountId, AccountKey, Timestamp};

use crate::jobs::actions::NewAction;
use crate::sqlite::accounts::oauth_commands::{record_connected_account, settle_pending};
use crate::sqlite::actions;
use crate::sqlite::write::bind::{execute, query};
use crate::sqlite::write::command::Command;
use crate::sqlite::write::insert::insert_row;
use crate::sqlite::write::transaction::Transaction;
use crate::{ActionKind, Actor, Leased, NewConnection, Renewal, Role, StoreError};

/// Connects an account after an authorization: it becomes active, whatever its state was. Answers with its generation.
/// Answers `None` and changes nothing if the account is known at an address from which it may not move.
pub(crate) struct Connect {
    pub(crate) new: NewConnection,
    pub(crate) now: Timestamp,
}

insert_row! {
    /// The last value, after those of the row, is the address that the account may move away from.
    const CONNECT, fn bind_connection(new: &NewConnection, now: Timestamp);
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

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Option<u64>, StoreError> {
        let NewConnection { key, origin, moves_from, state, by, .. } = &self.new;
        let mut statement = transaction.prepare_cached(CONNECT)?;
        let last = bind_connection(&self.new, self.now, &mut statement)?;
        statement.raw_bind_parameter(last, moves_from.as_deref())?;
        let generation: Option<i64> = statement.raw_query().next()?.map(|row| row.get(0)).transpose()?;
        let Some(generation) = generation else { return Ok(None) };
        // Any announced disconnection is older than this connection.
        settle_pending(transaction, key)?;
        if let Some(nonce) = *state {
            record_connected_account(transaction, nonce, key.account_id)?;
        }
        if let Some(by) = by {
            let target = account_named(Some(origin), key.account_id);
            actions::record(transaction, &NewAction::on(by, ActionKind::AccountsConfirm, target))?;
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

const RENEWING_UNTIL: &str = "SELECT renewing_until FROM accounts WHERE account_id = :account_id \
     AND client_uuid = :client_uuid AND generation = :generation AND state = 'active'";
const LEASE: &str = "UPDATE accounts SET renewing_until = :until, renewing_by = :by WHERE account_id = :account_id \
     AND client_uuid = :client_uuid AND generation = :generation AND state = 'active'";
const SHORTEN: &str = "UPDATE accounts SET renewing_until = :until WHERE account_id = :account_id \
     AND client_uuid = :client_uuid AND generation = :generation";

impl Command for LeaseRenewal {
    type Answer = Leased;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Leased, StoreError> {
        let (account_id, client_uuid) = (self.key.account_id.0, &*self.key.client_uuid);
        let (generation, until) = (stored(self.generation), self.until.as_millis());
        let found: Vec<Option<i64>> = query!(transaction, RENEWING_UNTIL, {
            "account_id" => account_id,
            "client_uuid" => client_uuid,
            "generation" => generation,
        }, |row| row.get(0));
        let Some(held) = found.first() else { return Ok(Leased::Changed) };
        if let Some(held) = held.map(Timestamp::from_millis)
            && held > self.steady
        {
            // A lease that was taken by our clock would end at `self.until` at the latest. So the holder used another
            // clock, and ours might take days to reach `held`. Shorten the lease to the usual length from now.
            if held > self.until {
                execute!(transaction, SHORTEN, {
                    "until" => until,
                    "account_id" => account_id,
                    "client_uuid" => client_uuid,
                    "generation" => generation,
                });
            }
            return Ok(Leased::Busy(held.min(self.until)));
        }
        let by = match self.by {
            Role::Owner => "owner",
            Role::Observer => "visitor",
        };
        execute!(transaction, LEASE, {
            "until" => until,
            "by" => by,
            "account_id" => account_id,
            "client_uuid" => client_uuid,
            "generation" => generation,
        });
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
            " WHERE account_id = :account_id AND client_uuid = :client_uuid AND generation = :generation \
             AND state = 'active'"
        )
    };
}

const RENEWED: &str = end_renewal!(
    ", generation = generation + 1, \
     previous_origin = CASE WHEN origin <> :origin THEN origin ELSE previous_origin END, origin = :origin, \
     key_id = :key_id, access_token = :access_token, refresh_token = :refresh_token, obtained_at = :obtained_at, \
     expires_at = :expires_at"
);
const RENEWAL_FAILED: &str = end_renewal!("");
const STOPPED: &str = end_renewal!(
    ", generation = generation + 1, state = :state, reason = :reason, key_id = NULL, access_token = NULL, \
     refresh_token = NULL, obtained_at = NULL, expires_at = NULL"
);

impl Command for EndRenewal {
    type Answer = Option<u64>;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Option<u64>, StoreError> {
        let (account_id, client_uuid) = (self.key.account_id.0, &*self.key.client_uuid);
        let generation = stored(self.generation);
        let (changed, next) = match &self.renewal {
            Renewal::Renewed { origin, tokens } => {
                let changed = execute!(transaction, RENEWED, {
                    "origin" => &**origin,
                    "key_id" => &tokens.key_id,
                    "access_token" => &tokens.access,
                    "refresh_token" => &tokens.refresh,
                    "obtained_at" => tokens.obtained_at.as_millis(),
                    "expires_at" => tokens.expires_at.as_millis(),
                    "account_id" => account_id,
                    "client_uuid" => client_uuid,
                    "generation" => generation,
                });
                (changed, self.generation + 1)
            }
            Renewal::Failed => {
                let changed = execute!(transaction, RENEWAL_FAILED, {
                    "account_id" => account_id,
                    "client_uuid" => client_uuid,
                    "generation" => generation,
                });
                (changed, self.generation)
            }
            Renewal::Stopped(authorization) => {
                let changed = execute!(transaction, STOPPED, {
                    "state" => authorization.state().as_str(),
                    "reason" => authorization.reason(),
                    "account_id" => account_id,
                    "client_uuid" => client_uuid,
                    "generation" => generation,
                });
                (changed, self.generation + 1)
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

const REVOKE: &str = "INSERT INTO accounts (account_id, client_uuid, state, reason, generation) \
     VALUES (:account_id, :client_uuid, 'revoked', :reason, 1) \
     ON CONFLICT (account_id, client_uuid) DO UPDATE SET state = 'revoked', reason = excluded.reason, \
     generation = generation + 1, key_id = NULL, access_token = NULL, refresh_token = NULL, obtained_at = NULL, \
     expires_at = NULL, renewing_until = NULL, renewing_by = NULL WHERE generation = :seen";

impl Command for Revoke {
    type Answer = bool;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let changed = execute!(transaction, REVOKE, {
            "account_id" => self.key.account_id.0,
            "client_uuid" => &*self.key.client_uuid,
            "reason" => &self.reason,
            "seen" => self.seen.map(stored),
        });
        settle_pending(transaction, &self.key)?;
        Ok(changed == 1)
    }
}

const REMOVE: &str =
    "DELETE FROM accounts WHERE account_id = :account_id AND client_uuid = :client_uuid RETURNING origin";

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

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let removed = query!(transaction, REMOVE, {
            "account_id" => self.key.account_id.0,
            "client_uuid" => &*self.key.client_uuid,
        }, |row| row.get::<_, Option<String>>(0));
        settle_pending(transaction, &self.key)?;
        let Some(origin) = removed.into_iter().next() else { return Ok(false) };
        let target = account_named(origin.as_deref(), self.key.account_id);
        actions::record(transaction, &NewAction::on(&self.by, ActionKind::AccountsRemove, target))?;
        Ok(true)
    }
}

/// Ends the leases of an owner that died during a renewal, so that this owner can renew at once. The old tokens still
/// work.
pub(crate) struct FreeRenewals;

impl Command for FreeRenewals {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let sql = "UPDATE accounts SET renewing_until = NULL, renewing_by = NULL WHERE renewing_by = 'owner'";
        transaction.execute(sql, ())?;
        Ok(())
    }
}

fn stored(generation: u64) -> i64 {
    i64::try_from(generation).unwrap_or(i64::MAX)
}
