//! Collects what a test logs, so that the test can read it. Only a dev-dependency: no program contains this crate.
//!
//! ```
//! let log = salesbot_bridge_test_log::collect(tracing::Level::INFO);
//! tracing::info!(job = 7, "job finished");
//! assert_eq!(log.with("job=7").len(), 1);
//! ```
//!
//! # Promises
//!
//! - A [`CollectedLog`] holds the lines of the thread that called [`collect`], and no line of a test beside it.
//! - No test in the process can keep a line from another one, if the fixture of both calls [`prepare`] first. Tracing
//!   remembers for each line of code whether anyone wants it. While only one subscriber exists, the first thread that reaches
//!   the line answers for all; most tests have no subscriber, so the answer would be "no" for good. [`prepare`] therefore
//!   keeps two subscribers for as long as the process runs.

mod collect;

pub use collect::{CollectedLog, collect, prepare};
