//! The one task that writes, what waits in front of it, and what goes into one transaction.

pub(crate) mod batch;
pub(crate) mod queue;
pub(crate) mod writer;
