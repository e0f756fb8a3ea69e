//! Installs the second baseline, `benches/fastify/`, with npm: into a folder below `target/`, which keeps it for the next
//! run.
//!
//! The packages come from the npm registry. If Node.js or npm is missing, or the installation fails, only the comparison
//! with this baseline is skipped.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

/// The sources of the baseline.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/fastify");
/// Where it is installed. Cargo provides the folder for temporary files of benches, below `target/`.
const FOLDER: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/fastify");
/// What `npm ci` reads.
const MANIFESTS: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];
const PROGRAM: &str = "server.js";
/// The file that says for which packages and which Node.js the installation is complete.
const STAMP: &str = "installed";
/// Without a prebuilt program for this machine, npm compiles SQLite, which takes minutes.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(900);

/// Installs the baseline, unless the same one is installed already. Returns its program.
///
/// # Errors
/// What is missing or what failed, and what to do.
pub async fn install() -> Result<PathBuf, String> {
    let node =
        run(Command::new("node").args(["-p", "`${process.version} ${process.arch} ${process.execPath}`"]))
            .await
            .map_err(|why| {
                format!("Node.js is missing ({why}): install Node.js 20.18.1 or later, and npm")
            })?;
    let folder = Path::new(FOLDER);
    let failed = |error: io::Error| format!("cannot copy benches/fastify below target/: {error}");
    fs::create_dir_all(folder).map_err(failed)?;
    let mut stamp = node.clone();
    for name in MANIFESTS {
        stamp += &fs::read_to_string(Path::new(SOURCE).join(name)).map_err(failed)?;
        fs::copy(Path::new(SOURCE).join(name), folder.join(name)).map_err(failed)?;
    }
    fs::copy(Path::new(SOURCE).join(PROGRAM), folder.join(PROGRAM)).map_err(failed)?;
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|installed| installed == stamp) {
        return Ok(folder.join(PROGRAM));
    }
    eprintln!("fastify: npm ci, which may take some minutes …");
    let mut npm = Command::new("npm");
    npm.arg("ci").current_dir(folder);
    if let Some(headers) = headers(&node) {
        // Otherwise npm downloads the headers to compile with.
        npm.env("npm_config_nodedir", headers);
    }
    run(&mut npm).await.map_err(|why| format!("`npm ci` of benches/fastify failed: {why}"))?;
    fs::write(folder.join(STAMP), stamp).map_err(failed)?;
    Ok(folder.join(PROGRAM))
}

/// The folder that contains the `include/node` of the running Node.js; `None` if its headers are not installed.
fn headers(node: &str) -> Option<PathBuf> {
    let program = node.split_once(' ')?.1.split_once(' ')?.1;
    let prefix = Path::new(program).parent()?.parent()?;
    prefix.join("include/node/node.h").exists().then(|| prefix.to_owned())
}

/// Runs a command and returns its output, trimmed.
async fn run(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(INSTALL_TIMEOUT, output).await;
    let output = output.map_err(|_| format!("it did not end within {INSTALL_TIMEOUT:?}"))?;
    let Output { status, stdout, stderr } = output.map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).trim().to_owned());
    }
    let stderr = String::from_utf8_lossy(&stderr);
    let first = stderr.lines().find(|line| line.contains("rror")).unwrap_or_default();
    Err(format!("{status}: {first}"))
}
