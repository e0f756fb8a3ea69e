//! Tests of the real program as a child process, with the library's simulator in this process as Kommo. They cover what a
//! test inside one process cannot: kills, signals, exit statuses, and the contents of stdout and stderr.
//!
//! Only the crash rig sleeps, to time its kills. The other tests wait for a line or for the end of a process, or poll
//! until a deadline, with each round trip as the pause. Dropping the handle of a process kills the process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "tests, and the functions that only tests call"
)]

mod accounts;
mod actions;
mod attacks;
mod backup;
mod bench;
mod browser;
mod bulk;
mod callers;
mod commands;
mod connected;
mod conversations;
mod crash_budget;
mod crash_rig;
mod demo;
mod dev;
#[cfg(target_os = "linux")]
mod disk;
mod disk_bad;
#[cfg(target_os = "linux")]
mod disk_faults;
mod disk_full;
mod disk_gone;
mod doctor;
mod drills;
mod erase;
mod filling;
mod home;
mod http_examples;
mod init;
mod job_span;
mod jobs;
mod lines;
mod long_log;
#[cfg(target_os = "linux")]
mod many_awaiting;
mod numbers;
mod oauth_secrets;
mod one_owner;
mod open_files;
mod own_handlers;
mod pipes;
#[cfg(target_os = "linux")]
mod postgres;
mod power_loss;
mod process;
mod pty;
mod refusals;
mod reload;
mod restart;
#[path = "../rig/mod.rs"]
mod rig;
mod secrets;
mod serve;
mod simulate;
mod slow_callers;
mod small_disk;
mod stopping;
mod story;
mod stuck;
mod terminal;
mod tutorial;
mod typed;
mod unread;
mod widget_package;
mod widgets;

use std::time::Duration;

/// The longest wait for one event. Every event comes much sooner, even on a busy machine.
const TEST_TIMEOUT: Duration = Duration::from_secs(40);
