//! What an operator does to jobs: cancel and retry.

pub(crate) mod cancel;
pub(crate) mod retry;
