//! The owner's lock: a session advisory lock on a connection of its own. The server releases it when that connection ends,
//! however the process ends.

use std::fmt;
use std::time::Duration;

use sqlx::{Connection, PgConnection, Row};

use super::call::{SHORT, within};
use super::open::connect;
use super::session::Session;
use super::url::Target;
use crate::StoreError;

/// The first half of the lock's key: "SBBG". The second half is a hash of the schema's name.
const KEY: i32 = 1_396_851_271;
/// What the names of a bridge's connections begin with.
const NAME: &str = "salesbot-bridge ";
/// The server may need a moment to notice that the previous owner has ended.
const ATTEMPTS: u32 = 5;
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// Proof that this process owns the store, as long as its connection lives.
#[derive(Debug)]
pub(crate) struct OwnerLock {
    connection: PgConnection,
    server: String,
}

impl OwnerLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// `InUse` if another process holds it; the error says which one. Or the database cannot be reached.
    pub(crate) async fn take(target: &Target) -> Result<Self, StoreError> {
        let mut connection = connect(target, Session::Owner).await?;
        let taking = within(SHORT, take(&mut connection)).await;
        match taking.map_err(|error| error.on(target.name()))? {
            None => Ok(Self { connection, server: target.name().to_owned() }),
            Some(owner) => Err(StoreError::InUse { path: target.name().to_owned(), owner }),
        }
    }

    /// Checks that the connection lives and still holds the lock.
    ///
    /// # Errors
    /// The lock is lost, or may be. Another process can then become the owner, so this one must stop writing until it has
    /// taken the lock again.
    pub(crate) async fn check(&mut self) -> Result<(), StoreError> {
        let held = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted \
             AND classid = $1::int4::oid AND objsubid = 2)";
        let held = sqlx::query_scalar(held).bind(KEY).fetch_one(&mut self.connection);
        match within(SHORT, held).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                Err(StoreError::Unavailable("the owner's lock was released".into()).on(&self.server))
            }
            Err(error) => Err(error.on(&self.server)),
        }
    }

    /// Releases the lock.
    pub(crate) async fn release(self) {
        // If the goodbye fails, the server notices the end of the connection.
        let _ = tokio::time::timeout(SHORT, self.connection.close()).await;
    }
}

/// Takes the lock; returns the process that holds it if that is another one.
async fn take(connection: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    for attempt in 1.. {
        let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, hashtext(current_schema()))")
            .bind(KEY)
            .fetch_one(&mut *connection)
            .await?;
        if taken {
            break;
        }
        if attempt == ATTEMPTS {
            let holder = holder(connection).await?;
            return Ok(Some(
                holder.map_or_else(|| "another process".to_owned(), |holder| holder.to_string()),
            ));
        }
        tokio::time::sleep(RETRY_DELAY).await;
    }
    Ok(None)
}

/// The process that holds the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The name that it gave its connection; `None` if it gave none.
    application: Option<String>,
    /// Where it is; `None` if it is connected by a socket, so it runs beside the server.
    address: Option<String>,
    /// The number of its session on the server; `None` if it belongs to a prepared transaction.
    pid: Option<i32>,
}

/// Returns the process that holds the lock; `None` if none does.
pub(crate) async fn holder(connection: &mut PgConnection) -> Result<Option<Holder>, sqlx::Error> {
    let holder = sqlx::query(
        "SELECT application_name, host(client_addr) AS address, pid FROM pg_locks LEFT JOIN pg_stat_activity USING (pid) \
         WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = $1::int4::oid \
         AND objid = hashtext(current_schema())::oid \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1",
    )
    .bind(KEY)
    .fetch_optional(connection)
    .await?;
    let read = |row: sqlx::postgres::PgRow| {
        Ok(Holder {
            application: row.try_get("application_name")?,
            address: row.try_get("address")?,
            pid: row.try_get("pid")?,
        })
    };
    holder.map(read).transpose()
}

impl Holder {
    /// Returns the id of the process on its machine; `None` if it is not a bridge.
    pub(crate) fn process(&self) -> Option<u32> {
        let process = self.application.as_deref()?.strip_prefix(NAME)?.strip_prefix("process ")?;
        process.strip_suffix(" (owner)")?.parse().ok()
    }
}

/// Describes the process for people.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `process 12 (owner)` if it is a bridge.
        let name = self.application.as_deref().unwrap_or_default();
        let name = name.strip_prefix(NAME).unwrap_or(name);
        let name = name.strip_suffix(" (owner)").unwrap_or(name);
        f.write_str(if name.is_empty() { "another process" } else { name })?;
        match &self.address {
            Some(address) => write!(f, " at {address}")?,
            None => f.write_str(" on the database server")?,
        }
        match self.pid {
            Some(pid) => write!(f, " (pg_stat_activity shows it with pid {pid})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_described_by_its_process_and_place() {
        for (application, address, expected) in [
            (Some("salesbot-bridge process 12 (owner)"), Some("10.0.0.5"), "process 12 at 10.0.0.5"),
            (Some("salesbot-bridge process 12 (owner)"), None, "process 12 on the database server"),
            (Some("psql"), Some("10.0.0.5"), "psql at 10.0.0.5"),
            (None, None, "another process on the database server"),
        ] {
            let expected = format!("{expected} (pg_stat_activity shows it with pid 871)");
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let holder = Holder { application: owned(application), address: owned(address), pid: Some(871) };
            assert_eq!(holder.to_string(), expected);
            let is_bridge = application.is_some_and(|name| name.starts_with("salesbot-bridge"));
            assert_eq!(holder.process(), is_bridge.then_some(12));
        }
    }
}
