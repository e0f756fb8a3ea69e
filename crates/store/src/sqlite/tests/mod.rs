//! What only SQLite has: its files, its schema, its plans, and rows that the program cannot have written.

mod corrupt;
mod log;
mod open;
mod permissions;
mod plans;
mod schema;

use crate::tests::*;
