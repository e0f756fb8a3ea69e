//! The commands that change the OAuth tables apart from the accounts.

use rusqlite::{Connection, OptionalExtension};

use model::{AccountId, AccountKey, Timestamp};

use crate::sqlite::write::bind::execute;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::insert::insert_row;
use crate::sqlite::write::transaction::Transaction;
use crate::time::Moment;
use crate::{CodeLimits, NewCode, Pair, SealedCode, StateUse, StoreError};

/// Stores pairs of account and address.
pub(crate) struct AddPairs(pub(crate) Vec<Pair>);

impl Command for AddPairs {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let mut statement = transaction.prepare_cached(
            "INSERT INTO account_origins (client_uuid, origin, account_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        )?;
        for Pair { client_uuid, origin, account_id } in &self.0 {
            statement.execute((&**client_uuid, &**origin, account_id.0))?;
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
    const KEEP_CODE, fn bind_code(code: &NewCode, now: Moment);
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
const DROP_OF_FULLEST: &str = "DELETE FROM oauth_codes WHERE (SELECT count(*) FROM oauth_codes) > :kept AND id = ( \
     SELECT min(id) FROM oauth_codes GROUP BY client_uuid, origin ORDER BY count(*) DESC, min(id) LIMIT 1)";

impl Command for KeepCode {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let Self { code, limits, now } = self;
        let (calendar, service) = (now.calendar.as_millis(), now.service.as_millis());
        let expired = "DELETE FROM oauth_codes WHERE expires_at <= ? AND expires_service_at <= ?";
        transaction.execute(expired, (calendar, service))?;
        let mut insert = transaction.prepare_cached(KEEP_CODE)?;
        bind_code(code, *now, &mut insert)?;
        insert.raw_execute()?;
        execute!(transaction, DROP_OF_ORIGIN, {
            "client_uuid" => &*code.client_uuid,
            "origin" => &*code.origin,
            "kept" => limits.per_origin,
        });
        execute!(transaction, DROP_OF_FULLEST, { "kept" => limits.total });
        Ok(())
    }
}

/// Removes a code and answers with it.
pub(crate) struct TakeCode {
    pub(crate) id: i64,
}

impl Command for TakeCode {
    type Answer = Option<SealedCode>;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Option<SealedCode>, StoreError> {
        let sql = "DELETE FROM oauth_codes WHERE id = ? RETURNING key_id, code";
        let mut statement = transaction.prepare_cached(sql)?;
        let code = |row: &rusqlite::Row<'_>| Ok(SealedCode { key_id: row.get(0)?, code: row.get(1)? });
        Ok(statement.query_one([self.id], code).optional()?)
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

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<StateUse, StoreError> {
        // Setting the clock back must not make a used link valid again. So a row stays for one hour, the lifetime of a
        // link, after its link has expired.
        let over = self.now.cutoff(std::time::Duration::from_secs(60 * 60));
        let expired = "DELETE FROM oauth_states WHERE expires_at < ? AND expires_service_at < ?";
        transaction.execute(expired, (over.calendar.as_millis(), over.service.as_millis()))?;
        let mut known =
            transaction.prepare_cached("SELECT code_hash, account_id FROM oauth_states WHERE nonce = ?")?;
        let known = known.query_one([self.nonce], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let known: Option<(Vec<u8>, Option<i64>)> = known;
        if let Some((code_hash, account_id)) = known {
            return Ok(match account_id {
                _ if code_hash != self.code_hash => StateUse::OtherCode,
                Some(account_id) => StateUse::Connected(AccountId(account_id)),
                None => StateUse::Granted,
            });
        }
        transaction.execute(
            "INSERT INTO oauth_states (nonce, code_hash, expires_at, expires_service_at) VALUES (?, ?, ?, ?)",
            (self.nonce, self.code_hash, self.until.as_millis(), self.now.service_at(self.until).as_millis()),
        )?;
        Ok(StateUse::Granted)
    }
}

/// Records the account that a link connected.
pub(crate) fn record_connected_account(
    connection: &Connection,
    nonce: [u8; 16],
    account_id: AccountId,
) -> Result<(), StoreError> {
    connection.execute("UPDATE oauth_states SET account_id = ? WHERE nonce = ?", (account_id.0, nonce))?;
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

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<bool, StoreError> {
        const INSERT: &str = "INSERT INTO revocation_calls (account_id, client_uuid, first_at, pending_at) \
             VALUES (:account_id, :client_uuid, :now, :pending_at) ON CONFLICT DO NOTHING";
        // A call that already waits keeps its time. A later call gets a time after `first_at`, because equal times
        // mark the first call.
        const REPEAT: &str = "UPDATE revocation_calls SET pending_at = coalesce(pending_at, max(:now, first_at + 1)) \
             WHERE account_id = :account_id AND client_uuid = :client_uuid";
        let (now, account_id, client_uuid) =
            (self.now.as_millis(), self.key.account_id.0, &*self.key.client_uuid);
        let inserted = execute!(transaction, INSERT, {
            "account_id" => account_id,
            "client_uuid" => client_uuid,
            "now" => now,
            "pending_at" => self.pending.then_some(now),
        });
        if inserted == 0 && self.pending {
            execute!(transaction, REPEAT, { "now" => now, "account_id" => account_id, "client_uuid" => client_uuid });
        }
        Ok(inserted == 1)
    }
}

/// Settles the pending call of this account.
pub(crate) struct SettleRevocation {
    pub(crate) key: AccountKey,
}

impl Command for SettleRevocation {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        settle_pending(transaction, &self.key)
    }
}

/// Marks the pending call of this account as settled.
pub(crate) fn settle_pending(connection: &Connection, key: &AccountKey) -> Result<(), StoreError> {
    let sql = "UPDATE revocation_calls SET pending_at = NULL WHERE account_id = ? AND client_uuid = ?";
    connection.execute(sql, (key.account_id.0, &*key.client_uuid))?;
    Ok(())
}
