//! The way to the database: reads `store.url`, connects, refuses databases that cannot hold a store, and translates errors.

pub(crate) mod backoff;
pub(crate) mod call;
pub(crate) mod error;
pub(crate) mod open;
pub(crate) mod owner_lock;
mod server_checks;
pub(crate) mod session;
pub(crate) mod url;

#[cfg(test)]
mod tests;
