//! How a change reaches the database: messages to the writer, commands, the statements of its connection, the
//! transaction, and its post-commit changes.

pub(crate) mod account_bytes;
pub(crate) mod bind;
pub(crate) mod command;
pub(crate) mod error_groups;
pub(crate) mod insert;
pub(crate) mod known_keys;
pub(crate) mod transaction;
