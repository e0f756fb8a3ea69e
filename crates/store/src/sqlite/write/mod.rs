//! How a change reaches the database: messages to the writer, commands, statements over one or many rows, the
//! transaction, and its post-commit changes.

pub(crate) mod account_bytes;
pub(crate) mod command;
pub(crate) mod known_keys;
pub(crate) mod message;
pub(crate) mod named;
pub(crate) mod post_commit;
pub(crate) mod single_row;
pub(crate) mod statement;
pub(crate) mod transaction;
