//! This very program as a bridge.

use std::env;
use std::path::Path;
use std::process::Command;

use crate::process::undisturbed;

/// Set for a process that is to be a bridge.
pub const ASKED: &str = "SOAK_SERVE";

pub fn is_asked() -> bool {
    env::var_os(ASKED).is_some()
}

/// This program as a bridge with this configuration and the handlers of the rig.
pub fn program(config: &Path) -> Command {
    let mut command = undisturbed(Command::new(env::current_exe().unwrap()));
    command.env(ASKED, "1").arg("--config").arg(config).arg("serve");
    command
}
