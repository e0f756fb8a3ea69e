//! Runs this program as a bridge.

use std::env;
use std::path::Path;
use std::process::Command;

use crate::process::undisturbed;

/// The environment variable that makes this program run as a bridge.
pub const SERVE_VARIABLE: &str = "SOAK_SERVE";

pub fn is_bridge_process() -> bool {
    env::var_os(SERVE_VARIABLE).is_some()
}

/// The command for a bridge with this configuration and the handlers of the rig.
pub fn program(config: &Path) -> Command {
    let mut command = undisturbed(Command::new(env::current_exe().unwrap()));
    command.env(SERVE_VARIABLE, "1").arg("--config").arg(config).arg("serve");
    command
}
