//! Periodic maintenance: leases, deletions, dropped bodies, partitions, the owner's lock, the service time.

mod bodies;
mod bulks;
pub(crate) mod delete;
pub(crate) mod history;
mod ids;
pub(crate) mod keys;
pub(crate) mod leases;
mod outside;
mod owner;
pub(crate) mod partitions;
pub(crate) mod probe;
pub(crate) mod room;
pub(crate) mod schedule;
pub(crate) mod search;
pub(crate) mod service_time;
mod snapshots;
pub(crate) mod unclaimed;
mod vacuum;
