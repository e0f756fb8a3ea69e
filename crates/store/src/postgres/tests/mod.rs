//! Tests that fit only this engine, and the tests of the public interface with it.

#[allow(clippy::duplicate_mod, reason = "both engines run these tests")]
#[path = "../../tests/mod.rs"]
mod conformance;

mod ages;
mod erase;
mod faults;
mod keep;
mod oauth;
mod observers;
mod proxy;
mod raw;
mod retry;
mod unclaimed;

use std::path::Path;

use crate::postgres::testing::{Database, database};
use crate::sqlite;

/// The place of a test's store: a new database. Without PostgreSQL, a file: the test then tests the SQLite engine once more.
pub(crate) enum Place {
    Database(Database),
    File(sqlite::testing::Place),
}

impl Place {
    pub(crate) fn new(folder: &Path) -> Self {
        match database() {
            Some(database) => Self::Database(database),
            None => Self::File(sqlite::testing::Place::new(folder)),
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Database(database) => database.url().to_owned(),
            Self::File(file) => file.url(),
        }
    }
}
