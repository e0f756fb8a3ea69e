//! Runs a script in its own process, because some functions of the engine cannot be interrupted, and only a process can
//! be killed.
//!
//! The process runs the simulator's own program with the command [`COMMAND`]. It reads the job from stdin and writes the
//! result to stdout, both as JSON.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::script::{Job, within};

/// The command that runs a script.
pub const COMMAND: &str = "run-script";
/// The CPU time limit of the process in seconds. It holds even if the parent has died and cannot kill the process.
const MAX_CPU_SECONDS: u64 = 5;
/// More than a script can return.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// Runs the job and returns its result; `None` if it takes longer than `time`.
///
/// # Errors
/// The process cannot be run.
pub(super) fn run(
    program: &Path,
    job: &Job,
    time: Duration,
) -> Result<Option<Result<String, String>>, String> {
    let cannot = |error: io::Error| format!("The script cannot be run: {error}.");
    let job = serde_json::to_vec(job).map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.arg(COMMAND).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = Killed(command.spawn().map_err(cannot)?);
    let (Some(mut stdin), Some(stdout)) = (child.0.stdin.take(), child.0.stdout.take()) else {
        return Err("The script cannot be run.".to_owned());
    };
    let answer = within(time, move || -> io::Result<Vec<u8>> {
        stdin.write_all(&job)?;
        drop(stdin);
        let mut answer = Vec::new();
        stdout.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
        Ok(answer)
    })?;
    let Some(answer) = answer else { return Ok(None) };
    let broken = |_| "The script crashes the engine.".to_owned();
    Ok(Some(serde_json::from_slice(&answer.map_err(cannot)?).map_err(broken)?))
}

/// A process that is killed when its handle is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Runs the job that `stdin` contains, in the process started for it. Returns the text for stdout.
///
/// # Errors
/// `stdin` does not contain a job.
pub fn serve_script(mut stdin: impl Read) -> io::Result<String> {
    let limit = Rlimit { current: Some(MAX_CPU_SECONDS), maximum: Some(MAX_CPU_SECONDS) };
    // If this fails, the parent's timeout is the only limit.
    let _ = setrlimit(Resource::Cpu, limit);
    let mut job = Vec::new();
    stdin.read_to_end(&mut job)?;
    let job: Job = serde_json::from_slice(&job)?;
    Ok(serde_json::to_string(&job.run())?)
}
