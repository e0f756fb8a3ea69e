//! The one thread that writes.

pub(crate) mod writer;
