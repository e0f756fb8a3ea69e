//! Runs a script in a process of its own, because only a process can be ended from outside: some functions of the engine
//! never ask whether to go on.
//!
//! The process is this very program, started with the command [`COMMAND`]; it reads the job from stdin and writes what
//! came of it to stdout, both as JSON.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::script::{Job, within};

/// The command of the program that runs a script.
pub const COMMAND: &str = "run-script";
/// CPU time of the process in seconds. It ends by that even if no one is left to kill it.
const MAX_CPU_SECONDS: u64 = 5;
/// More than a script can return.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// What came of the job; `None` if it took longer than `time`.
///
/// # Errors
/// It could not be run.
pub(super) fn run(
    program: &Path,
    job: &Job,
    time: Duration,
) -> Result<Option<Result<String, String>>, String> {
    let cannot = |error: io::Error| format!("It cannot be run: {error}.");
    let job = serde_json::to_vec(job).map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.arg(COMMAND).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = Killed(command.spawn().map_err(cannot)?);
    let (Some(mut stdin), Some(stdout)) = (child.0.stdin.take(), child.0.stdout.take()) else {
        return Err("It cannot be run.".to_owned());
    };
    let answer = within(time, move || -> io::Result<Vec<u8>> {
        stdin.write_all(&job)?;
        drop(stdin);
        let mut answer = Vec::new();
        stdout.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
        Ok(answer)
    })?;
    let Some(answer) = answer else { return Ok(None) };
    let broken = |_| "It makes the engine fail.".to_owned();
    Ok(Some(serde_json::from_slice(&answer.map_err(cannot)?).map_err(broken)?))
}

/// A process that ends with its handle.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// What the process does: runs the job that stdin holds, and gives what stdout is to say.
///
/// # Errors
/// Stdin holds no job.
pub fn serve_script(mut stdin: impl Read) -> io::Result<String> {
    let limit = Rlimit { current: Some(MAX_CPU_SECONDS), maximum: Some(MAX_CPU_SECONDS) };
    // Without it the parent's patience is the only limit.
    let _unlimited = setrlimit(Resource::Cpu, limit);
    let mut job = Vec::new();
    stdin.read_to_end(&mut job)?;
    let job: Job = serde_json::from_slice(&job)?;
    Ok(serde_json::to_string(&job.run())?)
}
