//! What `work` and `deliver` share. Both are stages: a stage claims jobs from the store, runs one task for each, writes a
//! report, and stops in two steps. This room knows nothing of handlers or of Kommo.
//!
//! - [`StageRuntime`] owns the tasks: the loop that claims, the bound on unwritten reports, and the stop.
//! - [`Started`] measures one attempt.
//! - [`handler_span`] and [`delivery_span`] put the job's id on the log lines of what an attempt calls.

mod runtime;
mod span;
mod started;

pub use runtime::{StageRuntime, claim_together};
pub use span::{delivery_span, handler_span};
pub use started::Started;

use std::time::Duration;

/// How much longer a lease lasts than the longest attempt: the time to write the report.
pub const LEASE_MARGIN: Duration = Duration::from_secs(60);
