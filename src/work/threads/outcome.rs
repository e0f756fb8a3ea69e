//! How the work of an attempt ended, and what a panic says. Panics may carry any payload, and dropping one runs the
//! handler's code, which may panic again.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::panics;

/// How a task ended.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::work) enum TaskOutcome<T> {
    /// It ended.
    Ended(T),
    /// It panicked with this message.
    Panicked(String),
    /// It was cancelled.
    Cancelled,
}

/// Runs `code`. If it panics, returns the loggable text of the panic, with its location.
pub(super) fn catch<T>(code: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(code)).map_err(message)
}

/// Drops the payload after reading it. If that panics, the second payload is leaked, because dropping it could panic too.
fn message(payload: Box<dyn Any + Send>) -> String {
    let message = panics::loggable_text(&*payload);
    let text =
        panics::take_place().map_or_else(|| message.clone(), |place| format!("{message} (at {place})"));
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
    text
}
