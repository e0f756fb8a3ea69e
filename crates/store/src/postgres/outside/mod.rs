//! A store's database, seen from outside: without an open store, and beside the process that serves it.

mod check;
mod content;
pub(crate) mod sizes;

use std::time::Duration;

use sqlx::{Executor, PgConnection};

use super::connect::call::{SHORT, within};
use super::connect::open::connect;
use super::connect::owner_lock::{self, Holder};
use super::connect::session::Session;
use super::connect::url::Target;
use crate::StoreError;

pub(crate) use check::check;
pub(crate) use content::stats;

/// Settings of a connection that reads a whole store: it may take its time, and the planner chooses. The server notices
/// within a second that the connection has ended.
const WHOLE: &str = "SET statement_timeout = 0; SET plan_cache_mode = 'auto'; SET enable_seqscan = on; \
     SET enable_hashjoin = on; SET enable_mergejoin = on; SET idle_in_transaction_session_timeout = '60s'; \
     SET client_connection_check_interval = '1s'";
/// All statements of a transaction see the same moment.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// The limit of reading the sizes.
const SIZES_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the address of the store at `url`, without user and password.
///
/// # Errors
/// `Url`: the address cannot be used.
pub(crate) fn place(url: &str) -> Result<String, StoreError> {
    Ok(Target::parse(url)?.name().to_owned())
}

/// Returns the process that serves the store at `url`; `None` if none does.
///
/// # Errors
/// The database cannot be reached.
pub(crate) async fn holder(url: &str) -> Result<Option<Holder>, StoreError> {
    let target = Target::parse(url)?;
    let mut connection = connect(&target, Session::Reader).await?;
    within(SHORT, owner_lock::holder(&mut connection)).await.map_err(|error| error.on(target.name()))
}

/// Returns the id of the process that serves the store at `url`, if it runs on this machine; `None` if none does, or if
/// that is unknown.
pub(crate) async fn owner(url: &str) -> Option<u32> {
    let is_local = Target::parse(url).is_ok_and(|target| target.is_local());
    if !is_local {
        return None;
    }
    holder(url).await.ok().flatten()?.process()
}

/// Opens a connection that reads a whole store.
///
/// # Errors
/// The database cannot be reached.
async fn connect_to_inspect(target: &Target) -> Result<PgConnection, StoreError> {
    let mut connection = connect(target, Session::Reader).await?;
    connection.execute(WHOLE).await.map_err(|error| StoreError::from(error).on(target.name()))?;
    Ok(connection)
}

#[cfg(test)]
mod tests;
