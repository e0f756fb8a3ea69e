//! Opening and closing: from a file to an engine that runs, and back.

pub(crate) mod close;
pub(crate) mod open;
mod recover;
