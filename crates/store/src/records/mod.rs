//! The values that go into a store and come out of it. They do not depend on the database.

mod accounts;
mod actions;
mod bulk;
mod copies;
mod database;
mod error_groups;
mod history;
mod jobs;
mod listing;
mod log;
mod maintenance;
mod oauth;
mod outcomes;
mod role;
mod surroundings;
mod unfinished;

pub use accounts::{Leased, NewConnection, Renewal, Waits};
pub use actions::{Action, ActionFilter, ActionKind, ActionPage, ActionResult, ActionSource, Actor};
pub use bulk::{BadErasure, Bulk, BulkAction, BulkOrder, BulkPlan, Erasable, Erasure};
pub(crate) use bulk::{NewBulk, kept_filter};
pub use copies::{BackupFile, Checked, Copied, Extent, Restored, Sizes, StoreStats, Vacuumed};
pub use database::{
    Connections, DatabaseFacts, DatabaseSizes, Durability, Fact, OldestSnapshot, Rights, ServerFacts,
    Standbys, TableRows, Vacuum, Way,
};
pub use error_groups::{
    DeadInGroup, ErrorCounts, ErrorGroup, ErrorGroupPage, ErrorGroupPosition, ListedErrors,
};
pub use history::{HistoryPoint, KeptHistory};
pub use jobs::{Accepted, AwaitingClaim, Completed, LongestDue, Overdue, Stats, StoredKey, Written};
pub(crate) use jobs::{By, YOUNG};
pub use listing::{JobFilter, Page, Stopped};
pub use log::{FileSizes, LogState, MAX_LOG_BYTES};
pub(crate) use maintenance::IsKnown;
pub use maintenance::Retention;
pub use oauth::{CodeLimits, KeptCode, NewCode, Pair, PendingRevocation, SealedCode, StateUse};
pub use outcomes::{FallbackCount, RecentOutcomes};
pub use role::Role;
pub use surroundings::{HandlerStats, Surroundings};
pub use unfinished::{OldestUnfinished, UnfinishedJob};
