//! The database file and the files beside it: creates, opens, locks and recognizes them, and limits the log.

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
