//! The database file and the files beside it: creates, opens, locks and recognizes them, copies and
//! replaces a whole store, and limits the log.

pub(crate) mod copy;
pub(crate) mod create;
pub(crate) mod identity;
pub(crate) mod log;
pub(crate) mod migrations;
pub(crate) mod open;
mod owner_lock;
pub(crate) mod path;
pub(crate) mod proc_locks;
pub(crate) mod replace;
pub(crate) mod room;
mod schema;
pub(crate) mod sizes;
pub(crate) mod verify;
