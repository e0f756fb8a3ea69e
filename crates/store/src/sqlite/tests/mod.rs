//! What only SQLite has: its files, its schema, its plans, its statements one by one, and rows that the program cannot have
//! written.

mod accept;
mod accounts;
mod ages;
mod bodies;
mod budget;
mod claims;
mod commit;
mod corrupt;
mod disk;
mod hand_over;
mod jumps;
mod keep;
mod lanes;
mod lists;
mod log;
mod oauth;
mod open;
mod people;
mod permissions;
mod plans;
mod read;
mod retry;
mod schema;
mod stale;
mod supersede;
mod unclaimed;
mod waits;

use super::write::command::{Command, Queued};
use super::write::message::Message;
use super::write::post_commit::PostCommit;
use crate::tests::*;
