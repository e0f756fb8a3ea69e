//! Connected accounts, their OAuth data, and the reasons why their deliveries wait.

pub(crate) mod connections;
pub(crate) mod directory;
pub(crate) mod oauth;
pub(crate) mod oauth_commands;
pub(crate) mod waits;
