//! Operator actions on jobs: cancel and retry.

pub(crate) mod cancel;
pub(crate) mod retry;
