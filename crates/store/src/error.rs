//! Why the store could not do something, in words that help.

use std::path::Path;

use model::{JobId, JobPrefix, StateName};

use crate::Cause;
use crate::budget::OverBudget;

/// Why the store could not do something. Cheap to clone, because one failed transaction answers many.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// `store.url` is none that this build can open.
    #[error("store.url: {0}")]
    Url(#[source] Cause),
    /// The file or its folder could not be opened.
    #[error("cannot open the store {path}: {why}")]
    Open {
        /// The database file.
        path: String,
        /// What the system said.
        #[source]
        why: Cause,
    },
    /// What is at the path is no store.
    #[error("cannot open the store {path}: {why}")]
    NotAStore {
        /// What store.url names.
        path: String,
        /// What it is, and what to do.
        #[source]
        why: Cause,
    },
    /// Another process owns the store.
    #[error(
        "the store {path} is in use by {owner}: one process at a time may serve it; stop that one, or set store.url to another file"
    )]
    InUse {
        /// The database file.
        path: String,
        /// Who has it.
        owner: String,
    },
    /// The store was written by a newer version.
    #[error(
        "the store {path} was made by a newer version (its migration {version} is unknown here): install that version, or set store.url to another file"
    )]
    Newer {
        /// The database file.
        path: String,
        /// The migration.
        version: i64,
    },
    /// The store was written by a version from before the first release. Its tables have other columns under the same number.
    #[error(
        "the store {path} was made by another version from before 0.1.0, and cannot be read by this one: let that version \
         finish its jobs, then move the file away with its -wal and -shm, or set store.url to another file"
    )]
    Unreleased {
        /// The database file.
        path: String,
    },
    /// The disk is full.
    #[error("the disk that holds the store is full: free some space")]
    Full,
    /// The file cannot be written.
    #[error("the store cannot be written: {0}")]
    ReadOnly(#[source] Cause),
    /// The open file is not at its path any more.
    #[error(
        "{what}, while the bridge has it open: what it would write now, the next start would not find; put the same file \
         back, or stop the bridge with SIGTERM, which writes it back, and start it again"
    )]
    Moved {
        /// Which file, and what became of it.
        what: String,
    },
    /// Another process writes and does not finish.
    #[error("the store is locked by another process")]
    Busy,
    /// Not done in time, and dropped.
    #[error("the store did not commit in time")]
    Timeout,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// A row that the program cannot have written.
    #[error("the store is damaged: table {table}, column {column}, id {id}: {why}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row.
        id: String,
        /// What is wrong with it.
        #[source]
        why: Cause,
    },
    /// The account has used up its budget; other accounts are not concerned.
    #[error(transparent)]
    OverBudget(OverBudget),
    /// As many lists are read as may be at once.
    #[error("too many lists of jobs are read at once: ask again in a moment")]
    TooManyLists,
    /// There is no such job.
    #[error(
        "there is no job {0}: `jobs list --q` finds a job by its lead; finished jobs are deleted after store.retention"
    )]
    NoJob(JobId),
    /// No job's id begins so.
    #[error(
        "there is no job whose id begins with {0}: `jobs list --q` finds a job by its lead; finished jobs are deleted after \
         store.retention"
    )]
    NoMatch(JobPrefix),
    /// Several jobs' ids begin so.
    #[error("several jobs have ids that begin with {prefix}; add digits to name one of them:{}", listed(ids, *more))]
    Ambiguous {
        /// What was asked for.
        prefix: JobPrefix,
        /// Some of the jobs, newest first.
        ids: Vec<JobId>,
        /// Whether there are more.
        more: bool,
    },
    /// The job's state does not allow it.
    #[error("job {id} is {state}: {allowed}")]
    WrongState {
        /// The job.
        id: JobId,
        /// Where it is.
        state: StateName,
        /// What the state would have to be.
        allowed: &'static str,
    },
    /// A newer job has the same `return_url`, so a repeated continue of this one would answer that one's question.
    #[error(
        "job {id} is superseded: job {newer} came later with the same return_url, and this answer would go to its question; \
         look at that job, or force the retry"
    )]
    Superseded {
        /// The job.
        id: JobId,
        /// The newer one.
        newer: JobId,
    },
    /// The fallback is all that there is of the job.
    #[error(
        "job {0} has no completion of its handler to send: the handler returned none that Kommo would take, so there is only \
         the fallback"
    )]
    NoHandlerCompletion(JobId),
    /// The file does not begin as a database does.
    #[error(
        "the file is not a database: set store.url to another file; if it was a store, restore a backup of it"
    )]
    NoDatabase,
    /// Pages of the file are not what they must be.
    #[error(
        "the file is damaged ({0}): restore a backup, or save what can be read with the `.recover` of the sqlite3 shell"
    )]
    Damaged(#[source] Cause),
    /// Anything else that the database said.
    #[error("the store failed: {0}")]
    Database(#[source] Cause),
}

/// A line for each id.
fn listed(ids: &[JobId], more: bool) -> String {
    let lines: String = ids.iter().map(|id| format!("\n  {id}")).collect();
    if more { format!("{lines}\n  … and more") } else { lines }
}

impl StoreError {
    /// Whether an operator asked for something that the job, or the load, does not allow: the store itself did not fail.
    pub const fn is_of_the_asker(&self) -> bool {
        matches!(
            self,
            Self::NoJob(_)
                | Self::NoMatch(_)
                | Self::Ambiguous { .. }
                | Self::WrongState { .. }
                | Self::Superseded { .. }
                | Self::NoHandlerCompletion(_)
                | Self::TooManyLists
        )
    }

    /// Whether the same write may succeed later, when disk or lock are free again.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Full | Self::ReadOnly(_) | Self::Busy | Self::Timeout)
    }

    /// The same, met while the store at `path` was opened.
    pub(crate) fn at(self, path: &Path) -> Self {
        self.named(path).while_opening(path)
    }

    /// The same, with the file that could not be written, its owner, and our user.
    pub(crate) fn named(self, path: &Path) -> Self {
        match self {
            Self::ReadOnly(why) => {
                let text = format!("{}: {why}; {}", path.display(), paths::ownership(path));
                Self::ReadOnly(Cause::with(text, why))
            }
            other => other,
        }
    }

    /// The same as a reason why the store at `path` cannot be opened.
    pub(crate) fn while_opening(self, path: &Path) -> Self {
        let path = path.display().to_string();
        match self {
            Self::NoDatabase => Self::NotAStore { path, why: Cause::of(self) },
            Self::Full | Self::ReadOnly(_) | Self::Busy | Self::Damaged(_) | Self::Database(_) => {
                Self::Open { path, why: Cause::of(self) }
            }
            named => named,
        }
    }

    /// Whether it concerns the disk or the file, and so every write alike.
    pub(crate) const fn concerns_all(&self) -> bool {
        matches!(self, Self::Full | Self::ReadOnly(_) | Self::Busy | Self::Closed | Self::NoDatabase)
    }
}
