//! Group commit, for any engine: the messages to the writer, the queue in front of it, the batches that it writes, the
//! changes in memory that follow a commit, and the answers to the callers.

pub(crate) mod batch;
pub(crate) mod changes;
pub(crate) mod completion;
pub(crate) mod fairness;
pub(crate) mod message;
pub(crate) mod operations;
pub(crate) mod post_commit;
pub(crate) mod queue;
