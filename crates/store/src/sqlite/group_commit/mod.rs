//! The one task that writes, the queue in front of it, and the batches that it writes.

pub(crate) mod batch;
pub(crate) mod queue;
pub(crate) mod writer;
