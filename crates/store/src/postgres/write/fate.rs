//! Finds out whether a transaction was committed although the reply to its COMMIT was lost.

use std::time::Duration;

use sqlx::{PgConnection, Row};

use super::session::Session;
use super::transaction::TransactionId;
use crate::StoreError;
use crate::postgres::connect::call::{SHORT, within};
use crate::postgres::connect::open::connect_until_ok;
use crate::postgres::connect::session::Session as Kind;

/// The delay between two questions while the server still works on the transaction.
const POLL: Duration = Duration::from_millis(50);

/// Reads the status; NULL if the transaction is too old or unknown: the server has lost it, so it is not committed there.
const STATUS: &str = "SELECT CASE WHEN $1::text::xid8 < pg_snapshot_xmax(pg_current_snapshot()) \
     THEN pg_xact_status($1::text::xid8) END";

/// Asks until the server knows whether the transaction was committed. Reconnects for as long as it takes: the jobs in memory
/// depend on the answer.
pub(crate) async fn is_committed(session: &mut Session, id: &TransactionId) -> bool {
    loop {
        let mut connection = match session.connection.take() {
            Some(connection) => connection,
            None => {
                let failed = |error: StoreError| {
                    tracing::warn!(%error, "cannot ask the database whether a transaction was committed; trying again");
                };
                let mut connection = connect_until_ok(&session.target, Kind::Writer, failed).await;
                match session.check_store(&mut connection).await {
                    Ok(()) => connection,
                    Err(error @ StoreError::Refused(_)) => {
                        tracing::error!(%error, "cannot ask whether a transaction was committed; its operations are reported as failed");
                        return false;
                    }
                    Err(_) => continue,
                }
            }
        };
        match status(&mut connection, id).await {
            Ok(Some(status)) if status == "in progress" => tokio::time::sleep(POLL).await,
            Ok(status) => {
                session.connection = Some(connection);
                return status.as_deref() == Some("committed");
            }
            Err(error) => {
                tracing::warn!(%error, "cannot ask the database whether a transaction was committed; trying again");
                continue;
            }
        }
        session.connection = Some(connection);
    }
}

async fn status(connection: &mut PgConnection, id: &TransactionId) -> Result<Option<String>, StoreError> {
    let row = within(SHORT, sqlx::query(STATUS).bind(&id.0).fetch_one(connection)).await?;
    Ok(row.try_get(0)?)
}
