//! Collects the log lines of a test, so that the test can check them. The crate is only a dev-dependency: no program
//! contains it.
//!
//! ```
//! let log = salesbot_bridge_test_log::collect(tracing::Level::INFO);
//! tracing::info!(job = 7, "job finished");
//! assert_eq!(log.with("job=7").len(), 1);
//! ```
//!
//! # Promises
//!
//! - A [`CollectedLog`] contains the lines of the thread that called [`collect`], and no lines of other tests.
//! - No test can hide a line from another test, if the fixtures of both first call [`prepare`]. For each log statement,
//!   tracing caches whether a subscriber wants it. While only one subscriber exists, the first thread that reaches the
//!   statement decides for all threads. Most tests have no subscriber, so the cached answer would stay "no". [`prepare`]
//!   therefore keeps two subscribers while the process runs.

mod collect;

pub use collect::{CollectedLog, collect, prepare};
