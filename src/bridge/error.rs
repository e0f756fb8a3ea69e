//! Why a bridge does not run.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::accounts::CallbackKeyError;
use crate::config::ConfigError;
use crate::handlers::HttpHandlerError;
use crate::telemetry::LogError;
use kommo::HttpClientError;
use model::HandlerNameError;
use store::StoreError;

/// An error of starting or running a bridge. The debug form is the same text as [`Display`](fmt::Display), because a
/// `main` that returns the error prints its debug form.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log cannot start: `log.filter` is invalid, or the system cannot create a thread or a file descriptor.
    #[error(transparent)]
    Log(LogError),
    /// A handler was registered under an invalid name.
    #[error("the handler `{name}` cannot be registered: {source}")]
    HandlerName {
        /// The invalid name.
        name: String,
        /// What is allowed.
        source: HandlerNameError,
    },
    /// Two handlers have the same name.
    #[error("two handlers have the name `{0}`: remove handlers.{0}.kind or one of the registrations")]
    HandlerTwice(String),
    /// The configuration names a handler that does not exist.
    #[error(
        "{}handlers.{name}: no one provides this handler; set handlers.{name}.kind to one of: {kinds}; or register it \
         in the program",
        place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default()
    )]
    NoSuchHandler {
        /// The handler's name.
        name: String,
        /// Where the configuration names it: `FILE:LINE` or `environment variable NAME`.
        place: Option<String>,
        /// The built-in kinds.
        kinds: String,
    },
    /// There is no handler.
    #[error(
        "no handler is configured: add [handlers.NAME] with a kind (one of: {0}), or register one in the program"
    )]
    NoHandlers(String),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(StoreFailure),
    /// The key from which the tokens of callbacks are derived cannot be read.
    #[error(transparent)]
    CallbackKey(CallbackKeyFailure),
    /// The HTTP client cannot be created.
    #[error(transparent)]
    Client(#[from] HttpClientError),
    /// The HTTP client of a handler cannot be created.
    #[error("handlers.{name}: {source}")]
    HttpHandler {
        /// The handler's name.
        name: String,
        /// Why not.
        source: HttpHandlerError,
    },
    /// A listener cannot be opened.
    #[error("{key}: cannot listen on {address}: {source}; {}", listen_advice(key, source))]
    Listen {
        /// The configuration key.
        key: &'static str,
        /// Its value.
        address: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// Signal handlers cannot be installed.
    #[error("cannot install signal handlers: {0}")]
    Signals(#[source] std::io::Error),
    /// The threads for handlers cannot be started.
    #[error("cannot start the threads for handlers: {0}")]
    Threads(#[source] std::io::Error),
    /// A part of the bridge ended without a stop.
    #[error(
        "{0} ended unexpectedly; acknowledged requests are in the store, and the next start continues them"
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

/// Why the key of callbacks cannot be read. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct CallbackKeyFailure(CallbackKeyError);

impl Error {
    pub(super) const fn of_callback_key(error: CallbackKeyError) -> Self {
        Self::CallbackKey(CallbackKeyFailure(error))
    }

    /// The exit status of the process: 2 for an error of usage or configuration, including a store that another process
    /// serves; 1 for a failure at run time.
    pub const fn exit_status(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Log(LogError::Filter { .. })
            | Self::HandlerName { .. }
            | Self::HandlerTwice(_)
            | Self::NoSuchHandler { .. }
            | Self::NoHandlers(_)
            | Self::CallbackKey(CallbackKeyFailure(
                CallbackKeyError::NoKey(_) | CallbackKeyError::OtherKey(_),
            ))
            | Self::Store(StoreFailure(
                StoreError::Url(_)
                | StoreError::Refused(_)
                | StoreError::NotAStore { .. }
                | StoreError::InUse { .. }
                | StoreError::Served { .. }
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

/// What to do if the listener of `key` cannot be opened.
fn listen_advice(key: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another program listens there: stop it, or set {key} to a free port")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "this machine does not have the address: set {key} to one that it has, such as 127.0.0.1 or 0.0.0.0"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("only root may use a port below 1024: set {key} to a higher port")
        }
        _ => format!("set {key} to another address"),
    }
}
