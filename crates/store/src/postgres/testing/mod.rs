//! For tests: a private PostgreSQL server for the test process, and a new database for each test.
//!
//! The server comes from the programs of the system: `initdb` and `postgres` on the PATH or under `/usr/lib/postgresql`.
//! `BRIDGE_TEST_POSTGRES`, the address of an existing server with a superuser, replaces it.

mod admin;
mod control;
mod database;
pub(crate) mod faults;
mod hang;
#[cfg(test)]
pub(crate) mod hooks;
mod programs;
mod server;

pub use database::Database;
pub use server::{Server, ServerOptions};

#[cfg(test)]
mod tests;

/// Returns a new database with the tables of a store, on a server that all tests of this process share. Its partitions are
/// those of the days around 2023-11-14, when the clock of most tests starts. It may block for a second.
///
/// `None` if PostgreSQL is not installed: the test then ends without testing anything.
pub fn database() -> Option<Database> {
    Some(Server::shared()?.database())
}

/// Returns a new database without tables, in the same way.
pub fn empty_database() -> Option<Database> {
    Some(Server::shared()?.empty_database())
}
