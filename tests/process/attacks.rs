//! Runs the attacks of `tests/attacks/` against the program of this build.

use std::io::Write;
use std::path::Path;
use std::process::Command;

/// If set, as in `.ci/run`, a test fails instead of skipping if a tool that it needs is missing.
const MUST_RUN: &str = "TESTS_MUST_RUN";

#[test]
fn the_bridge_withstands_the_attacks_that_earlier_versions_did_not() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks/run.py");
    let mut python = Command::new("python3");
    python.arg(script).args(["--program", env!("CARGO_BIN_EXE_salesbot-bridge")]);
    // Leave no compiled files in the source tree.
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    match python.output() {
        Ok(ended) => {
            let output = String::from_utf8_lossy(&ended.stdout);
            assert!(ended.status.success(), "{output}\n{}", String::from_utf8_lossy(&ended.stderr));
        }
        Err(error) => {
            assert!(std::env::var_os(MUST_RUN).is_none(), "python3 is needed: {error}");
            // The harness captures `println!` of passing tests, but not this.
            let line = "SKIPPED: the attacks of tests/attacks need python3, which is not found";
            writeln!(std::io::stderr(), "{line}").unwrap();
        }
    }
}
