//! The errors of the store. Each says what is wrong, where, and what to do.

use std::path::Path;

use model::{JobId, JobPrefix, StateName};

use crate::Cause;
use crate::budget::OverBudget;

/// Why a call to the store failed. Cheap to clone, because one failed transaction answers many callers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// This build cannot open `store.url`.
    #[error("store.url: {0}")]
    Url(#[source] Cause),
    /// The file or its folder, or the database, could not be opened.
    #[error("cannot open the store {path}: {why}")]
    Open {
        /// The database file, or the address of the database.
        path: String,
        /// The system's error.
        #[source]
        why: Cause,
    },
    /// `store.url` leads to something other than a store.
    #[error("cannot open the store {path}: {why}")]
    NotAStore {
        /// The path or the address that `store.url` names.
        path: String,
        /// What is there, and what to do.
        #[source]
        why: Cause,
    },
    /// Another process owns the store.
    #[error(
        "the store {path} is in use by {owner}: only one process may serve it; stop that process, or set store.url to another store"
    )]
    InUse {
        /// The database file, or the address of the database.
        path: String,
        /// The process that owns it.
        owner: String,
    },
    /// A process has the store open, and the command needs it alone.
    #[error("the store {path} is in use by {owner}: stop that process, then run the command again")]
    Served {
        /// The database file, or the address of the database.
        path: String,
        /// The process that owns it.
        owner: String,
    },
    /// A newer version made the store.
    #[error(
        "the store {path} was made by a newer version (migration {version} is unknown to this one): install that version, or set store.url to another store"
    )]
    Newer {
        /// The database file, or the address of the database.
        path: String,
        /// The migration that this version does not know.
        version: i64,
    },
    /// A version from before the first release made the store. Its migrations have the same numbers but create other
    /// columns.
    #[error(
        "the store {path} was made by another version from before 0.1.0, which this version cannot read: let that version \
         finish its jobs, then move the file, its -wal and its -shm away, or set store.url to another file"
    )]
    Unreleased {
        /// The database file.
        path: String,
    },
    /// A copy of the store could not be written.
    #[error("the copy {path} was not written: {why}")]
    Copy {
        /// The file that should have been written.
        path: String,
        /// Why it was not.
        #[source]
        why: Cause,
    },
    /// A backup cannot replace the store.
    #[error("cannot restore {path}: {why}")]
    Restore {
        /// The backup.
        path: String,
        /// Why it cannot.
        #[source]
        why: Cause,
    },
    /// The store could not be rewritten without its free pages.
    #[error("cannot vacuum the store {path}: {why}")]
    Vacuum {
        /// The database file.
        path: String,
        /// Why it could not.
        #[source]
        why: Cause,
    },
    /// The disk is full.
    #[error("the disk that holds the store is full: free some space")]
    Full,
    /// The file cannot be written.
    #[error("the store cannot be written: {0}")]
    ReadOnly(#[source] Cause),
    /// The open file is no longer at its path.
    #[error(
        "{what} while the bridge has it open, so the next start would not find what is written now; put the same file \
         back, or stop the bridge with SIGTERM (it then writes the file back) and start it again"
    )]
    Moved {
        /// Which file, and what happened to it.
        what: String,
    },
    /// The database cannot be reached, or does not accept work at the moment.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] Cause),
    /// The database does not let this program in, or cannot hold a store.
    #[error("the database cannot be used: {0}")]
    Refused(#[source] Cause),
    /// Another session of the database holds what this operation needs.
    #[error("another session of the database holds a lock: {0}; end that session, or wait until it is done")]
    Contended(#[source] Cause),
    /// Another process holds the write lock and does not release it.
    #[error(
        "another process holds the store's write lock: end that process, or wait until it releases the lock"
    )]
    Busy,
    /// A write did not finish in time, so its outcome is unknown; or no connection for reading became free in time.
    #[error("the store did not answer in time: check whether its disk is slow or another process locks it")]
    Timeout,
    /// The store is closed, or its writer has ended.
    #[error("the store is closed")]
    Closed,
    /// The store contains a row that this program cannot have written.
    #[error("the store is damaged: table {table}, column {column}, id {id}: {why}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The id of the row.
        id: String,
        /// What is wrong with it.
        #[source]
        why: Cause,
    },
    /// The account has used up its budget. Other accounts are not affected.
    #[error(transparent)]
    OverBudget(OverBudget),
    /// Counting the jobs that a filter matches takes too long.
    #[error(
        "the filter reads too many jobs to count those that match: narrow it, for example with `since:` or `state:`"
    )]
    SlowFilter,
    /// A filter is too long.
    #[error("the filter is too long when it is written in full: {0}")]
    LongFilter(#[source] Cause),
    /// There is no such bulk change.
    #[error("bulk change {0} not found: `actions list` shows the numbers of actions")]
    NoBulk(u64),
    /// As many lists as the store allows are already being read.
    #[error("too many lists of jobs are being read: try again in a moment")]
    TooManyLists,
    /// There is no such job.
    #[error(
        "job {0} not found: `jobs list lead:N` finds jobs by their lead, and finished jobs are deleted after store.retention"
    )]
    NoJob(JobId),
    /// No job has an id that begins with this prefix.
    #[error(
        "no job has an id that begins with {0}: `jobs list lead:N` finds jobs by their lead, and finished jobs are deleted after \
         store.retention"
    )]
    NoMatch(JobPrefix),
    /// Several jobs have ids that begin with this prefix.
    #[error("several jobs have ids that begin with {prefix}; add digits to name one of them:{}", listed(ids, *more))]
    Ambiguous {
        /// The prefix that the caller gave.
        prefix: JobPrefix,
        /// Some of the jobs, newest first.
        ids: Vec<JobId>,
        /// Whether more jobs match.
        more: bool,
    },
    /// The job's state does not allow it.
    #[error("job {id} is {state}: {allowed}")]
    WrongState {
        /// The job.
        id: JobId,
        /// Its state.
        state: StateName,
        /// Which states allow it, or why this one does not.
        allowed: &'static str,
    },
    /// A newer job has the same `return_url`, so a repeated continue of this job would answer the newer job's question.
    #[error(
        "job {id} is superseded: job {newer} came later with the same return_url, so this answer would reach the newer question; \
         look at that job, or force the retry"
    )]
    Superseded {
        /// The job.
        id: JobId,
        /// The newer one.
        newer: JobId,
    },
    /// The job has only its fallback to send.
    #[error(
        "job {0} has no completion of its handler to send: the handler returned none that Kommo would accept, so there is only \
         the fallback"
    )]
    NoHandlerCompletion(JobId),
    /// The file does not start like a database.
    #[error(
        "the file is not a database: set store.url to another file, or restore a backup if it was a store"
    )]
    NoDatabase,
    /// Pages of the file are malformed.
    #[error(
        "the file is damaged ({0}): restore a backup, or save what is readable with `.recover` in the sqlite3 shell"
    )]
    Damaged(#[source] Cause),
    /// Any other error of the database.
    #[error("the store failed: {0}")]
    Database(#[source] Cause),
}

/// One line for each id.
fn listed(ids: &[JobId], more: bool) -> String {
    let lines: String = ids.iter().map(|id| format!("\n  {id}")).collect();
    if more { format!("{lines}\n  … and more") } else { lines }
}

impl StoreError {
    /// Whether the caller's request is the cause: the job's state or the current load does not allow it. The store
    /// itself did not fail.
    pub const fn is_of_the_asker(&self) -> bool {
        matches!(
            self,
            Self::NoJob(_)
                | Self::NoMatch(_)
                | Self::Ambiguous { .. }
                | Self::WrongState { .. }
                | Self::Superseded { .. }
                | Self::NoHandlerCompletion(_)
                | Self::NoBulk(_)
                | Self::SlowFilter
                | Self::LongFilter(_)
                | Self::TooManyLists
        )
    }

    /// Whether the same write may succeed later, once the disk or the lock is free, or the database answers again.
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Full
                | Self::ReadOnly(_)
                | Self::Busy
                | Self::Timeout
                | Self::Unavailable(_)
                | Self::Contended(_)
        )
    }

    /// Returns this error as the reason why the store at `path` cannot be opened, with the owner of the file.
    pub(crate) fn at(self, path: &Path) -> Self {
        match self {
            Self::ReadOnly(why) => {
                let text = format!("{why}; {}", paths::ownership(path));
                Self::Open { path: path.display().to_string(), why: Cause::with(text, why) }
            }
            other => other.while_opening(path),
        }
    }

    /// Adds to this error the file that could not be written, its owner, and the user of this process.
    pub(crate) fn named(self, path: &Path) -> Self {
        match self {
            Self::ReadOnly(why) => {
                let text = format!("{}: {why}; {}", path.display(), paths::ownership(path));
                Self::ReadOnly(Cause::with(text, why))
            }
            other => other,
        }
    }

    /// Adds the address of the database to this error. The address must contain no password.
    pub(crate) fn on(self, server: &str) -> Self {
        let named = |why: Cause| Cause::with(format!("{server}: {why}"), why);
        match self {
            Self::Unavailable(why) => Self::Unavailable(named(why)),
            Self::Refused(why) => Self::Refused(named(why)),
            Self::ReadOnly(why) => Self::ReadOnly(named(why)),
            Self::Contended(why) => Self::Contended(named(why)),
            Self::Database(why) => Self::Database(named(why)),
            other => other,
        }
    }

    /// Returns this error as the reason why the store at `path` cannot be opened.
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

    /// Whether the error concerns the disk or the file, so that every write would fail too.
    pub(crate) const fn concerns_all(&self) -> bool {
        matches!(
            self,
            Self::Full
                | Self::ReadOnly(_)
                | Self::Busy
                | Self::Closed
                | Self::NoDatabase
                | Self::Unavailable(_)
                | Self::Refused(_)
        )
    }
}
