//! How a command ends.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;

use crate::bridge;

/// Why a command failed.
pub(super) struct Failure {
    message: String,
    status: u8,
}

impl Failure {
    /// It failed while running.
    pub(super) const fn running(message: String) -> Self {
        Self { message, status: 1 }
    }

    /// It was asked for what cannot be, or the configuration lacks what it takes.
    pub(super) const fn usage(message: String) -> Self {
        Self { message, status: 2 }
    }
}

impl From<bridge::Error> for Failure {
    fn from(error: bridge::Error) -> Self {
        Self { status: error.exit_status(), message: error.to_string() }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<bridge::Error>() {
            Ok(error) => error.into(),
            // With its causes, on one line.
            Err(error) => {
                let status = if error.is::<Usage>() { 2 } else { 1 };
                Self { message: format!("{error:#}"), status }
            }
        }
    }
}

/// The command was used wrongly, and nothing was done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// Says on stderr what went wrong.
pub(super) fn fail(failure: &Failure) -> ExitCode {
    // Nobody is there to hear that nobody hears.
    let _unheard = writeln!(anstream::stderr(), "salesbot-bridge: {}", failure.message);
    ExitCode::from(failure.status)
}

/// Prints a result on stdout.
///
/// # Errors
/// It could not be written, to a full disk perhaps.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    printed(writeln!(anstream::stdout(), "{text}"))
}

/// What comes of having written to stdout. A reader that went away, as in `| head`, is no mistake.
///
/// # Errors
/// It could not be written for another reason.
pub(super) fn printed(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to stdout"),
    }
}
