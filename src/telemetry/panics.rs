//! Sends panics to the log.
//!
//! The standard hook writes directly to stderr. If no one reads stderr, a thread that panics would block: a handler's
//! thread or a task of the bridge, and then every thread that waits for a lock it holds. The standard hook also prints
//! every message, and a message may quote a customer ([`panics`]).

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::thread;
use std::time::Duration;

use crate::panics;

use super::{flush_within, has_log};

/// How long a panic waits for its line to be written, because a second panic during unwinding would abort the process.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(100);

/// Logs panics instead of the standard hook, if [`init_log`](super::init_log) installed the logger. A program with its
/// own logger keeps its hook.
pub fn log_panics() {
    if has_log() {
        std::panic::set_hook(Box::new(log_panic));
    }
}

fn log_panic(info: &PanicHookInfo<'_>) {
    panics::note_place(info);
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let message = panics::loggable_text(info.payload());
    // As in the standard hook, RUST_BACKTRACE turns it on.
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(thread, place, %backtrace, "panicked: {message}");
    } else {
        tracing::error!(thread, place, "panicked: {message}");
    }
    flush_within(FLUSH_TIMEOUT);
}
