//! The command line: one file a command.

pub mod config;
pub mod health;
pub mod jobs;
mod jobs_text;
pub mod simulate;
