//! Panics go into the log like everything else.
//!
//! The standard hook writes to stderr itself, and a thread that panics while no one reads would wait for a reader: a handler's
//! thread, a task of the bridge, and then all who wait for the same lock. It also shows every message, and a message may quote
//! a customer ([`panics`]).

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::thread;
use std::time::Duration;

use crate::panics;

use super::{flush_within, has_log};

/// A panic while another one unwinds ends the process: the line has to be out by then, if it can be.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(100);

/// Logs panics in place of the standard hook, if the log is ours. A program with a logger of its own keeps its hook.
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
    let said = panics::said(info.payload());
    // As with the standard hook, it is there if RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(thread, place, %backtrace, "panicked: {said}");
    } else {
        tracing::error!(thread, place, "panicked: {said}");
    }
    flush_within(FLUSH_TIMEOUT);
}
