//! The exchange between a running bridge and the commands beside it: why the deliveries of accounts wait, and which
//! accounts an operator wants the bridge to try now.

use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use model::{ALL_ACCOUNTS, AccountWait, Timestamp, UnknownWaitCause};

use crate::jobs::actions::NewAction;
use crate::sqlite::actions;
use crate::sqlite::engine::Engine;
use crate::sqlite::write::bind::query;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::insert::insert_row;
use crate::sqlite::write::transaction::Transaction;
use crate::{ActionKind, Actor, Cause, StoreError, Waits};

impl Engine {
    pub(crate) async fn account_waits(&self) -> Result<Vec<(String, AccountWait)>, StoreError> {
        let sql = "SELECT origin, cause, why, advice, since, until FROM account_waits ORDER BY origin";
        let rows = sqlx::query(sql).fetch_all(&self.reading).await?;
        rows.iter().map(wait).collect()
    }

    pub(crate) async fn waits_at(&self, origin: &str) -> Result<Waits, StoreError> {
        let rows = sqlx::query(WAITS_AT).bind(origin).bind(ALL_ACCOUNTS).fetch_all(&self.reading).await?;
        let mut waits = Waits::default();
        for row in &rows {
            match wait(row)? {
                (known, wait) if known == ALL_ACCOUNTS => waits.all_accounts = Some(wait),
                (known, wait) if known == origin => waits.account = Some(wait),
                (_, wait) => waits.account = waits.account.or(Some(wait)),
            }
        }
        Ok(waits)
    }

    pub(crate) async fn write_waits(
        &self,
        waits: Vec<(Arc<str>, Option<AccountWait>)>,
    ) -> Result<(), StoreError> {
        self.execute(WriteWaits(waits)).await
    }

    pub(crate) async fn ask_resume(&self, origin: Arc<str>, by: &Actor) -> Result<(), StoreError> {
        self.execute(AskResume { origin, now: self.clock().now(), by: by.clone() }).await
    }

    pub(crate) async fn take_resumes(&self) -> Result<Vec<Arc<str>>, StoreError> {
        // The bridge calls this every few seconds, and there is rarely anything to remove. A read spares the writer.
        let any = sqlx::query("SELECT 1 FROM account_resumes LIMIT 1").fetch_optional(&self.reading).await?;
        if any.is_none() {
            return Ok(Vec::new());
        }
        self.execute(TakeResumes).await
    }
}

const WAITS_AT: &str = "SELECT origin, cause, why, advice, since, until FROM account_waits WHERE origin IN (?1, ?2) \
     OR origin IN (SELECT accounts.origin FROM accounts WHERE previous_origin = ?1)";

fn wait(row: &SqliteRow) -> Result<(String, AccountWait), StoreError> {
    let origin: String = row.try_get("origin")?;
    let cause =
        row.try_get::<&str, _>("cause")?.parse().map_err(|error: UnknownWaitCause| StoreError::Corrupt {
            table: "account_waits",
            column: "cause",
            id: origin.clone(),
            why: Cause::of(error),
        })?;
    let wait = AccountWait {
        cause,
        why: row.try_get("why")?,
        advice: row.try_get("advice")?,
        since: Timestamp::from_millis(row.try_get("since")?),
        until: row.try_get::<Option<i64>, _>("until")?.map(Timestamp::from_millis),
    };
    Ok((origin, wait))
}

insert_row! {
    const SET_WAIT, fn bind_wait(origin: &str, wait: &AccountWait);
    "INSERT INTO account_waits" {
        "origin" => origin,
        "cause" => wait.cause.as_str(),
        "why" => wait.why.as_str(),
        "advice" => wait.advice.as_str(),
        "since" => wait.since.as_millis(),
        "until" => wait.until.map(Timestamp::as_millis),
    }
    " ON CONFLICT (origin) DO UPDATE SET cause = excluded.cause, why = excluded.why, advice = excluded.advice, \
                 since = excluded.since, until = excluded.until"
}

/// Stores why deliveries wait.
struct WriteWaits(Vec<(Arc<str>, Option<AccountWait>)>);

impl Command for WriteWaits {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let mut set = transaction.prepare_cached(SET_WAIT)?;
        let mut delete = transaction.prepare_cached("DELETE FROM account_waits WHERE origin = ?")?;
        for (origin, wait) in &self.0 {
            if let Some(wait) = wait {
                bind_wait(origin, wait, &mut set)?;
                set.raw_execute()?;
            } else {
                delete.execute([&**origin])?;
            }
        }
        Ok(())
    }
}

/// Deletes the waits and resume requests of the previous owner. The first deliveries of this owner find out again which
/// accounts have to wait.
pub(crate) struct ForgetWaits;

impl Command for ForgetWaits {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        transaction.execute("DELETE FROM account_waits", ())?;
        transaction.execute("DELETE FROM account_resumes", ())?;
        Ok(())
    }
}

/// Asks the bridge to try an account now.
struct AskResume {
    origin: Arc<str>,
    now: Timestamp,
    by: Actor,
}

impl Command for AskResume {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let sql = "INSERT INTO account_resumes (origin, asked_at) VALUES (?, ?) ON CONFLICT DO NOTHING";
        transaction.execute(sql, (&*self.origin, self.now.as_millis()))?;
        let host = self.origin.split_once("://").map_or(&*self.origin, |(_scheme, host)| host);
        actions::record(transaction, &NewAction::on(&self.by, ActionKind::AccountsResume, host))?;
        Ok(())
    }
}

/// Removes the accounts that should be tried now, and answers with them.
struct TakeResumes;

impl Command for TakeResumes {
    type Answer = Vec<Arc<str>>;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Self::Answer, StoreError> {
        Ok(query!(transaction, "DELETE FROM account_resumes RETURNING origin", {}, |row| row.get(0)))
    }
}
