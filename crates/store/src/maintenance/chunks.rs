//! How much work maintenance does at a time.

/// The maximum number of rows that one transaction deletes. It bounds the time for which requests wait.
pub(crate) const CHUNK_ROWS: i64 = 500;
/// The maximum bytes of bodies that one transaction deletes or drops, unless a single job has more. The
/// database has to find each of their pages.
pub(crate) const CHUNK_BYTES: i64 = 2 << 20;
/// The maximum number of chunks deleted in one tick. Between ticks, maintenance does its other work and notices a stop.
pub(crate) const CHUNKS_PER_TICK: u32 = 20;
