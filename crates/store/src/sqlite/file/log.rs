//! How long the write-ahead log is, and what is done about it.
//!
//! The log restarts only when everyone who reads has gone on to what is in it. A foreign program that reads the database
//! in one long transaction (a backup, a shell that was left open) keeps it from that, and it grows with each commit.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{path, proc_locks};
use crate::StoreError;
use crate::records::{LogState, MAX_LOG_BYTES};

/// Pages in the log from which on it has to restart: 64 MiB.
const LONG_LOG: i64 = 16_384;
/// Pages that the writer may have to copy itself when it restarts the log: requests wait for that.
const FEW_PAGES: i64 = 1_024;
/// What the writer does with the log after a checkpoint beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogStep {
    /// The next commit begins at its start. The file keeps its length.
    Restart,
    /// The same, and the file is cut.
    Shrink,
}

/// What comes after a checkpoint that found `pages` in the log, of which `copied` are in the database, in a file of
/// `bytes`.
pub(crate) fn decide(pages: i64, copied: i64, bytes: u64) -> Option<LogStep> {
    if pages - copied > FEW_PAGES {
        return None;
    }
    if bytes > MAX_LOG_BYTES {
        return Some(LogStep::Shrink);
    }
    (pages > LONG_LOG).then_some(LogStep::Restart)
}

/// Tells once that the log is too long, and once that it no longer is.
#[derive(Default)]
pub(crate) struct LogWatch {
    is_long: bool,
}

impl LogWatch {
    /// Whether the log has become too long (`true`) or short again, if it has changed since the last call.
    fn changes(&mut self, bytes: u64) -> Option<bool> {
        let is_long = bytes > if self.is_long { MAX_LOG_BYTES / 2 } else { MAX_LOG_BYTES };
        let changed = is_long != self.is_long;
        self.is_long = is_long;
        changed.then_some(is_long)
    }

    /// Logs what has changed about the log of the database at `path`.
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

/// Why the log may grow while these processes read, and what to do. On some systems, and across containers, readers are not
/// known.
fn advice(readers: &BTreeSet<u32>) -> &'static str {
    if readers.is_empty() {
        "the disk is slower than the writes, or a process that cannot be seen from here reads the database in one long \
         transaction; if the log does not become short again, find that process and end it, or the disk fills up"
    } else {
        "another process reads the database in one long transaction; end it, or the disk fills up"
    }
}

/// The log of the store of `url`.
///
/// # Errors
/// `url` is not one of a store.
pub(crate) fn log_state(url: &str) -> Result<LogState, StoreError> {
    let path = path::file_of(url)?;
    Ok(LogState { bytes: bytes_of(&path), readers: proc_locks::foreign_readers(&path) })
}

/// The length of the log beside `path`; 0 if there is none.
pub(crate) fn bytes_of(path: &Path) -> u64 {
    fs::metadata(path::with(path, "-wal")).map_or(0, |log| log.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_restarts_when_it_is_long_and_is_cut_when_it_was_too_long() {
        for (pages, copied, bytes, expected) in [
            (0, 0, 0, None),
            (LONG_LOG, LONG_LOG, 64 << 20, None),
            (LONG_LOG + 1, LONG_LOG + 1, 65 << 20, Some(LogStep::Restart)),
            (LONG_LOG + 1, LONG_LOG + 1 - FEW_PAGES, 65 << 20, Some(LogStep::Restart)),
            // A reader holds it: the writer would copy all of it the moment that the reader goes.
            (60_000, 10_000, 240 << 20, None),
            (60_000, 60_000, 240 << 20, Some(LogStep::Shrink)),
            // It has restarted meanwhile, but its file is as long as it was.
            (5, 5, 240 << 20, Some(LogStep::Shrink)),
            (5, 5, MAX_LOG_BYTES, None),
        ] {
            assert_eq!(decide(pages, copied, bytes), expected, "{pages} {copied} {bytes}");
        }
    }

    #[test]
    fn a_reader_is_blamed_only_if_there_is_one() {
        assert!(advice(&[7].into()).starts_with("another process reads"));
        assert!(advice(&BTreeSet::new()).starts_with("the disk is slower"));
    }

    #[test]
    fn each_change_is_told_once() {
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
