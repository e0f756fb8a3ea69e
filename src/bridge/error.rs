//! Why a bridge does not run.

use std::fmt;
use std::net::SocketAddr;

use crate::config::ConfigError;
use crate::telemetry::LogError;
use kommo::HttpClientError;
use model::HandlerNameError;
use store::StoreError;

/// Why a bridge does not run. What an operator reads in [`Display`](fmt::Display) is also its debug form, because
/// that is what a `main` that returns it prints.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no log: `log.filter` is refused, or the system lacks what it takes.
    #[error(transparent)]
    Log(LogError),
    /// A handler was registered under something that is no name.
    #[error("the handler `{name}` cannot be registered: {source}")]
    HandlerName {
        /// What was given.
        name: String,
        /// What is allowed.
        source: HandlerNameError,
    },
    /// Two handlers want one name.
    #[error("two handlers are called `{0}`: remove handlers.{0}.kind, or one of the registrations")]
    HandlerTwice(String),
    /// The configuration names a handler that no one provides.
    #[error(
        "{}handlers.{name}: nobody provides this handler; set handlers.{name}.kind to one of: {kinds}; or register it \
         in the program",
        place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default()
    )]
    NoSuchHandler {
        /// Its name.
        name: String,
        /// Where the configuration names it: `FILE:LINE` or `environment variable NAME`.
        place: Option<String>,
        /// The built-in kinds.
        kinds: String,
    },
    /// There is nothing to call.
    #[error(
        "there is no handler: add [handlers.NAME] with a kind (one of: {0}), or register one in the program"
    )]
    NoHandlers(String),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(StoreFailure),
    /// There is no HTTP client.
    #[error(transparent)]
    Client(#[from] HttpClientError),
    /// A listener cannot be opened.
    #[error("{key}: cannot listen on {address}: {source}")]
    Listen {
        /// The key of the configuration.
        key: &'static str,
        /// Its value.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Signals cannot be listened to.
    #[error("cannot listen to signals: {0}")]
    Signals(#[source] std::io::Error),
    /// There are no threads for handlers.
    #[error("cannot start the threads of the handlers: {0}")]
    Threads(#[source] std::io::Error),
    /// A part of the bridge ended though no one asked for it.
    #[error(
        "{0} ended unexpectedly; what was acknowledged is in the store, and the next start goes on with it"
    )]
    Ended(&'static str),
}

/// Why the store cannot be opened. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct StoreFailure(StoreError);

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(StoreFailure(error))
    }
}

impl Error {
    /// The exit status that tells what kind of mistake it is: 2 for usage and configuration (a store that
    /// another process serves is one), 1 for what failed while running.
    pub const fn exit_status(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Log(LogError::Filter { .. })
            | Self::HandlerName { .. }
            | Self::HandlerTwice(_)
            | Self::NoSuchHandler { .. }
            | Self::NoHandlers(_)
            | Self::Store(StoreFailure(
                StoreError::Url(_)
                | StoreError::NotAStore { .. }
                | StoreError::InUse { .. }
                | StoreError::Newer { .. }
                | StoreError::Unreleased { .. },
            )) => 2,
            _ => 1,
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
