//! Tests of `dev`, with the real program and a handler in this process.

mod person;
mod scripts;
mod service;

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Ended, program};

/// A folder in which `dev` runs: its working directory, and the folder for its temporary files.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for folder in [place.work(), place.temporary()] {
            fs::create_dir(folder).unwrap();
        }
        place
    }

    fn work(&self) -> PathBuf {
        self.0.path().join("work")
    }

    fn temporary(&self) -> PathBuf {
        self.0.path().join("tmp")
    }

    /// Writes a file beside both folders.
    fn file(&self, name: &str, text: &str) -> OsString {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path.into()
    }

    fn command(&self) -> Command {
        let mut command = program();
        command.arg("dev").current_dir(self.work()).env("TMPDIR", self.temporary());
        command
    }

    /// Runs `dev` with these arguments to its end.
    fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command();
        command.args(arguments);
        self.run_with(command, "")
    }

    /// Runs `command` with this text as its standard input. Nothing may be left behind.
    fn run_with(&self, mut command: Command, input: &str) -> Ended {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that refuses its arguments reads nothing.
        let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        self.assert_empty();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { status: output.status, out: text(output.stdout), err: text(output.stderr) }
    }

    /// Asserts that nothing is left in the working directory and in the folder for temporary files.
    fn assert_empty(&self) {
        for folder in [self.work(), self.temporary()] {
            assert_eq!(entries(&folder), Vec::<OsString>::new(), "in {}", folder.display());
        }
    }
}

fn entries(folder: &Path) -> Vec<OsString> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

/// The events that `dev --json` printed.
fn events(ended: &Ended) -> Vec<Value> {
    ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The names of the events, in order.
fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}
