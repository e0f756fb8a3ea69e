//! The SQLite engine: one file, one process that writes to it, and a group commit.
//!
//! Arrows go one way. `file` and `write` are at the bottom, and [`engine`] brings what is asked to the writer. `jobs` and
//! `accounts` say what is asked; `maintenance` asks on its own. `group_commit` is the one task that carries it out.
//! `lifecycle` puts all of it together, and no other module names it.

mod accounts;
pub(crate) mod engine;
mod error;
pub(crate) mod file;
mod group_commit;
mod jobs;
mod lifecycle;
mod maintenance;
mod write;

#[cfg(any(test, feature = "testing"))]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
