//! A process beside the tests that runs the server and outlives this process for a moment, to clean up.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const SCRIPT: &str = include_str!("control.sh");

/// The script that starts and stops the server.
#[derive(Debug)]
pub(super) struct Control {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// How to end a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Start,
    /// Ends connections at once, and leaves everything in order.
    Stop,
    /// Ends it like a crash that PostgreSQL detects itself.
    Abort,
    /// Kills all its processes.
    Kill,
    /// Stops all its processes for a while.
    Pause,
    Resume,
}

impl Control {
    /// Starts the script. `arguments` are those of `postgres`.
    pub(super) fn start(
        programs: &Path,
        folder: &Path,
        user: Option<(u32, u32)>,
        arguments: &[String],
    ) -> std::io::Result<Self> {
        let mut command = command("sh", folder, user);
        command.arg("-c").arg(SCRIPT).arg("sh").arg(programs).arg(folder).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let missing = || std::io::Error::other("no pipe to the script");
        let input = Some(child.stdin.take().ok_or_else(missing)?);
        let output = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        Ok(Self { child, input, output })
    }

    /// Gives an order, and waits until it is carried out. A started server is not ready yet.
    pub(super) fn order(&mut self, order: Order) -> std::io::Result<()> {
        let line = match order {
            Order::Start => "start",
            Order::Stop => "stop INT",
            Order::Abort => "stop QUIT",
            Order::Kill => "kill",
            Order::Pause => "pause",
            Order::Resume => "resume",
        };
        if let Some(input) = &mut self.input {
            writeln!(input, "{line}")?;
        }
        let mut reply = String::new();
        self.output.read_line(&mut reply)?;
        if reply.trim() == "ok" { Ok(()) } else { Err(std::io::Error::other("the script has ended")) }
    }
}

/// Ends the server. The server of a whole test process ends when the system closes the pipe instead.
impl Drop for Control {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

/// Returns a command that runs in `folder` as `user`, apart from the terminal's signals.
pub(super) fn command(
    program: impl AsRef<std::ffi::OsStr>,
    folder: &Path,
    user: Option<(u32, u32)>,
) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).process_group(0);
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    command
}
