//! The SQLite engine: one file, one process that writes to it, and a group commit.
//!
//! Arrows go one way: `file` and `write` are at the bottom; `jobs` and `accounts` change rows with what `write` offers;
//! `maintenance` keeps all of it in order; `group_commit` is the one task that carries out what the others ask for.

pub(crate) mod accounts;
pub(crate) mod file;
pub(crate) mod group_commit;
pub(crate) mod jobs;
pub(crate) mod maintenance;
pub(crate) mod recover;
pub(crate) mod write;

#[cfg(test)]
mod tests;
