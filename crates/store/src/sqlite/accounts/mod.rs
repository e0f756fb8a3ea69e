//! Connected accounts, what is kept for OAuth beside them, and what their deliveries wait for.

pub(crate) mod connections;
pub(crate) mod directory;
pub(crate) mod oauth;
pub(crate) mod oauth_commands;
pub(crate) mod waits;
