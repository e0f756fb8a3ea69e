//! Telemetry: log lines on stderr, and metrics for Prometheus.
//!
//! Both belong to the whole process. A second bridge in the same process, as in tests, uses what the first one
//! installed. A program that embeds the bridge and has its own logger keeps it. Code that logs never waits for the
//! reader of stderr: see [`queue`].

mod panics;
mod process;
mod queue;
mod recorder;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::config::{LogConfig, LogFormat};
use crate::terminal::{Keep, harmless};

use queue::{Lines, LogQueue};

pub use panics::log_panics;
pub use recorder::{maintain, name_program, recorder, render};

/// The size of the log's queue: enough for several thousand lines while the reader of stderr is slow.
const MAX_QUEUED_BYTES: usize = 1 << 20;
/// How long the process waits at its end until the last lines are written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The queue of the logger that [`init_log`] installed.
static LOG: OnceLock<LogQueue> = OnceLock::new();
/// Held while a logger is installed.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Sends the log to stderr, in the format of `log.format`; by default as text on a terminal and as JSON elsewhere. Lines
/// that stderr does not take in time are dropped and counted.
///
/// If the process already has a logger, that logger stays.
///
/// # Errors
/// `log.filter` is invalid, or the system cannot create the log's thread or file descriptor.
pub fn init_log(log: &LogConfig) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(|source| LogError::Filter { filter: log.filter.clone(), source })?;
    let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if has_log() {
        return Ok(());
    }
    let terminal = io::stderr().is_terminal();
    // A separate descriptor, because a thread that writes through `io::stderr` holds a lock that others wait for.
    let stderr = io::stderr().as_fd().try_clone_to_owned().map_err(LogError::Start)?;
    let queue =
        LogQueue::start(File::from(stderr), MAX_QUEUED_BYTES, log_dropped).map_err(LogError::Start)?;
    let format = format(log.format, terminal);
    let prepare = match format {
        LogFormat::Json => json_line,
        LogFormat::Text => text_line,
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Lines { queue: queue.clone(), prepare })
        // Otherwise, when no one reads stderr any longer, the subscriber would report that on stderr, and panic.
        .log_internal_errors(false);
    let installed = match format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
        // The default for a terminal respects NO_COLOR.
        LogFormat::Text if terminal => lines.try_init(),
        LogFormat::Text => lines.with_ansi(false).try_init(),
    };
    match installed {
        Ok(()) => drop(LOG.set(queue)),
        Err(_has_one) => queue.close(),
    }
    Ok(())
}

/// Waits a short time until the log's lines are written. A stalled reader must not keep the process alive.
pub async fn flush_log() {
    // Lines that are not written by then are lost. All blocking threads may be busy, so the wait needs its own timeout.
    let flushed = tokio::task::spawn_blocking(|| flush_within(FLUSH_TIMEOUT));
    let _too_late = tokio::time::timeout(FLUSH_TIMEOUT * 2, flushed).await;
}

/// Blocks the thread until the log's lines are written or `time` has passed.
fn flush_within(time: Duration) {
    if let Some(queue) = LOG.get() {
        let _all = queue.flush(time);
    }
}

/// Whether the process logs through [`init_log`], and not through its own logger.
fn has_log() -> bool {
    LOG.get().is_some()
}

fn log_dropped(lines: u64) {
    tracing::warn!(lines, "log lines were dropped: stderr was not read fast enough");
}

/// Escapes terminal controls in a line of JSON. They occur only inside strings, where the escape is valid JSON.
fn json_line(line: &[u8]) -> Vec<u8> {
    harmless(&as_text(line), Keep::Lines).into_owned().into_bytes()
}

/// Makes a text event one line, whatever its values contain. Keeps colours, which are ours: the formatter has escaped
/// those in values.
fn text_line(line: &[u8]) -> Vec<u8> {
    let line = as_text(line);
    let line = line.strip_suffix('\n').unwrap_or(&line).replace('\n', "\\n");
    let mut line = harmless(&line, Keep::Colours).into_owned();
    line.push('\n');
    line.into_bytes()
}

/// The line as text. The formatter writes UTF-8, which this checks faster than [`String::from_utf8_lossy`].
fn as_text(line: &[u8]) -> Cow<'_, str> {
    str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed)
}

fn format(wanted: Option<LogFormat>, terminal: bool) -> LogFormat {
    wanted.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json })
}

/// Why the log cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `log.filter` is invalid.
    #[error(
        "log.filter: invalid filter `{filter}` ({source}): write levels like `info` or `info,salesbot_bridge=debug`"
    )]
    Filter {
        /// The configured filter.
        filter: String,
        /// Why it is invalid.
        source: ParseError,
    },
    /// The system cannot create a thread or a file descriptor.
    #[error("cannot start the log: {0}")]
    Start(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_follows_the_terminal_unless_configured() {
        for (wanted, terminal, expected) in [
            (None, true, LogFormat::Text),
            (None, false, LogFormat::Json),
            (Some(LogFormat::Json), true, LogFormat::Json),
            (Some(LogFormat::Text), false, LogFormat::Text),
        ] {
            assert_eq!(format(wanted, terminal), expected, "{wanted:?} {terminal}");
        }
    }

    #[test]
    fn an_event_is_one_line_without_terminal_controls() {
        let colours = "\u{1b}[33m WARN\u{1b}[0m a\nb\u{202e}\u{9b}c\n";
        assert_eq!(text_line(colours.as_bytes()), b"\x1b[33m WARN\x1b[0m a\\nb\\u202e\\u009bc\n");
        assert_eq!(text_line(b""), b"\n");
        let json = "{\"why\":\"a\u{202e}\"}\n";
        assert_eq!(json_line(json.as_bytes()), b"{\"why\":\"a\\u202e\"}\n");
    }

    #[test]
    fn a_bad_filter_is_reported_and_a_second_start_succeeds() {
        let error =
            init_log(&LogConfig { format: None, filter: "info,a=loud".into() }).unwrap_err().to_string();
        assert!(error.starts_with("log.filter: invalid filter `info,a=loud`"), "{error}");
        let log = LogConfig { format: Some(LogFormat::Text), filter: "off".into() };
        assert!(init_log(&log).is_ok());
        assert!(init_log(&log).is_ok());
    }
}
