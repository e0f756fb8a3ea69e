//! Facts about a store's PostgreSQL database, for `doctor`. Nothing here opens the store.

use model::clock::Clock;

use crate::{StoreError, postgres};

pub use crate::records::{
    Connections, DatabaseFacts, Durability, Fact, OldestSnapshot, Rights, ServerFacts, Standbys, TableRows,
    Vacuum, Way,
};

/// Reads the facts about the database at `url`. `clock` is compared with that of the server.
///
/// # Errors
/// The database cannot be reached.
pub async fn facts(url: &str, clock: &Clock) -> Result<DatabaseFacts, StoreError> {
    postgres::doctor::facts(url, clock).await
}
