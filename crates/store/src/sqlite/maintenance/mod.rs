//! What keeps the store in order without being asked: checkpoints, leases, deletions, dropped bodies, the service time.

pub(crate) mod bodies;
pub(crate) mod delete;
pub(crate) mod schedule;
pub(crate) mod service_time;
pub(crate) mod unclaimed;
