//! The SQLite engine: one file, one owner, and a group commit.
//!
//! Dependencies go one way. `file`, `read` and `write` are at the bottom. [`engine`] sends commands to the writer. `jobs` and
//! `accounts` define the commands; `maintenance` issues some of its own. `group_commit` is the one thread that carries
//! them out. `lifecycle` puts everything together, and no other module uses it.

mod accounts;
pub(crate) mod actions;
pub(crate) mod engine;
mod error;
pub(crate) mod file;
mod group_commit;
mod jobs;
mod lifecycle;
pub(crate) mod maintenance;
mod read;
mod write;

#[cfg(any(test, feature = "testing"))]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
