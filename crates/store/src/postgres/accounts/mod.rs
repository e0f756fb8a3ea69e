//! Connected accounts, their waits, and the OAuth data.

pub(crate) mod connections;
mod directory;
mod oauth;
pub(crate) mod oauth_commands;
pub(crate) mod waits;
