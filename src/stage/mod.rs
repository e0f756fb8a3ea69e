//! The parts that `work` and `deliver` share. Both are stages: a stage claims jobs from the store, runs one task per
//! job, writes a report for each, and stops in two steps. This room does not know about handlers or Kommo.
//!
//! - [`StageRuntime`] owns the tasks: the loop that claims, the limit on unwritten reports, and the stop.
//! - [`Started`] measures one attempt.
//! - [`handler_span`] and [`delivery_span`] add the job's id to the log lines of the code that an attempt calls.

mod runtime;
mod span;
mod started;

pub use runtime::{StageRuntime, claim_together};
pub use span::{delivery_span, handler_span};
pub use started::Started;

use std::time::Duration;

/// How much longer a lease is than the longest attempt. It leaves time to write the report.
pub const LEASE_MARGIN: Duration = Duration::from_secs(60);
