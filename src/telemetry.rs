//! What the program tells about itself: log lines on stderr, and numbers for Prometheus.
//!
//! Both are things of the whole process. A second bridge in the same process, as in tests, gets what
//! the first one installed. A program that embeds the bridge and has a logger of its own keeps it.

mod recorder;

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

pub use recorder::{recorder, upkeep};

/// Sends the log to stderr: text on a terminal, else JSON, unless `log.format` says which.
///
/// If the process has a logger already, that one stays.
///
/// # Errors
/// `log.filter` is no filter.
pub fn init_log(log: &Log) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(|error| LogError { filter: log.filter.clone(), why: error.to_string() })?;
    let terminal = io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // It would complain about a stderr that nobody reads any more on that very stderr, and panic over it.
        .log_internal_errors(false);
    let _has_one = match format(log.format, terminal) {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
        // Left alone on a terminal, it heeds NO_COLOR.
        LogFormat::Text if terminal => lines.try_init(),
        LogFormat::Text => lines.with_ansi(false).try_init(),
    };
    Ok(())
}

fn format(wanted: Option<LogFormat>, terminal: bool) -> LogFormat {
    wanted.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json })
}

/// `log.filter` is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "log.filter: `{filter}` is no filter ({why}): write levels like `info` or `info,salesbot_bridge=debug`"
)]
pub struct LogError {
    filter: String,
    why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_follows_the_terminal_unless_told() {
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
    fn a_bad_filter_is_named_and_a_second_start_is_no_mistake() {
        let error = init_log(&Log { format: None, filter: "info,a=loud".into() }).unwrap_err().to_string();
        assert!(error.starts_with("log.filter: `info,a=loud` is no filter"), "{error}");
        let log = Log { format: Some(LogFormat::Text), filter: "off".into() };
        assert_eq!(init_log(&log), Ok(()));
        assert_eq!(init_log(&log), Ok(()));
    }
}
