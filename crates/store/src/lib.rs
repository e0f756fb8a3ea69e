//! The store: the only crate that knows a database, and the only place where the rooms of the bridge meet.
//!
//! What it promises: a job that [`Jobs::accept`] acknowledged is there after any crash; a job changes state only from the
//! state and the claim that the writer of the change has seen (fencing). A write is on the disk when its future completes.
//! One process owns a store; an observer may read, retry and cancel jobs.
//!
//! [`Store`] lends a handle for each subject: [`Jobs`], [`Accounts`], [`OAuth`], [`Maintenance`]. Which database is behind
//! them is known to one private module alone. That engine uses what any engine needs: records, budgets, lanes, clocks.
//! [`mod@file`] says what can be seen of a store in a file without opening it.

mod budget;
mod cause;
mod error;
pub mod file;
mod handles;
mod lanes;
mod records;
mod retry;
mod sqlite;
mod time;

#[cfg(test)]
mod tests;

pub use budget::OverBudget;
pub use cause::Cause;
pub use error::StoreError;
pub use handles::{Accounts, Jobs, Maintenance, OAuth, Store};
pub use lanes::{Lanes, Slot};
pub use records::{
    Accepted, CodeLimits, FallbackCount, JobFilter, KeptCode, Leased, LongestDue, NewCode, NewConnection,
    Page, Pair, PendingRevocation, RecentOutcomes, Renewal, Retention, Role, SealedCode, StateUse, Stats,
    Waits, Written,
};
pub use retry::{Resend, RetriedDead, RetryOptions};
