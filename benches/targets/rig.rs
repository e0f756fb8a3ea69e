//! What scenarios share: the sizes, the number of runs, a folder, an integration, and the measured programs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::load::{Account, BridgeProcess, Integration, Sink, Start};
use rustix::process::{Resource, Rlimit};
use tempfile::TempDir;

use super::Result;

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
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Hanging => "hanging",
            Self::Baseline => "baseline",
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
    /// The integration whose secret signs the tokens.
    pub integration: Integration,
}

impl Rig {
    /// Creates a folder for the stores, below `folder` if given.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn new(runs: usize, quick: bool, folder: Option<PathBuf>) -> Result<Self> {
        // A thousand accounts need a thousand ports. If the limit cannot be raised, those scenarios fail with an error.
        let limit = rustix::process::getrlimit(Resource::Nofile);
        let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
        let folder = match folder {
            Some(folder) => TempDir::new_in(folder)?,
            None => TempDir::new()?,
        };
        Ok(Self { folder, runs, quick, integration: Integration::default() })
    }

    /// The folder of the stores.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Creates a folder for one store. Dropping it removes it.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn store(&self) -> Result<TempDir> {
        Ok(TempDir::new_in(self.folder())?)
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
    /// The program does not start or does not listen in time.
    pub fn start(
        &self,
        program: Program,
        store: &Path,
        sinks: &[&Sink],
        more: &str,
    ) -> Result<BridgeProcess> {
        let this = std::env::current_exe()?;
        let executable = match program {
            Program::Bridge => Path::new(env!("CARGO_BIN_EXE_salesbot-bridge")),
            Program::Hanging | Program::Baseline => &this,
        };
        let mut start = Start::new(executable, store, &self.integration, sinks);
        more.clone_into(&mut start.more);
        start.env.push((PROGRAM.into(), program.name().into()));
        start.start_timeout = Duration::from_secs(120);
        Ok(start.run()?)
    }
}
