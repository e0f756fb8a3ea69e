//! How much maintenance does at once.

/// Rows that one transaction deletes: it must not hold up those who wait to be acknowledged.
pub(crate) const CHUNK_ROWS: i64 = 500;
/// Bytes of bodies that one transaction deletes or drops, unless it is those of one job: each of their pages has to be read.
pub(crate) const CHUNK_BYTES: i64 = 2 << 20;
/// Chunks that are deleted in one tick: between ticks the log is brought in, and a stop is heard.
pub(crate) const CHUNKS_PER_TICK: u32 = 20;
