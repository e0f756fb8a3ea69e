//! The attacks of `tests/attacks/`, against the program of this build.

use std::io::Write;
use std::path::Path;
use std::process::Command;

/// Set where a test that does not find what it needs has to fail, as in `.ci/run`.
const MUST_RUN: &str = "TESTS_MUST_RUN";

#[test]
fn the_bridge_withstands_the_attacks_that_once_stopped_or_robbed_it() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks/run.py");
    let mut python = Command::new("python3");
    python.arg(script).args(["--program", env!("CARGO_BIN_EXE_salesbot-bridge")]);
    // It leaves no compiled files in the source tree.
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    match python.output() {
        Ok(ended) => {
            let said = String::from_utf8_lossy(&ended.stdout);
            assert!(ended.status.success(), "{said}\n{}", String::from_utf8_lossy(&ended.stderr));
        }
        Err(error) => {
            assert!(std::env::var_os(MUST_RUN).is_none(), "python3 is needed: {error}");
            // Written past the test's captured output, so that it is seen although the test passes.
            let line = "SKIPPED: the attacks of tests/attacks need python3, which is not found";
            writeln!(std::io::stderr(), "{line}").unwrap();
        }
    }
}
