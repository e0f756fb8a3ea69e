//! The library as its users have it: real bridges, configured as operators configure them, on real sockets
//! and real SQLite files. Only Kommo is played, by the crate's own simulator.
//!
//! A file a room; [`bridge`] is the harness. No test sleeps: each waits for an event, within a limit.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod accepts;
mod answers;
mod bridge;
mod budget;
mod handlers;
mod hostile_handlers;
mod hostile_kommo;
mod hostile_values;
mod kit;
mod kommo;
mod oauth;
mod pace;
mod pauses;
mod played;
mod process;
mod refusals;
mod restart;
mod setup;
mod states;
mod traps;
mod unavailable;
mod work;
