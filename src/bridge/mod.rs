//! The composition root: the only place that knows all rooms and puts them together.
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

mod dumps;
mod error;
pub(crate) mod kommo_stack;
mod listeners;
pub(crate) mod open_files;
mod parts;
mod public;
mod run;
mod secrets;
mod start_log;
mod supervise;

use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Sources};
use crate::handler::Handler;
use crate::shutdown::Shutdown;
use crate::telemetry;
use crate::work::Registry;
use model::clock::Clock;
use model::{HandlerName, HandlerPolicy};

pub use crate::telemetry::LogError;
pub use error::{Error, StoreFailure};
pub use listeners::Listeners;
pub use model::HandlerNameError;
pub(crate) use start_log::ProgramVersion;

use parts::BridgeParts;

/// Adds a handler to the registry, under a policy that is known only when all names are.
type Registration = Box<dyn FnOnce(&mut Registry, HandlerName, HandlerPolicy) + Send>;

/// A bridge that does not run yet.
pub struct Bridge {
    config: Config,
    registrations: Vec<(String, Registration)>,
    clock: Clock,
    program: ProgramVersion,
}

impl Bridge {
    /// A bridge with this configuration.
    pub fn new(config: Config) -> Self {
        let (clock, program) = (Clock::system(), ProgramVersion::default());
        Self { config, registrations: Vec::new(), clock, program }
    }

    /// A bridge with the configuration of this process: the file that `BRIDGE_CONFIG` names, else `bridge.toml` in the working
    /// directory if there is one; and `BRIDGE_SECTION__KEY` variables over it.
    ///
    /// # Errors
    /// The configuration is refused; the error names each key, where it was written and what is allowed.
    pub fn from_env() -> Result<Self, Error> {
        Ok(Self::new(Config::load(&Sources::of_process(None)?)?))
    }

    /// Answers `POST /widget_request/{name}` with `handler`. How its jobs are tried is `handlers.NAME` of the
    /// configuration, or the defaults. A name that is no name, or is taken, is reported when the bridge starts.
    #[must_use]
    pub fn handler<H: Handler>(mut self, name: impl Into<String>, handler: H) -> Self {
        let register =
            Box::new(move |registry: &mut Registry, name, policy| registry.add(name, handler, policy));
        self.registrations.push((name.into(), register));
        self
    }

    /// Lives by another clock than the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
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

    /// The names of its handlers: those of the configuration and the registered ones.
    #[cfg(feature = "cli")]
    pub(crate) fn handler_names(&self) -> std::collections::HashSet<String> {
        let configured = self.config.handlers.keys().map(ToString::to_string);
        configured.chain(self.registrations.iter().map(|(name, _)| name.clone())).collect()
    }

    /// Says whether the configuration and the registered handlers fit together. Opens nothing.
    ///
    /// # Errors
    /// They do not; [`serve`](Self::serve) would fail with the same error.
    pub fn check(self) -> Result<(), Error> {
        parts::registry(&self.config, self.registrations).map(drop)
    }

    /// Runs until SIGTERM or SIGINT, on the addresses of the configuration, and logs to stderr, panics included.
    /// A program with a logger of its own keeps that, and its panic hook. SIGHUP makes it read the secret files again. From
    /// then on the process writes no core dumps, and only root can trace it.
    ///
    /// # Errors
    /// It cannot start (see [`Error::exit_status`]), or a part of it failed while running.
    pub async fn serve(self) -> Result<(), Error> {
        telemetry::init_log(&self.config.log).map_err(Error::Log)?;
        telemetry::log_panics();
        dumps::forbid();
        let served = self.serve_until_signal().await;
        telemetry::flush_log().await;
        served
    }

    async fn serve_until_signal(mut self) -> Result<(), Error> {
        self.config.server.max_connections = open_files::provide(&self.config);
        let shutdown = Shutdown::on_signals().map_err(Error::Signals)?;
        let hangups = signal(SignalKind::hangup()).map_err(Error::Signals)?;
        // The store comes first: a process that finds it taken must not hold the ports.
        let program = self.program;
        let parts = BridgeParts::new(self).await?;
        start_log::note(program, &parts.config);
        let listeners = Listeners::bind(&parts.config).await?;
        let reloading = tokio::spawn(parts.secrets.clone().reload_on(hangups));
        let ran = parts.run(listeners, shutdown).await;
        reloading.abort();
        ran
    }

    /// Runs until `shutdown`, on these listeners. Installs neither a logger nor signal handlers.
    ///
    /// # Errors
    /// It cannot start (see [`Error::exit_status`]), or a part of it failed while running.
    pub async fn run(self, listeners: Listeners, shutdown: Shutdown) -> Result<(), Error> {
        BridgeParts::new(self).await?.run(listeners, shutdown).await
    }
}
