//! The commands that change the OAuth tables apart from the accounts.

use std::time::Duration;

use sqlx::Row;

use model::{AccountId, AccountKey, Timestamp};

use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;
use crate::time::Moment;
use crate::{CodeLimits, NewCode, Pair, SealedCode, StateUse, StoreError};

pub(crate) const ADD_PAIRS: &str = "INSERT INTO account_origins (client_uuid, origin, account_id) \
     SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[]) ON CONFLICT DO NOTHING";

/// Stores pairs of account and address.
pub(crate) struct AddPairs(Vec<Pair>);

impl AddPairs {
    /// Sorts the pairs, so that two processes that add the same ones do not wait for each other in a circle.
    pub(crate) fn new(mut pairs: Vec<Pair>) -> Self {
        pairs.sort();
        Self(pairs)
    }
}

impl Command for AddPairs {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let clients: Vec<&str> = self.0.iter().map(|pair| &*pair.client_uuid).collect();
        let origins: Vec<&str> = self.0.iter().map(|pair| &*pair.origin).collect();
        let accounts: Vec<i64> = self.0.iter().map(|pair| pair.account_id.0).collect();
        transaction.execute(sqlx::query(ADD_PAIRS).bind(clients).bind(origins).bind(accounts)).await?;
        Ok(())
    }
}

/// Stores a code, and deletes codes that have expired or exceed the limits.
pub(crate) struct KeepCode {
    pub(crate) code: NewCode,
    pub(crate) limits: CodeLimits,
    pub(crate) now: Moment,
}

pub(crate) const DROP_EXPIRED_CODES: &str =
    "DELETE FROM oauth_codes WHERE expires_at <= $1 AND expires_service_at <= $2";
pub(crate) const KEEP_CODE: &str = "INSERT INTO oauth_codes (client_uuid, origin, key_id, code, received_at, expires_at, \
     expires_service_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
/// Deletes the codes of one integration at one address, except this number of the newest.
pub(crate) const DROP_OF_ORIGIN: &str = "DELETE FROM oauth_codes WHERE id IN (SELECT id FROM oauth_codes \
     WHERE client_uuid = $1 AND origin = $2 ORDER BY id DESC OFFSET $3)";
/// Deletes the oldest code of the address with the most codes, if there are more than this number in total.
pub(crate) const DROP_OF_FULLEST: &str = "DELETE FROM oauth_codes WHERE (SELECT count(*) FROM oauth_codes) > $1 AND id = ( \
     SELECT min(id) FROM oauth_codes GROUP BY client_uuid, origin ORDER BY count(*) DESC, min(id) LIMIT 1)";

impl Command for KeepCode {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let Self { code, limits, now } = self;
        let (calendar, service) = (now.calendar.as_millis(), now.service.as_millis());
        transaction.execute(sqlx::query(DROP_EXPIRED_CODES).bind(calendar).bind(service)).await?;
        let keep = sqlx::query(KEEP_CODE)
            .bind(&*code.client_uuid)
            .bind(&*code.origin)
            .bind(&*code.sealed.key_id)
            .bind(&*code.sealed.code)
            .bind(code.received_at.as_millis())
            .bind(code.expires_at.as_millis())
            .bind(now.service_at(code.expires_at).as_millis());
        transaction.execute(keep).await?;
        let drop =
            sqlx::query(DROP_OF_ORIGIN).bind(&*code.client_uuid).bind(&*code.origin).bind(limits.per_origin);
        transaction.execute(drop).await?;
        transaction.execute(sqlx::query(DROP_OF_FULLEST).bind(limits.total)).await?;
        Ok(())
    }
}

pub(crate) const TAKE_CODE: &str = "DELETE FROM oauth_codes WHERE id = $1 RETURNING key_id, code";

/// Removes a code and answers with it.
pub(crate) struct TakeCode {
    pub(crate) id: i64,
}

impl Command for TakeCode {
    type Answer = Option<SealedCode>;

    async fn apply(&self, transaction: &mut Transaction) -> Result<Option<SealedCode>, StoreError> {
        let rows = transaction.change(sqlx::query(TAKE_CODE).bind(self.id)).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(SealedCode { key_id: row.try_get(0)?, code: row.try_get(1)? }))
    }
}

pub(crate) const DROP_EXPIRED_STATES: &str =
    "DELETE FROM oauth_states WHERE expires_at < $1 AND expires_service_at < $2";
pub(crate) const USE_STATE: &str = "INSERT INTO oauth_states (nonce, code_hash, expires_at, expires_service_at) \
     VALUES ($1, $2, $3, $4) ON CONFLICT (nonce) DO NOTHING";
pub(crate) const USED_STATE: &str = "SELECT code_hash, account_id FROM oauth_states WHERE nonce = $1";

/// Uses the `state` of a link for a code.
pub(crate) struct UseState {
    pub(crate) nonce: [u8; 16],
    pub(crate) code_hash: [u8; 32],
    pub(crate) until: Timestamp,
    pub(crate) now: Moment,
}

impl Command for UseState {
    type Answer = StateUse;

    async fn apply(&self, transaction: &mut Transaction) -> Result<StateUse, StoreError> {
        // Setting the clock back must not make a used link valid again. So a row stays for one hour, the lifetime of a
        // link, after its link has expired.
        let over = self.now.cutoff(Duration::from_secs(60 * 60));
        let expired = sqlx::query(DROP_EXPIRED_STATES);
        let expired = expired.bind(over.calendar.as_millis()).bind(over.service.as_millis());
        transaction.execute(expired).await?;
        // The row is inserted first: if another process uses the same link, this waits for it, and then reads its row.
        let insert = sqlx::query(USE_STATE)
            .bind(self.nonce.as_slice())
            .bind(self.code_hash.as_slice())
            .bind(self.until.as_millis())
            .bind(self.now.service_at(self.until).as_millis());
        if transaction.execute(insert).await? == 1 {
            return Ok(StateUse::Granted);
        }
        let known = transaction.read(sqlx::query(USED_STATE).bind(self.nonce.as_slice())).await?;
        // Without a row, another process has deleted it in between, because it had expired.
        let Some(known) = known.first() else { return Ok(StateUse::OtherCode) };
        let (code_hash, account_id): (Vec<u8>, Option<i64>) = (known.try_get(0)?, known.try_get(1)?);
        Ok(match account_id {
            _ if code_hash != self.code_hash => StateUse::OtherCode,
            Some(account_id) => StateUse::Connected(AccountId(account_id)),
            None => StateUse::Granted,
        })
    }
}

pub(crate) const CONNECTED_BY: &str = "UPDATE oauth_states SET account_id = $1 WHERE nonce = $2";

/// Records the account that a link connected.
pub(crate) async fn record_connected_account(
    transaction: &mut Transaction,
    nonce: [u8; 16],
    account_id: AccountId,
) -> Result<(), StoreError> {
    let connected = sqlx::query(CONNECTED_BY).bind(account_id.0).bind(nonce.as_slice());
    transaction.execute(connected).await?;
    Ok(())
}

/// Records a call that announces that an account was disconnected. Answers whether it is the first one.
pub(crate) struct NoteRevocation {
    pub(crate) key: AccountKey,
    pub(crate) pending: bool,
    pub(crate) now: Timestamp,
}

pub(crate) const NOTE_CALL: &str = "INSERT INTO revocation_calls (account_id, client_uuid, first_at, pending_at) \
     VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
/// A call that already waits keeps its time. A later call gets a time after `first_at`, because equal times mark the first
/// call.
pub(crate) const NOTE_REPETITION: &str = "UPDATE revocation_calls \
     SET pending_at = coalesce(pending_at, greatest($3, first_at + 1)) WHERE account_id = $1 AND client_uuid = $2";

impl Command for NoteRevocation {
    type Answer = bool;

    async fn apply(&self, transaction: &mut Transaction) -> Result<bool, StoreError> {
        let now = self.now.as_millis();
        let of = |sql| sqlx::query(sql).bind(self.key.account_id.0).bind(&*self.key.client_uuid).bind(now);
        let inserted = transaction.execute(of(NOTE_CALL).bind(self.pending.then_some(now))).await?;
        if inserted == 0 && self.pending {
            transaction.execute(of(NOTE_REPETITION)).await?;
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

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        settle_pending(transaction, &self.key).await
    }
}

pub(crate) const SETTLE: &str =
    "UPDATE revocation_calls SET pending_at = NULL WHERE account_id = $1 AND client_uuid = $2";

/// Marks the pending call of this account as settled.
pub(crate) async fn settle_pending(
    transaction: &mut Transaction,
    key: &AccountKey,
) -> Result<(), StoreError> {
    transaction.execute(sqlx::query(SETTLE).bind(key.account_id.0).bind(&*key.client_uuid)).await?;
    Ok(())
}
