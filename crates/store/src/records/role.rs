//! The role of a process.

/// The role of a process among those that open the same store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Creates the store if it does not exist, migrates its schema, frees the claims of a dead owner, and serves the
    /// store.
    Owner,
    /// Reads the store, and retries or cancels jobs, whether or not an owner runs. The store must exist.
    Observer,
}
