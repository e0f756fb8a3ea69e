//! What the page shows: plain values, so that everything that decides about them is pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use model::{StateName, Timestamp};
use store::backup::BackupFile;

use super::forecast::Forecast;
use crate::admin::BackupsState;
use crate::admin::store_check::CheckState;

/// A part of the page; the error is a sentence that says why it could not be read.
pub(super) type Part<T> = Result<T, String>;

/// Everything that the page shows.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) now: Timestamp,
    /// Why the bridge accepts no jobs.
    pub(super) refuses_because: Vec<String>,
    pub(super) size: Part<Size>,
    pub(super) content: Part<Content>,
    pub(super) forecast: Forecast,
    pub(super) retention: Duration,
    pub(super) body_retention: Duration,
    /// `None` if no folder is configured.
    pub(super) backups: Option<Backups>,
    pub(super) check: CheckState,
}

/// The files of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) path: PathBuf,
    pub(super) file_bytes: u64,
    /// `None` if unknown.
    pub(super) reusable_bytes: Option<u64>,
    pub(super) log_bytes: u64,
    /// `None` if unknown.
    pub(super) free_bytes: Option<u64>,
    /// The ids of other processes that read the store.
    pub(super) readers: BTreeSet<u32>,
}

/// The jobs of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) jobs: BTreeMap<StateName, u64>,
    pub(super) stored_bytes: u64,
    pub(super) unfinished_bytes: u64,
}

/// The scheduled backups.
#[derive(Clone, Debug)]
pub(super) struct Backups {
    pub(super) folder: PathBuf,
    pub(super) state: BackupsState,
    /// Newest first.
    pub(super) files: Part<Vec<BackupFile>>,
}

impl Facts {
    /// When the newest backup was written; `None` if there is none.
    pub(super) fn newest_backup(&self) -> Option<Timestamp> {
        let files = self.backups.as_ref()?.files.as_ref().ok()?;
        files.first().map(|newest| newest.written_at)
    }
}
