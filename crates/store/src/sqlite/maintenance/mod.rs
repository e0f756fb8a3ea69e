//! Periodic maintenance: checkpoints, leases, deletions, dropped bodies, the service time.

pub(crate) mod bodies;
mod bulks;
mod cache;
mod checkpoints;
pub(crate) mod delete;
pub(crate) mod history;
pub(crate) mod inspect;
pub(crate) mod keys;
pub(crate) mod leases;
mod probe;
mod room;
pub(crate) mod schedule;
pub(crate) mod search;
pub(crate) mod service_time;
pub(crate) mod unclaimed;
