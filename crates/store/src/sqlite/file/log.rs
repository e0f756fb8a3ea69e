//! The length of the write-ahead log, and the measures against its growth.
//!
//! The log can restart only when no reader still uses an older snapshot. Another program that reads the database in one
//! long transaction (a backup, a forgotten shell) prevents a restart, and the log grows with each commit.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{path, proc_locks};
use crate::StoreError;
use crate::records::{LogState, MAX_LOG_BYTES};

/// The number of pages above which the log should restart: 64 MiB.
const LONG_LOG: i64 = 16_384;
/// The maximum number of pages that the writer itself copies when it restarts the log. Requests wait in that time.
const FEW_PAGES: i64 = 1_024;
/// The length of a page in bytes.
const PAGE_BYTES: u64 = 4_096;
/// The log should restart when it has this part of the room on its disk.
const ROOM_PER_LOG: u64 = 8;

/// What the writer does with the log after a checkpoint on the other connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogStep {
    /// Start over at the beginning of the log. The file keeps its length.
    Restart,
    /// The same, and truncate the file.
    Shrink,
}

/// Decides what the writer does after a checkpoint that found `pages` in the log, of which `copied` are in the database.
/// `bytes` is the length of the log's file, and `room` is the room on its disk for the store, if known: on a small disk, the
/// log has to stay short.
pub(crate) fn decide(pages: i64, copied: i64, bytes: u64, room: Option<u64>) -> Option<LogStep> {
    if pages - copied > FEW_PAGES {
        return None;
    }
    let share = room.map_or(u64::MAX, |room| room / ROOM_PER_LOG);
    if bytes > MAX_LOG_BYTES.min(share.saturating_mul(2)) {
        return Some(LogStep::Shrink);
    }
    let long = LONG_LOG.min(i64::try_from(share / PAGE_BYTES).unwrap_or(i64::MAX));
    (pages > long).then_some(LogStep::Restart)
}

/// Logs once when the log becomes too long, and once when it no longer is.
#[derive(Default)]
pub(crate) struct LogWatch {
    is_long: bool,
}

impl LogWatch {
    /// Returns whether the log has become too long (`true`) or short again, if that has changed since the last call.
    fn changes(&mut self, bytes: u64) -> Option<bool> {
        let is_long = bytes > if self.is_long { MAX_LOG_BYTES / 2 } else { MAX_LOG_BYTES };
        let changed = is_long != self.is_long;
        self.is_long = is_long;
        changed.then_some(is_long)
    }

    /// Logs a change in the length of the log of the database at `path`.
    pub(crate) fn poll(&mut self, path: &Path) {
        let bytes = bytes_of(path);
        match self.changes(bytes) {
            Some(true) => {
                let readers = proc_locks::foreign_readers(path);
                tracing::warn!(
                    wal_bytes = bytes,
                    ?readers,
                    "the write-ahead log grows: {}",
                    advice(&readers)
                );
            }
            Some(false) => tracing::info!(wal_bytes = bytes, "the write-ahead log is short again"),
            None => {}
        }
    }
}

/// Explains why the log may grow while these processes read, and what to do. On some systems, and across containers, the
/// readers are unknown.
fn advice(readers: &BTreeSet<u32>) -> &'static str {
    if readers.is_empty() {
        "the disk is slower than the writes, or a process that is not visible from here reads the database in one long \
         transaction; if the log does not shrink, find that process and end it before the disk fills up"
    } else {
        "another process reads the database in one long transaction; end it before the disk fills up"
    }
}

/// Returns the state of the log of the store at `url`.
///
/// # Errors
/// `url` names no file.
pub(crate) fn log_state(url: &str) -> Result<LogState, StoreError> {
    let path = path::file_of(url)?;
    Ok(LogState { bytes: bytes_of(&path), readers: proc_locks::foreign_readers(&path) })
}

/// Returns the length of the log beside `path` in bytes; 0 if there is none.
pub(crate) fn bytes_of(path: &Path) -> u64 {
    fs::metadata(path::with(path, "-wal")).map_or(0, |log| log.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_restarts_and_a_too_long_one_is_also_truncated() {
        for (pages, copied, bytes, expected) in [
            (0, 0, 0, None),
            (LONG_LOG, LONG_LOG, 64 << 20, None),
            (LONG_LOG + 1, LONG_LOG + 1, 65 << 20, Some(LogStep::Restart)),
            (LONG_LOG + 1, LONG_LOG + 1 - FEW_PAGES, 65 << 20, Some(LogStep::Restart)),
            // A reader holds it: the writer would have to copy all of it as soon as the reader ends.
            (60_000, 10_000, 240 << 20, None),
            (60_000, 60_000, 240 << 20, Some(LogStep::Shrink)),
            // The log has restarted in the meantime, but its file is still as long as before.
            (5, 5, 240 << 20, Some(LogStep::Shrink)),
            (5, 5, MAX_LOG_BYTES, None),
        ] {
            for room in [None, Some(1 << 40)] {
                assert_eq!(decide(pages, copied, bytes, room), expected, "{pages} {copied} {bytes}");
            }
        }
    }

    #[test]
    fn on_a_small_disk_the_log_stays_short() {
        for (pages, copied, bytes, expected) in [
            (4_096, 4_096, 16 << 20, None),
            (4_097, 4_097, 17 << 20, Some(LogStep::Restart)),
            (4_097, 3_000, 17 << 20, None),
            (5, 5, 32 << 20, None),
            (5, 5, 33 << 20, Some(LogStep::Shrink)),
        ] {
            let found = decide(pages, copied, bytes, Some(128 << 20));
            assert_eq!(found, expected, "{pages} {copied} {bytes}");
        }
    }

    #[test]
    fn advice_blames_a_reader_only_if_there_is_one() {
        assert!(advice(&[7].into()).starts_with("another process reads"));
        assert!(advice(&BTreeSet::new()).starts_with("the disk is slower"));
    }

    #[test]
    fn each_change_of_the_log_is_reported_once() {
        let mut watch = LogWatch::default();
        for (bytes, expected) in [
            (0, None),
            (MAX_LOG_BYTES, None),
            (MAX_LOG_BYTES + 1, Some(true)),
            (MAX_LOG_BYTES * 2, None),
            (MAX_LOG_BYTES, None),
            (MAX_LOG_BYTES / 2, Some(false)),
            (MAX_LOG_BYTES, None),
            (MAX_LOG_BYTES + 1, Some(true)),
        ] {
            assert_eq!(watch.changes(bytes), expected, "{bytes}");
        }
    }
}
