//! The end of a command: its exit status, and what it writes to stdout and stderr.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::Context;
#[cfg(feature = "tools")]
use tokio_util::sync::CancellationToken;

use crate::bridge;
use crate::terminal::{Keep, harmless};

use super::screen::Screen;

/// Why a command failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    message: String,
    status: u8,
}

impl Failure {
    /// A failure while running: exit status 1.
    pub(super) const fn running(message: String) -> Self {
        Self { message, status: 1 }
    }

    /// Wrong usage, or a configuration that lacks what the command needs: exit status 2.
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
            Err(error) => {
                let status = if error.is::<Usage>() { 2 } else { 1 };
                Self { message: with_causes(&error), status }
            }
        }
    }
}

/// The error and its causes on one line. Skips a cause that the text before it already contains.
fn with_causes(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}

/// Wrong usage. The command has done nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// The longest wait for a message to be written to stderr: an unread pipe must not keep the process alive.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(2);

/// Reports the failure on stderr and returns its exit status.
pub(super) fn fail(failure: &Failure) -> ExitCode {
    complain(&failure.message);
    ExitCode::from(failure.status)
}

/// The name that messages on stderr begin with, once the program has set it.
static PROGRAM: OnceLock<&'static str> = OnceLock::new();

/// Sets the name that messages on stderr begin with. Only the first call has an effect: a process is one program.
pub(super) fn name_program(name: &'static str) {
    let _named_before = PROGRAM.set(name);
}

fn attributed(message: &str) -> String {
    format!("{}: {message}", PROGRAM.get().unwrap_or(&"salesbot-bridge"))
}

/// Writes a message to stderr, after the name of the program.
pub(super) fn complain(message: &str) {
    notice(&attributed(message));
}

/// Writes a note about the result to stderr. Writes on a separate thread and waits at most [`MESSAGE_TIMEOUT`].
pub(super) fn notice(message: &str) {
    let text = format!("{}\n", Screen::stderr().fold(&harmless(message, Keep::Lines)));
    let (sender, receiver) = mpsc::channel();
    let write = move || {
        // If stderr cannot be written, there is nowhere to report it.
        let _unheard = anstream::stderr().write_all(text.as_bytes());
        let _too_late = sender.send(());
    };
    // Without a thread, only the exit status reports the failure.
    if thread::Builder::new().name("message".to_owned()).spawn(write).is_ok() {
        let _too_slow = receiver.recv_timeout(MESSAGE_TIMEOUT);
    }
}

/// Prints a result to stdout.
///
/// # Errors
/// The result cannot be written, for example because the disk is full.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    print_to(&mut anstream::stdout(), &format!("{text}\n"))
}

/// Writes a result to `out`. Escapes all control characters except colours.
///
/// # Errors
/// As [`print()`].
pub(super) fn print_to(out: &mut impl Write, text: &str) -> anyhow::Result<()> {
    check_written(out.write_all(harmless(text, Keep::Colours).as_bytes()).and_then(|()| out.flush()))
}

/// Prints the result of a command that keeps running. Prints on a blocking thread, and gives up on `stop`, so a reader
/// that stalls delays neither the event loop nor the stop.
///
/// # Errors
/// As [`print()`]; or `stop` came first.
#[cfg(feature = "tools")]
pub(super) async fn print_until(stop: &CancellationToken, text: String) -> anyhow::Result<()> {
    let written = tokio::task::spawn_blocking(move || print(&text));
    match stop.run_until_cancelled(written).await {
        Some(written) => written.context("cannot write to stdout")?,
        None => anyhow::bail!("stopped before stdout was read to the end"),
    }
}

/// The result of writing to stdout. A reader that closed the pipe, as in `| head`, is not an error.
fn check_written(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to stdout"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_cause_is_printed_once() {
        let refused = store::StoreError::ReadOnly("disk sda1 failed".into());
        let failure = Failure::from(anyhow::Error::from(refused).context("job 7"));
        assert_eq!(failure.message, "job 7: the store cannot be written: disk sda1 failed");
        let failure = Failure::from(anyhow::anyhow!("no route").context("cannot connect"));
        assert_eq!(failure.message, "cannot connect: no route");
    }

    #[test]
    fn messages_begin_with_the_name_of_the_program() {
        assert_eq!(attributed("no route"), "salesbot-bridge: no route");
        name_program("greeter");
        name_program("another");
        assert_eq!(attributed("no route"), "greeter: no route");
    }

    #[test]
    fn printed_text_cannot_control_the_terminal() {
        for (text, expected) in [
            ("a\u{202e}b\u{2028}\u{9b}2J\n", "a\\u202eb\\u2028\\u009b2J\n"),
            ("\u{1b}[32mok\u{1b}[0m\u{1b}[2J\n", "\u{1b}[32mok\u{1b}[0m\\u001b[2J\n"),
        ] {
            let mut out = Vec::new();
            print_to(&mut out, text).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
