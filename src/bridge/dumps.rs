//! No core dumps: what is in the memory of a bridge are bearer tokens, secrets, and what customers wrote.
//!
//! A process that is not dumpable writes none, whatever the system does with dumps, and no other process of its user may
//! look into it: debuggers need root. Its numbers in `/proc/PID` (`stat`, `status`) can be read as before.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Switches core dumps of this process off.
pub(super) fn forbid() {
    let none = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let none =
        none.and(rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable));
    if let Err(error) = none {
        tracing::warn!(%error, "core dumps cannot be switched off: a crash may write secrets to the disk");
    }
}
