//! How a change gets into the database: commands, statements over many rows, the transaction, and what follows its COMMIT.

pub(crate) mod account_bytes;
pub(crate) mod command;
pub(crate) mod post_commit;
pub(crate) mod statement;
pub(crate) mod transaction;
