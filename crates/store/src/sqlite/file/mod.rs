//! The database file and the files beside it: how they are created, opened, locked and recognised, and how long the log
//! is.

pub(crate) mod create;
pub(crate) mod identity;
pub(crate) mod log;
mod migrations;
pub(crate) mod open;
mod owner_lock;
pub(crate) mod path;
pub(crate) mod proc_locks;
pub(crate) mod room;
mod schema;
