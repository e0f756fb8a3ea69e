//! The programs that tests in a browser need.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tokio::sync::Mutex;

use crate::process::undisturbed;

/// If set, as in `.ci/run`, a test fails instead of skipping if a program that it needs is missing.
const MUST_RUN: &str = "TESTS_MUST_RUN";

/// Only one browser runs at a time: it keeps several cores busy, and other tests run beside it.
static ONE_BROWSER: Mutex<()> = Mutex::const_new(());

/// Node, a browser, and the packages of `tests/browser`.
pub struct Tools {
    folder: PathBuf,
    node: PathBuf,
    chromium: PathBuf,
}

impl Tools {
    /// Finds the tools; `None` if one is missing, and then a line says that `what` is skipped.
    pub fn found(what: &str) -> Option<Self> {
        match Self::find() {
            Ok(tools) => Some(tools),
            Err(missing) => {
                assert!(std::env::var_os(MUST_RUN).is_none(), "{what} needs {missing}");
                // The harness captures `println!` of passing tests, but not this.
                let line = format!("SKIPPED: {what} needs {missing}, which is not found\n");
                std::io::stderr().write_all(line.as_bytes()).unwrap();
                None
            }
        }
    }

    fn find() -> Result<Self, &'static str> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
        let node = program(&["node"]).ok_or("node")?;
        let chromium = program(&["chromium", "chromium-browser", "google-chrome"]).ok_or("chromium")?;
        let has_packages = folder.join("node_modules/playwright-core").is_dir();
        if has_packages {
            Ok(Self { folder, node, chromium })
        } else {
            Err("`npm ci --prefix tests/browser`")
        }
    }

    /// Runs a script of `tests/browser` with a scenario, which it writes to `file`. Panics with its output if it fails.
    pub async fn run(&self, script: &'static str, file: &Path, mut scenario: Value) {
        let _alone = ONE_BROWSER.lock().await;
        scenario["browser"] = self.chromium.to_string_lossy().into();
        fs::write(file, scenario.to_string()).unwrap();
        let mut command = undisturbed(Command::new(&self.node));
        command.current_dir(&self.folder).arg(script).arg(file);
        let ended = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(ended.status.success(), "{}\n{}", text(&ended.stdout), text(&ended.stderr));
    }
}

/// The first program of these that is found.
fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()))
}
