//! The PostgreSQL engine: one database, one owner, and a group commit.
//!
//! Dependencies go one way. `connect` is at the bottom: it reads `store.url`, connects, and translates errors. `schema`
//! creates the tables and their partitions. `schedule` is what the owner keeps in memory. `write` is the one task that
//! writes, and [`engine`] sends it commands. `jobs` and `accounts` define the commands, and read; `maintenance` issues some
//! of its own. `outside` and `doctor` inspect the database without an open store. `lifecycle` puts everything together, and
//! no other module uses it.

mod accounts;
mod actions;
pub(crate) mod connect;
pub(crate) mod doctor;
pub(crate) mod engine;
mod jobs;
mod lifecycle;
mod maintenance;
pub(crate) mod outside;
mod schedule;
pub(crate) mod schema;
mod write;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
