//! The role of a process.

/// The role of a process beside others that open the same store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Makes the store if there is none, brings its schema up to date, frees what a dead owner held, and serves it.
    Owner,
    /// Reads it and moves jobs beside a possible owner. It must exist.
    Observer,
}
