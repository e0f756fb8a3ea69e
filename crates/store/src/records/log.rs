//! The write-ahead log of a store, seen from outside.

use std::collections::BTreeSet;

/// The store warns about a log longer than this, and truncates it once it can: 128 MiB, twice what a burst leaves behind.
pub const MAX_LOG_BYTES: u64 = 128 << 20;

/// The state of a store's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogState {
    /// The length of its file in bytes.
    pub bytes: u64,
    /// Processes with an open read transaction, other than the owner and this process.
    pub readers: BTreeSet<u32>,
}
