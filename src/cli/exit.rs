//! How a command ends.

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
            Err(error) => {
                let status = if error.is::<Usage>() { 2 } else { 1 };
                Self { message: with_causes(&error), status }
            }
        }
    }
}

/// The error and its causes on one line, without those that are part of what stands in front of them.
fn with_causes(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}

/// The command was used wrongly, and nothing was done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// How long a message on stderr is waited for: an unread pipe must not keep the process alive.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(2);

/// Says on stderr what went wrong.
pub(super) fn fail(failure: &Failure) -> ExitCode {
    complain(&failure.message);
    ExitCode::from(failure.status)
}

/// What messages on stderr begin with, once the program has said what it is called.
static PROGRAM: OnceLock<&'static str> = OnceLock::new();

/// Lets messages on stderr begin with this name. The first call decides: a process is one program.
pub(super) fn name_program(name: &'static str) {
    let _named_before = PROGRAM.set(name);
}

fn attributed(message: &str) -> String {
    format!("{}: {message}", PROGRAM.get().unwrap_or(&"salesbot-bridge"))
}

/// Says on stderr what is wrong.
pub(super) fn complain(message: &str) {
    notice(&attributed(message));
}

/// Says on stderr what a reader of the result should know. On a thread of its own; waits for it, but not long.
pub(super) fn notice(message: &str) {
    let text = format!("{}\n", Screen::stderr().fold(&harmless(message, Keep::Lines)));
    let (sender, receiver) = mpsc::channel();
    let write = move || {
        // No one is there to learn that no one reads.
        let _unheard = anstream::stderr().write_all(text.as_bytes());
        let _too_late = sender.send(());
    };
    // Without a thread there is nothing else to do than to exit with the status.
    if thread::Builder::new().name("message".to_owned()).spawn(write).is_ok() {
        let _too_slow = receiver.recv_timeout(MESSAGE_TIMEOUT);
    }
}

/// Prints a result on stdout.
///
/// # Errors
/// It could not be written, to a full disk perhaps.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    print_to(&mut anstream::stdout(), &format!("{text}\n"))
}

/// Writes a result to `out`, without what steers a terminal, colours apart.
///
/// # Errors
/// As [`print`].
pub(super) fn print_to(out: &mut impl Write, text: &str) -> anyhow::Result<()> {
    printed(out.write_all(harmless(text, Keep::Colours).as_bytes()).and_then(|()| out.flush()))
}

/// Prints a result of a command that has more to do than to print: on a thread that may block, until `stop`. A reader
/// that stalls holds up neither the event loop nor the stop.
///
/// # Errors
/// As [`print`]; or `stop` came first.
#[cfg(feature = "tools")]
pub(super) async fn print_until(stop: &CancellationToken, text: String) -> anyhow::Result<()> {
    let written = tokio::task::spawn_blocking(move || print(&text));
    match stop.run_until_cancelled(written).await {
        Some(written) => written.context("cannot write to stdout")?,
        None => anyhow::bail!("stopped before the result was read from stdout"),
    }
}

/// What comes of having written to stdout. A reader that went away, as in `| head`, is no mistake.
fn printed(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to stdout"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_printed_once() {
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
    fn what_commands_print_cannot_steer_the_terminal() {
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
