//! What scenarios share: how large and how often, a folder, an integration, and the programs that are measured.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::load::{Account, BridgeProcess, Integration, Sink, Start};
use rustix::process::{Resource, Rlimit};
use tempfile::TempDir;

use super::Result;

/// Tells a process of this binary which program it is.
const PROGRAM: &str = "TARGETS_PROGRAM";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The real program.
    Bridge,
    /// The same library with a handler `hang` beside `echo`.
    Hanging,
    /// What one would write in an afternoon.
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

    /// Which program this process was started as; `None` if an operator started it.
    pub fn of_this_process() -> Option<Self> {
        let name = std::env::var_os(PROGRAM)?;
        [Self::Hanging, Self::Baseline].into_iter().find(|program| name == program.name())
    }
}

/// Room and sizes.
pub struct Rig {
    folder: TempDir,
    /// How often each figure is measured.
    pub runs: usize,
    quick: bool,
    /// Signs the tokens.
    pub integration: Integration,
}

impl Rig {
    /// Makes the folder, below `folder` if there is one.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(runs: usize, quick: bool, folder: Option<PathBuf>) -> Result<Self> {
        // A thousand accounts are a thousand ports. Where it cannot be raised, they fail and say so.
        let limit = rustix::process::getrlimit(Resource::Nofile);
        let _as_it_was =
            rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
        let folder = match folder {
            Some(folder) => TempDir::new_in(folder)?,
            None => TempDir::new()?,
        };
        Ok(Self { folder, runs, quick, integration: Integration::default() })
    }

    /// Where stores are made.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A folder for one store; removed when it is dropped.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn store(&self) -> Result<TempDir> {
        Ok(TempDir::new_in(self.folder())?)
    }

    /// How many of something: `full`, or `quick` with `--quick`.
    pub fn size(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// A Kommo account that takes continues.
    ///
    /// # Errors
    /// There is no port for it.
    pub async fn sink(&self, number: u32) -> Result<Sink> {
        Ok(Sink::start("127.0.0.1:0".parse()?, Account::numbered(number)).await?)
    }

    /// Starts a program on the store in `store`, with `more` configuration for a bridge.
    ///
    /// # Errors
    /// It does not listen.
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
