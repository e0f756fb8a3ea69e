//! A bridge for programs that have a `main` of their own: [`Bridge`] and its errors.
//!
//! ```no_run
//! use salesbot_bridge::prelude::*;
//! # struct Greeter;
//! # impl Handler for Greeter {
//! #     type Input = serde_json::Value;
//! #     async fn handle(&self, _: Request<Self::Input>, _: Context) -> Result<Completion, HandlerError> {
//! #         Ok(Completion::success())
//! #     }
//! # }
//! #[tokio::main]
//! async fn main() -> Result<(), bridge::Error> {
//!     Bridge::from_env()?.handler("greet", Greeter).serve().await
//! }
//! ```

pub(crate) mod backups;
mod callback_urls;
mod dumps;
mod error;
mod http_handlers;
pub(crate) mod kommo_stack;
mod listeners;
pub(crate) mod live;
pub(crate) mod open_files;
mod parts;
mod public;
mod public_health;
mod routes;
mod run;
mod secrets;
mod settings;
mod start_log;
mod supervise;

use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Sources};
use crate::handler::Handler;
use crate::handlers::CallWatch;
use crate::shutdown::Shutdown;
use crate::telemetry;
use crate::work::Registry;
use model::clock::Clock;
use model::{HandlerName, HandlerPolicy};

pub use crate::handlers::HttpHandlerError;
pub use crate::telemetry::LogError;
pub use error::{CallbackKeyFailure, Error, StoreFailure};
use listeners::BoundPorts;
pub use listeners::Listeners;
pub use model::HandlerNameError;
pub(crate) use start_log::ProgramVersion;

use parts::BridgeParts;

/// Adds a handler to the registry. Deferred until the start, which checks the name and looks up the policy.
type Registration = Box<dyn FnOnce(&mut Registry, HandlerName, HandlerPolicy) + Send>;

/// A bridge that is configured but not running.
pub struct Bridge {
    config: Config,
    registrations: Vec<(String, Registration)>,
    clock: Clock,
    program: ProgramVersion,
    call_watch: Option<CallWatch>,
}

impl Bridge {
    /// Creates a bridge with `config`.
    pub fn new(config: Config) -> Self {
        let (clock, program) = (Clock::system(), ProgramVersion::default());
        Self { config, registrations: Vec::new(), clock, program, call_watch: None }
    }

    /// Creates a bridge from the configuration of this process: the file in `BRIDGE_CONFIG`, or `bridge.toml` in the
    /// working directory if it exists, overridden by `BRIDGE_SECTION__KEY` environment variables.
    ///
    /// # Errors
    /// The configuration is invalid. The error names each invalid key, where it is set, and what is allowed.
    pub fn from_env() -> Result<Self, Error> {
        Ok(Self::new(Config::load(&Sources::of_process(None)?)?))
    }

    /// Answers `POST /widget_request/{name}` with `handler`. `handlers.NAME` in the configuration, or its defaults, sets
    /// the timeouts, attempts and fallback. An invalid or duplicate name is reported when the bridge starts.
    #[must_use]
    pub fn handler<H: Handler>(mut self, name: impl Into<String>, handler: H) -> Self {
        let register =
            Box::new(move |registry: &mut Registry, name, policy| registry.add(name, handler, policy));
        self.registrations.push((name.into(), register));
        self
    }

    /// Uses `clock` instead of the system clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Lets handlers call back at this address, unless the configuration names another one.
    #[cfg(any(test, feature = "testing", feature = "tools"))]
    pub(crate) fn callbacks_at(mut self, public: std::net::SocketAddr) -> Self {
        let url = || format!("http://{public}").parse().ok();
        self.config.server.callback_url = self.config.server.callback_url.or_else(url);
        self
    }

    /// Reports each call of a handler at a URL to `watch`.
    #[cfg(feature = "tools")]
    pub(crate) fn watch_calls(self, watch: CallWatch) -> Self {
        Self { call_watch: Some(watch), ..self }
    }

    /// Names the program in the log.
    #[cfg(feature = "cli")]
    pub(crate) fn program(self, program: ProgramVersion) -> Self {
        Self { program, ..self }
    }

    /// The configuration.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The names of all handlers, from the configuration and from registrations.
    #[cfg(feature = "cli")]
    pub(crate) fn handler_names(&self) -> std::collections::HashSet<String> {
        let configured = self.config.handlers.keys().map(ToString::to_string);
        configured.chain(self.registrations.iter().map(|(name, _)| name.clone())).collect()
    }

    /// Checks that the configuration and the registered handlers match. Opens no files and no sockets.
    ///
    /// # Errors
    /// They do not match. [`serve`](Self::serve) would fail with the same error.
    pub fn check(self) -> Result<(), Error> {
        parts::registry(&self.config, self.registrations, None).map(drop)
    }

    /// Runs on the configured addresses until SIGTERM or SIGINT, and logs to stderr, panics included. If the program has
    /// its own logger, that logger and its panic hook stay. SIGHUP reloads the secret files. Turns off core dumps for
    /// the whole process; from then on only root can trace it.
    ///
    /// # Errors
    /// The bridge cannot start (see [`Error::exit_status`]), or a part of it failed while running.
    pub async fn serve(self) -> Result<(), Error> {
        telemetry::init_log(&self.config.log).map_err(Error::Log)?;
        telemetry::log_panics();
        dumps::forbid();
        let served = self.serve_until_signal().await;
        telemetry::flush_log().await;
        served
    }

    async fn serve_until_signal(mut self) -> Result<(), Error> {
        self.config.server.max_connections = open_files::connection_limit(&self.config);
        let shutdown = Shutdown::on_signals().map_err(Error::Signals)?;
        let hangups = signal(SignalKind::hangup()).map_err(Error::Signals)?;
        let program = self.program;
        // Bind the ports first: a process that cannot have them must not create a store. They open when the store is open. If
        // another process serves the store, that is the cause to report, because it usually has the ports too.
        let is_served = store::outside::is_served(&self.config.store.url).await == Some(true);
        let bind = |config: &Config| match BoundPorts::of(config) {
            Err(error) if !is_served => Err(error),
            ports => Ok(ports),
        };
        let (parts, ports) = BridgeParts::before_store(self, bind).await?;
        start_log::log_start(program, &parts.config);
        telemetry::name_program(program.name, program.version);
        // The process that served the store may have ended in the meantime, and so released its ports.
        let listeners = ports.or_else(|_| BoundPorts::of(&parts.config))?.listen()?;
        let reloading = tokio::spawn(parts.secrets.clone().reload_on(hangups));
        let ran = parts.run(listeners, shutdown).await;
        reloading.abort();
        ran
    }

    /// Runs on `listeners` until `shutdown`. Installs neither a logger nor signal handlers.
    ///
    /// # Errors
    /// The bridge cannot start (see [`Error::exit_status`]), or a part of it failed while running.
    pub async fn run(self, listeners: Listeners, shutdown: Shutdown) -> Result<(), Error> {
        BridgeParts::new(self).await?.run(listeners, shutdown).await
    }
}
