//! Maintenance, for any engine: its intervals, and what it decides. No statement is here.

pub(crate) mod bodies;
pub(crate) mod chunks;
pub(crate) mod shift;
pub(crate) mod steps;
