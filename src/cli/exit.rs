//! How a command ends.

use std::io::Write;
use std::process::ExitCode;

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
            Err(error) => Self::running(format!("{error:#}")),
        }
    }
}

/// Says on stderr what went wrong.
pub(super) fn fail(failure: &Failure) -> ExitCode {
    // Nobody is there to hear that nobody hears.
    let _unheard = writeln!(anstream::stderr(), "salesbot-bridge: {}", failure.message);
    ExitCode::from(failure.status)
}

/// Prints a result on stdout. A reader that went away, as in `| head`, is no mistake.
pub(super) fn print(text: &str) {
    let _unread = writeln!(anstream::stdout(), "{text}");
}
