//! Turns core dumps off, because the memory of a bridge holds bearer tokens, secrets, and what customers wrote.
//!
//! A process that is not dumpable writes no core dump, whatever the system's settings. Other processes of the same user
//! cannot inspect it either: debuggers need root. `stat` and `status` in `/proc/PID` remain readable.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Turns off core dumps of this process.
pub(super) fn forbid() {
    let none = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let none =
        none.and(rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable));
    if let Err(error) = none {
        tracing::warn!(%error, "cannot turn off core dumps: a crash may write secrets to the disk");
    }
}
