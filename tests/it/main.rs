//! Tests of the library as its users see it: real bridges with real configurations, on real sockets and real SQLite
//! files. Only Kommo is simulated.
//!
//! One file per subject; [`bridge`] is the harness. No test sleeps: each waits for an event, with a timeout.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod accepts;
mod answers;
mod bridge;
mod budget;
mod conversations;
mod explain;
mod handlers;
mod hostile_handlers;
mod hostile_kommo;
mod hostile_values;
mod http_handlers;
mod kit;
mod kit_ends;
mod kommo;
mod later;
mod oauth;
mod pace;
mod pauses;
mod played;
mod process;
mod public_names;
mod refusals;
mod restart;
mod setup;
mod states;
mod traps;
mod unavailable;
mod work;
