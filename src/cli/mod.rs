//! The command line: [`Program`] gives a program of your own all commands of the bridge.
//!
//! Results go to stdout, everything else to stderr.
//!
//! Exit status: 0 on success, 1 on a failure while running, 2 on wrong usage or configuration.

mod accounts;
mod accounts_access;
mod accounts_confirm;
mod accounts_resume;
mod accounts_text;
mod actions;
mod backup;
#[cfg(feature = "tools")]
mod bench;
mod completions;
mod config;
#[cfg(feature = "tools")]
mod demo;
#[cfg(feature = "tools")]
mod dev;
mod doctor;
mod examples;
mod handlers;
mod health;
mod init;
mod jobs;
mod jobs_text;
mod man;
#[cfg(any(test, not(feature = "tools")))]
mod missing;
#[cfg(feature = "tools")]
mod simulate;
#[cfg(feature = "tools")]
mod simulate_bridge;
#[cfg(feature = "tools")]
mod simulate_replay;
#[cfg(feature = "tools")]
mod simulate_text;
mod store;
#[cfg(feature = "tools")]
mod widget_package;
#[cfg(feature = "tools")]
mod widget_package_text;
mod widgets;

mod account;
mod actor;
mod ask;
mod exit;
mod program;
#[cfg(feature = "tools")]
mod progress;
mod runtime;
#[cfg(feature = "tools")]
mod sandbox;
mod screen;
mod settings;
mod table;
mod text;
mod widgets_text;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::bridge::{Bridge, Error};
use crate::config::{Config, Sources};
use model::clock::Clock;

use exit::Failure;
pub use program::Program;

/// Receive widget requests from Kommo's SalesBots, store them durably, run handlers, and continue the bots.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = examples::PROGRAM)]
struct Cli {
    /// The configuration file [default: the file that BRIDGE_CONFIG names, else ./bridge.toml if it exists]
    #[arg(short, long, global = true, value_name = "FILE", help_heading = GLOBAL_OPTIONS)]
    config: Option<PathBuf>,
    /// Print results as JSON
    #[arg(long, global = true, help_heading = GLOBAL_OPTIONS)]
    json: bool,
    #[cfg_attr(
        feature = "tools",
        doc = "Log more in `serve`, `demo` and `dev`: -v logs debug messages, -vv everything"
    )]
    #[cfg_attr(not(feature = "tools"), doc = "Log more in `serve`: -v logs debug messages, -vv everything")]
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = GLOBAL_OPTIONS)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

/// The heading in `--help` of the options that every command takes.
const GLOBAL_OPTIONS: &str = "Global options";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the bridge until SIGTERM or SIGINT
    #[command(after_help = examples::SERVE)]
    Serve,
    /// Write a configuration, its secret files and a widget package, after asking what they need
    #[command(after_help = examples::INIT)]
    Init(Box<init::Args>),
    /// Run a bridge and a simulated Kommo on this machine, without any setup
    #[cfg(feature = "tools")]
    #[command(after_help = examples::DEMO)]
    Demo(demo::Args),
    /// Send what you type to your handler on this machine, as a bot would, and show each event
    #[cfg(feature = "tools")]
    #[command(after_help = examples::DEV)]
    Dev(dev::Args),
    /// Run the Kommo simulator, and print a configuration that matches it
    #[cfg(feature = "tools")]
    Simulate(simulate::Args),
    /// Load a bridge on this machine, measure it, and check that every request is continued once
    #[cfg(feature = "tools")]
    #[command(after_help = examples::BENCH)]
    Bench(bench::Args),
    /// Check or show the configuration, or print its schema
    #[command(subcommand, after_help = examples::CONFIG)]
    Config(config::Command),
    /// List, show, retry, complete, cancel or erase jobs
    #[command(after_help = examples::JOBS)]
    Jobs(jobs::Args),
    /// List the handlers, or test one at a URL
    #[command(subcommand, after_help = examples::HANDLERS)]
    Handlers(handlers::Command),
    /// List, show, install or uninstall the widgets of an account
    #[command(after_help = examples::WIDGETS)]
    Widgets(widgets::Args),
    /// List, connect, resume or remove accounts
    #[command(after_help = examples::ACCOUNTS)]
    Accounts(accounts::Args),
    /// List what operators did
    #[command(subcommand, after_help = examples::ACTIONS)]
    Actions(actions::Command),
    /// Write a widget.zip to upload to Kommo, so that a SalesBot can call the bridge
    #[cfg(feature = "tools")]
    #[command(after_help = examples::WIDGET_PACKAGE)]
    WidgetPackage(Box<widget_package::Args>),
    /// Check configuration, store, clock, accounts and reachability, and suggest fixes
    #[command(after_help = examples::DOCTOR)]
    Doctor,
    /// Write a verified backup of the store, while a bridge runs or not
    #[command(after_help = examples::BACKUP)]
    Backup(backup::Args),
    /// Restore the store from a backup, while no bridge runs
    #[command(after_help = examples::RESTORE)]
    Restore(backup::RestoreArgs),
    /// Check the store, show its sizes, or give free space back
    #[command(subcommand, after_help = examples::STORE)]
    Store(store::Command),
    /// Print the script with which a shell completes commands and options
    #[command(after_help = examples::COMPLETIONS)]
    Completions(completions::Args),
    /// Print the manual page, or write a page for each command
    #[command(after_help = examples::MAN)]
    Man(man::Args),
    /// Ask the running bridge whether it is ready (for container health checks)
    #[command(hide = true, after_help = examples::HEALTH)]
    Health,
    /// Run a widget's script for `simulate`
    #[cfg(feature = "tools")]
    #[command(name = simulator::SCRIPT_COMMAND, hide = true)]
    RunScript,
    #[cfg(not(feature = "tools"))]
    #[command(flatten)]
    Missing(missing::Command),
}

/// Runs the whole command line around a bridge. `register` adds the program's own handlers to the bridge.
///
/// ```no_run
/// # use salesbot_bridge::prelude::*;
/// # struct Greeter;
/// # impl Handler for Greeter {
/// #     type Input = serde_json::Value;
/// #     async fn handle(&self, _: Request<Self::Input>, _: Context) -> Result<Completion, HandlerError> {
/// #         Ok(Completion::success())
/// #     }
/// # }
/// fn main() -> std::process::ExitCode {
///     salesbot_bridge::cli::main(|bridge| bridge.handler("greet", Greeter))
/// }
/// ```
///
/// The program has the name of its executable, and no version of its own. Use [`Program`] to set both.
pub fn main(register: impl FnOnce(Bridge) -> Bridge) -> ExitCode {
    Program::of_executable().main(register)
}

/// Runs one command. `definition` is the definition of the whole command line.
fn execute(
    cli: Cli,
    definition: impl FnOnce() -> clap::Command,
    register: impl FnOnce(Bridge) -> Bridge,
) -> ExitCode {
    let runtime = match runtime::start() {
        Ok(runtime) => runtime,
        Err(error) => {
            return exit::fail(&Failure::running(format!("cannot start the async runtime: {error}")));
        }
    };
    let result = runtime.block_on(run(cli, definition, register));
    // A handler that blocks its thread must not keep the process alive.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => exit::fail(&failure),
    }
}

async fn run(
    cli: Cli,
    definition: impl FnOnce() -> clap::Command,
    register: impl FnOnce(Bridge) -> Bridge,
) -> Result<(), Failure> {
    let Cli { config: file, json, verbose, command } = cli;
    let named = file.clone();
    let sources = || Sources::of_process(named).map_err(Error::from);
    match command {
        Command::Serve => {
            let config = with_verbosity(Config::load(&sources()?).map_err(Error::from)?, verbose);
            Ok(register(Bridge::new(config)).serve().await?)
        }
        Command::Init(args) => init::run(*args, file.as_deref(), json).await,
        #[cfg(feature = "tools")]
        Command::Demo(args) => Ok(demo::run(args, json, verbose).await?),
        #[cfg(feature = "tools")]
        Command::Dev(args) => dev::run(args, json, verbose).await,
        #[cfg(feature = "tools")]
        Command::Simulate(args) => {
            let config = || Config::load(&sources()?).map_err(|error| Failure::from(Error::from(error)));
            simulate::run(args, json, config).await
        }
        #[cfg(feature = "tools")]
        Command::Bench(args) => bench::run(args, file, json).await,
        Command::Config(command) => {
            let sources = sources()?;
            if command == config::Command::Check {
                register(Bridge::new(Config::load(&sources).map_err(Error::from)?)).check()?;
            }
            let printed = config::run(command, &sources, json).map_err(Error::from)?;
            Ok(exit::print(&printed)?)
        }
        Command::Jobs(args) => {
            let config = Config::load(&sources()?).map_err(Error::from)?;
            let handlers = register(Bridge::new(config.clone())).handler_names();
            Ok(jobs::run(args, &config, handlers, json).await?)
        }
        Command::Handlers(command) => {
            let config = Config::load(&sources()?).map_err(Error::from)?;
            let registered = register(Bridge::new(config.clone())).handler_names();
            handlers::run(command, &config, registered, json).await
        }
        Command::Widgets(args) => {
            let config = Config::load(&sources()?).map_err(Error::from)?;
            Ok(widgets::run(args, &config, json).await?)
        }
        Command::Accounts(args) => {
            let config = Config::load(&sources()?).map_err(Error::from)?;
            accounts::run(args, &config, json).await
        }
        Command::Actions(command) => {
            let config = Config::load(&sources()?).map_err(Error::from)?;
            Ok(actions::run(command, &config, json).await?)
        }
        #[cfg(feature = "tools")]
        Command::WidgetPackage(args) => {
            let config = || Config::load(&sources()?).map_err(|error| Failure::from(Error::from(error)));
            exit::print(&widget_package::run(*args, config, json)?).map_err(Failure::from)
        }
        Command::Doctor => {
            let check_handlers = |config| register(Bridge::new(config)).check();
            doctor::run(&sources()?, check_handlers, json).await
        }
        Command::Backup(args) => {
            let config = Config::load(&sources()?).map_err(Error::from)?;
            backup::run(args, &config, Clock::system().now(), json).await
        }
        Command::Restore(args) => {
            let config = Config::load(&sources()?).map_err(Error::from)?;
            backup::restore(args, &config, Clock::system().now(), json).await
        }
        Command::Store(command) => {
            let config = Config::load(&sources()?).map_err(Error::from)?;
            store::run(command, &config, Clock::system().now(), json).await
        }
        Command::Completions(args) => completions::run(args, &definition()),
        Command::Man(args) => man::run(args, definition(), json),
        Command::Health => {
            let config = Config::load(&sources()?).map_err(Error::from)?;
            Ok(health::run(&config).await?)
        }
        #[cfg(feature = "tools")]
        Command::RunScript => Ok(simulate::run_script()?),
        #[cfg(not(feature = "tools"))]
        Command::Missing(command) => Err(command.refused()),
    }
}

/// Raises the log level once or twice, as `-v` and `-vv` ask.
fn with_verbosity(mut config: Config, verbose: u8) -> Config {
    match verbose {
        0 => {}
        1 => config.log.filter = "info,salesbot_bridge=debug".to_owned(),
        _ => config.log.filter = "debug,salesbot_bridge=trace".to_owned(),
    }
    config
}
