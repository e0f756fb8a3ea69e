//! The durable store of the bridge: the only crate that uses a database, and the only place where the rooms of the bridge
//! meet.
//!
//! It guarantees three things. A job that [`Jobs::accept`] acknowledged survives any crash. A job changes state only from
//! the state and under the claim that the writer of the change has seen (fencing). A write is on the disk when its future
//! completes. One process owns a store. Other processes may observe it: read it, and retry or cancel jobs.
//!
//! [`Store`] lends a handle for each subject: [`Jobs`], [`Accounts`], [`OAuth`], [`Maintenance`]. A store has one of two
//! engines, each in a private module: a SQLite file, or a PostgreSQL database. The other modules suit both: group commit,
//! decisions about jobs, records, budgets, lanes, clocks. [`outside`] inspects a store without opening it. [`mod@file`],
//! [`backup`] and [`inspect`] are for SQLite files, and [`database`] is for PostgreSQL.

mod address;
mod awaiting;
pub mod backup;
mod budget;
mod cause;
mod commit;
pub mod database;
mod engine;
mod error;
mod feed;
pub mod file;
mod handles;
pub mod inspect;
mod jobs;
mod lanes;
mod lock;
mod maintenance;
pub mod outside;
mod postgres;
mod records;
mod retry;
mod sqlite;
#[cfg(test)]
mod testing;
mod time;

#[cfg(test)]
use sqlite::testing::Place;
#[cfg(test)]
mod tests;

pub use address::{StoreKind, StoreUrl, check_url};
pub use budget::OverBudget;
pub use cause::Cause;
pub use error::StoreError;
pub use feed::ChangedJobs;
pub use handles::{Accounts, Callbacks, Errors, Jobs, Maintenance, OAuth, Operator, Store};
pub use lanes::{Lanes, Slot};
#[cfg(any(test, feature = "testing"))]
pub use postgres::testing as postgres_testing;
pub use records::{
    Accepted, Action, ActionFilter, ActionKind, ActionPage, ActionResult, ActionSource, Actor, AwaitingClaim,
    BadErasure, Bulk, BulkAction, BulkOrder, BulkPlan, CodeLimits, Completed, DeadInGroup, Erasable, Erasure,
    ErrorCounts, ErrorGroup, ErrorGroupPage, ErrorGroupPosition, FallbackCount, HandlerStats, HistoryPoint,
    JobFilter, KeptCode, KeptHistory, Leased, ListedErrors, LongestDue, NewCode, NewConnection,
    OldestUnfinished, Overdue, Page, Pair, PendingRevocation, RecentOutcomes, Renewal, Retention, Role,
    SealedCode, StateUse, Stats, Stopped, StoredKey, Surroundings, UnfinishedJob, Waits, Written,
};
pub use retry::{Resend, RetriedDead, RetryOptions};
