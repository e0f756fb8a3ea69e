//! A child process: its output, its signals and its end.

use std::env;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::lines::Lines;

/// A running program. Dropping it kills it.
pub struct Process {
    child: Child,
    pub out: Lines,
    pub err: Lines,
}

/// The exit status and the output of a program.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

/// The real program.
pub fn program() -> Command {
    undisturbed(Command::new(env!("CARGO_BIN_EXE_salesbot-bridge")))
}

/// Keeps the configuration and the proxies of the tests' environment away from `command`.
pub fn undisturbed(mut command: Command) -> Command {
    let disturbs = |name: &str| name.starts_with("BRIDGE_") || name.to_lowercase().ends_with("_proxy");
    for (name, _) in env::vars_os().filter(|(name, _)| disturbs(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command
}

/// Runs `command` to its end.
pub fn run(command: Command) -> Ended {
    Process::start(command).end()
}

impl Process {
    /// Starts `command`.
    pub fn start(command: Command) -> Self {
        Self::start_and_hang_up(command, |_| false)
    }

    /// Starts `command`, and closes its stderr as soon as it has written a line that `last` accepts.
    pub fn start_and_hang_up(mut command: Command, last: fn(&str) -> bool) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = Lines::of(child.stdout.take().unwrap(), |_| false);
        let err = Lines::of(child.stderr.take().unwrap(), last);
        Self { child, out, err }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal: `TERM`, `INT`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.pid());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.end();
    }

    /// Waits until the process ends.
    pub fn end(&mut self) -> Ended {
        let (out, err) = (self.out.all(), self.err.all());
        Ended { status: self.child.wait().unwrap(), out, err }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may already have ended.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Ended {
    /// Asserts the exit status. Panics with the program's output if it differs.
    pub fn expect(self, status: i32) -> Self {
        assert_eq!(self.status.code(), Some(status), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// stdout as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in\n{}", self.out))
    }
}
