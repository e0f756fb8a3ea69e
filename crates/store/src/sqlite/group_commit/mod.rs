//! The one task that writes, and the queue in front of it.

pub(crate) mod queue;
pub(crate) mod writer;
