//! Facts about a database for `doctor`. A statement of its own reads each, so that one that fails hides no other.

mod facts;
mod pooler;

use std::time::Duration;

use sqlx::PgConnection;

use model::clock::Clock;

use super::connect::call::within;
use super::connect::open::connect;
use super::connect::session::Session;
use super::connect::url::Target;
use super::outside::sizes::oldest_snapshot;
use crate::StoreError;
use crate::records::{DatabaseFacts, Fact, Way};

/// The limit of one fact.
const FACT_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the facts about the database at `url`.
///
/// # Errors
/// The database cannot be reached.
pub(crate) async fn facts(url: &str, clock: &Clock) -> Result<DatabaseFacts, StoreError> {
    let target = Target::parse(url)?;
    let mut connection = connect(&target, Session::Reader).await?;
    let connection = &mut connection;
    Ok(DatabaseFacts {
        address: target.name().to_owned(),
        way: Way { is_remote: !target.is_local(), ssl_mode: target.ssl_mode() },
        server: fact(facts::server(connection)).await,
        durability: fact(facts::durability(connection)).await,
        standbys: fact(facts::standbys(connection)).await,
        rights: fact(facts::rights(connection)).await,
        clock_ahead_ms: fact(facts::clock_ahead_ms(connection, clock)).await,
        vacuum: fact(facts::vacuum(connection)).await,
        oldest_snapshot: fact(oldest_snapshot(connection)).await,
        tls: fact(facts::tls(connection)).await,
        connections: fact(facts::connections(connection)).await,
        shares_sessions: fact(shares_sessions(connection, &target)).await,
    })
}

async fn fact<T>(read: impl Future<Output = Result<T, StoreError>>) -> Fact<T> {
    within(FACT_TIMEOUT, read).await
}

async fn shares_sessions(connection: &mut PgConnection, target: &Target) -> Result<bool, StoreError> {
    let mut other = connect(target, Session::Reader).await?;
    pooler::shares_sessions(connection, &mut other).await
}

#[cfg(test)]
mod tests;
