//! What scenarios share: the sizes, the number of runs, a folder, an integration, and the measured programs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::load::{Account, BridgeProcess, Integration, Sink, Start};
use rustix::process::{Resource, Rlimit};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{Result, fastify};

/// The environment variable that selects the program of this binary.
const PROGRAM: &str = "TARGETS_PROGRAM";

/// A program to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The real bridge.
    Bridge,
    /// The bridge with the additional handler `hang`.
    Hanging,
    /// A minimal bridge for comparison.
    Baseline,
    /// A minimal bridge for comparison, in JavaScript. [`Rig::fastify`] installs it.
    Fastify,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Hanging => "hanging",
            Self::Baseline => "baseline",
            Self::Fastify => "fastify",
        }
    }

    /// The program that this process must run; `None` if a developer started it.
    pub fn of_this_process() -> Option<Self> {
        let name = std::env::var_os(PROGRAM)?;
        [Self::Hanging, Self::Baseline].into_iter().find(|program| name == program.name())
    }
}

/// The settings and resources of the scenarios.
pub struct Rig {
    folder: TempDir,
    /// The number of runs for each figure.
    pub runs: usize,
    quick: bool,
    keep: Option<PathBuf>,
    /// The integration whose secret signs the tokens.
    pub integration: Integration,
    fastify: OnceCell<std::result::Result<PathBuf, String>>,
}

impl Rig {
    /// Creates a folder for the stores, below `folder` if given. Scenarios that can use a store again keep it in `keep`.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn new(runs: usize, quick: bool, folder: Option<PathBuf>, keep: Option<PathBuf>) -> Result<Self> {
        // A thousand accounts need a thousand ports. If the limit cannot be raised, those scenarios fail with an error.
        let limit = rustix::process::getrlimit(Resource::Nofile);
        let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
        let folder = match folder {
            Some(folder) => TempDir::new_in(folder)?,
            None => TempDir::new()?,
        };
        Ok(Self { folder, runs, quick, keep, integration: Integration::default(), fastify: OnceCell::new() })
    }

    /// The folder of the stores.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Installs the baseline in JavaScript, once, and returns its program.
    ///
    /// # Errors
    /// Why it cannot be installed, as a text for the table.
    pub async fn fastify(&self) -> std::result::Result<&Path, &str> {
        let installed = self.fastify.get_or_init(|| async {
            let installed = fastify::install().await;
            if let Err(why) = &installed {
                eprintln!("SKIPPED: the comparison with fastify: {why}");
            }
            installed
        });
        installed.await.as_deref().map_err(String::as_str)
    }

    /// Creates a folder for one store. Dropping it removes it.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn store(&self) -> Result<TempDir> {
        Ok(TempDir::new_in(self.folder())?)
    }

    /// The folder of the store that a scenario keeps for the next run; `None` without `--keep`.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn kept(&self, scenario: &str) -> Result<Option<PathBuf>> {
        let folder = self.keep.as_ref().map(|keep| keep.join(scenario));
        folder.as_ref().map_or(Ok(()), std::fs::create_dir_all)?;
        Ok(folder)
    }

    /// The size to use: `full`, or `quick` with `--quick`.
    pub fn size(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// Starts a sink that receives the continues of one account.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn sink(&self, number: u32) -> Result<Sink> {
        Ok(Sink::start("127.0.0.1:0".parse()?, Account::numbered(number)).await?)
    }

    /// Starts a program with its store in the folder `store`. `more` is additional configuration.
    ///
    /// # Errors
    /// The program does not start or does not listen in time, or it is not installed.
    pub fn start(
        &self,
        program: Program,
        store: &Path,
        sinks: &[&Sink],
        more: &str,
    ) -> Result<BridgeProcess> {
        self.start_with(program, store, sinks, more, &[])
    }

    /// The same as [`start`](Self::start), with settings in the environment, which take precedence.
    ///
    /// # Errors
    /// The program does not start or does not listen in time, or it is not installed.
    pub fn start_with(
        &self,
        program: Program,
        store: &Path,
        sinks: &[&Sink],
        more: &str,
        env: &[(&str, String)],
    ) -> Result<BridgeProcess> {
        let executable = self.executable(program)?;
        let mut start = Start::new(&executable, store, &self.integration, sinks);
        more.clone_into(&mut start.more);
        start.env.push((PROGRAM.into(), program.name().into()));
        start.env.extend(env.iter().map(|(name, value)| (name.into(), value.into())));
        start.start_timeout = Duration::from_secs(120);
        Ok(start.run()?)
    }

    /// The file to execute for a program.
    ///
    /// # Errors
    /// The program is not installed.
    pub fn executable(&self, program: Program) -> Result<PathBuf> {
        Ok(match program {
            Program::Bridge => env!("CARGO_BIN_EXE_salesbot-bridge").into(),
            Program::Hanging | Program::Baseline => std::env::current_exe()?,
            Program::Fastify => match self.fastify.get() {
                Some(Ok(program)) => program.clone(),
                _ => return Err("the baseline in JavaScript is not installed".into()),
            },
        })
    }
}
