//! The write-ahead log of a store, as it is seen from outside.

use std::collections::BTreeSet;

/// A log that is longer is told of, and is cut once it can be: 128 MiB, twice of what a burst leaves.
pub const MAX_LOG_BYTES: u64 = 128 << 20;

/// The log of a store, as it is seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogState {
    /// The length of its file.
    pub bytes: u64,
    /// Processes that read in a transaction, beside the owner and this one.
    pub readers: BTreeSet<u32>,
}
