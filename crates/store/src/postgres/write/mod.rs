//! How a change reaches the database: commands, the transaction, the writer, and the fate of commits without a reply.

pub(crate) mod command;
pub(crate) mod counts;
pub(crate) mod error_groups;
pub(crate) mod fate;
pub(crate) mod rows;
pub(crate) mod session;
pub(crate) mod text;
pub(crate) mod transaction;
pub(crate) mod writer;
