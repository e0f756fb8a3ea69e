//! What the page shows: plain values, so that everything that decides about them is pure.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use model::{StateName, Timestamp};
use store::backup::BackupFile;
use store::outside::{DatabaseSizes, FileSizes};

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

/// How much room the store takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// A SQLite file.
    File(FileSize),
    /// A PostgreSQL database.
    Database(DatabaseSizes),
}

/// The files of a SQLite store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileSize {
    pub(super) sizes: FileSizes,
    /// The bytes inside the file that new jobs can use; `None` if unknown.
    pub(super) reusable_bytes: Option<u64>,
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
    /// Whether the store is a PostgreSQL database.
    pub(super) const fn is_database(&self) -> bool {
        matches!(self.size, Ok(Size::Database(_)))
    }

    /// When the newest backup was written; `None` if there is none.
    pub(super) fn newest_backup(&self) -> Option<Timestamp> {
        let files = self.backups.as_ref()?.files.as_ref().ok()?;
        files.first().map(|newest| newest.written_at)
    }
}
