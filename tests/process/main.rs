//! The real program as a child process, with the library's simulator in this process as Kommo: what no
//! test inside one process can show. Kills, signals, exit statuses, what stands on stdout and stderr.
//!
//! Nothing sleeps here, but for the moments of the crash rig's kills: a test waits for a line, for an end, or
//! asks again until a deadline, where the round trip is the pause. Every process that is started is killed when
//! its handle is dropped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "tests, and the functions that only tests call"
)]

mod accounts;
mod attacks;
mod bench;
mod callers;
mod commands;
mod connected;
mod crash_budget;
mod crash_rig;
mod demo;
#[cfg(target_os = "linux")]
mod disk;
mod disk_bad;
#[cfg(target_os = "linux")]
mod disk_faults;
mod disk_full;
mod disk_gone;
mod doctor;
mod filling;
mod home;
mod job_span;
mod jobs;
mod lines;
mod long_log;
mod oauth_secrets;
mod one_owner;
mod open_files;
mod own_handlers;
mod pipes;
#[cfg(target_os = "linux")]
mod power_loss;
mod process;
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
mod unread;
mod widget_package;
mod widgets;

use std::time::Duration;

/// The longest that a test waits for one thing: far more than it takes, even on a busy machine.
const TEST_TIMEOUT: Duration = Duration::from_secs(40);
