//! The values that go into a store and come out of it. They do not depend on the database.

mod accounts;
mod copies;
mod jobs;
mod listing;
mod log;
mod maintenance;
mod oauth;
mod outcomes;
mod role;

pub use accounts::{Leased, NewConnection, Renewal, Waits};
pub use copies::{Copied, Restored, StoreStats, Vacuumed};
pub use jobs::{Accepted, AwaitingClaim, Completed, LongestDue, Overdue, Stats, StoredKey, Written};
pub(crate) use jobs::{By, YOUNG};
pub use listing::{JobFilter, Page};
pub use log::{LogState, MAX_LOG_BYTES};
pub(crate) use maintenance::IsKnown;
pub use maintenance::Retention;
pub use oauth::{CodeLimits, KeptCode, NewCode, Pair, PendingRevocation, SealedCode, StateUse};
pub use outcomes::{FallbackCount, RecentOutcomes};
pub use role::Role;
