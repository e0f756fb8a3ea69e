//! The exchange between a running bridge and the commands beside it: why the deliveries of accounts wait, and which
//! accounts an operator wants the bridge to try now.

use std::sync::Arc;

use sqlx::Row;
use sqlx::postgres::PgRow;

use model::{ALL_ACCOUNTS, AccountWait, Timestamp, UnknownWaitCause};

use crate::jobs::actions::NewAction;
use crate::postgres::actions;
use crate::postgres::engine::Engine;
use crate::postgres::write::command::Command;
use crate::postgres::write::text::storable;
use crate::postgres::write::transaction::Transaction;
use crate::{ActionKind, Actor, Cause, StoreError, Waits};

pub(crate) const WAITS: &str =
    "SELECT origin, cause, why, advice, since, until FROM account_waits ORDER BY origin";
pub(crate) const WAITS_AT: &str = "SELECT origin, cause, why, advice, since, until FROM account_waits WHERE origin IN ($1, $2) \
     OR origin IN (SELECT accounts.origin FROM accounts WHERE previous_origin = $1)";

impl Engine {
    pub(crate) async fn account_waits(&self) -> Result<Vec<(String, AccountWait)>, StoreError> {
        let rows = sqlx::query(WAITS).fetch_all(&self.reading).await?;
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

fn wait(row: &PgRow) -> Result<(String, AccountWait), StoreError> {
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

pub(crate) const SET_WAIT: &str = "INSERT INTO account_waits (origin, cause, why, advice, since, until) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (origin) DO UPDATE SET cause = excluded.cause, why = excluded.why, \
     advice = excluded.advice, since = excluded.since, until = excluded.until";
pub(crate) const END_WAIT: &str = "DELETE FROM account_waits WHERE origin = $1";

/// Stores why deliveries wait.
struct WriteWaits(Vec<(Arc<str>, Option<AccountWait>)>);

impl Command for WriteWaits {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        for (origin, wait) in &self.0 {
            let Some(wait) = wait else {
                transaction.execute(sqlx::query(END_WAIT).bind(&**origin)).await?;
                continue;
            };
            let set = sqlx::query(SET_WAIT)
                .bind(&**origin)
                .bind(wait.cause.as_str())
                .bind(storable(&wait.why))
                .bind(storable(&wait.advice))
                .bind(wait.since.as_millis())
                .bind(wait.until.map(Timestamp::as_millis));
            transaction.execute(set).await?;
        }
        Ok(())
    }
}

/// Deletes the waits and resume requests of the previous owner. The first deliveries of this owner find out again which
/// accounts have to wait.
pub(crate) struct ForgetWaits;

impl Command for ForgetWaits {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        transaction.execute(sqlx::query("DELETE FROM account_waits")).await?;
        transaction.execute(sqlx::query("DELETE FROM account_resumes")).await?;
        Ok(())
    }
}

pub(crate) const ASK_RESUME: &str =
    "INSERT INTO account_resumes (origin, asked_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";

/// Asks the bridge to try an account now.
struct AskResume {
    origin: Arc<str>,
    now: Timestamp,
    by: Actor,
}

impl Command for AskResume {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let ask = sqlx::query(ASK_RESUME).bind(&*self.origin).bind(self.now.as_millis());
        transaction.execute(ask).await?;
        let host = self.origin.split_once("://").map_or(&*self.origin, |(_scheme, host)| host);
        actions::record(transaction, &NewAction::on(&self.by, ActionKind::AccountsResume, host)).await?;
        Ok(())
    }
}

pub(crate) const TAKE_RESUMES: &str = "DELETE FROM account_resumes RETURNING origin";

/// Removes the accounts that should be tried now, and answers with them.
struct TakeResumes;

impl Command for TakeResumes {
    type Answer = Vec<Arc<str>>;

    async fn apply(&self, transaction: &mut Transaction) -> Result<Self::Answer, StoreError> {
        let rows = transaction.change(sqlx::query(TAKE_RESUMES)).await?;
        rows.iter().map(|row| Ok(Arc::from(row.try_get::<&str, _>(0)?))).collect()
    }
}
