//! The one thread that writes, the queue in front of it, the batches that it writes, and the answers to their callers.

pub(crate) mod batch;
pub(crate) mod completion;
pub(crate) mod fairness;
pub(crate) mod queue;
pub(crate) mod writer;
