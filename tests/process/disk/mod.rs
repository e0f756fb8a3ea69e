//! A disk that tests can record, cut off from power, and make fail: `shim.c` sits between the real program and its files. It
//! needs a C compiler, like the program itself, and no special rights.

pub mod cut;
pub mod recording;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use recording::Recording;

/// The folder of a store, behind the shim.
pub struct Disk {
    folder: PathBuf,
    log: PathBuf,
    fault: PathBuf,
}

/// The calls that fail, and their error.
#[derive(Clone, Copy)]
pub struct Fault {
    /// `w`: write and truncate; `s`: sync; `o`: open for writing.
    pub calls: &'static str,
    /// The errno, as on Linux.
    pub errno: i32,
}

pub const READ_ONLY: Fault = Fault { calls: "wo", errno: 30 };
pub const FULL: Fault = Fault { calls: "w", errno: 28 };
pub const BROKEN: Fault = Fault { calls: "w", errno: 5 };
pub const CANNOT_SYNC: Fault = Fault { calls: "s", errno: 5 };

impl Disk {
    /// Creates the folder `disk` in `place`.
    pub fn new(place: &Path) -> Self {
        let disk =
            Self { folder: place.join("disk"), log: place.join("disk.log"), fault: place.join("fault") };
        fs::create_dir(&disk.folder).unwrap();
        disk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Puts the shim between `command` and its files.
    pub fn under(&self, mut command: Command) -> Command {
        command.env("LD_PRELOAD", shim()).env("DISK_FOLDER", &self.folder);
        command.env("DISK_LOG", &self.log).env("DISK_FAULT", &self.fault);
        command
    }

    pub fn fail(&self, Fault { calls, errno }: Fault) {
        let next = self.fault.with_extension("next");
        fs::write(&next, format!("{errno} {calls}")).unwrap();
        fs::rename(next, &self.fault).unwrap();
    }

    pub fn mend(&self) {
        fs::remove_file(&self.fault).unwrap();
    }

    /// The length of the recording so far: a moment at which to cut the power.
    pub fn now(&self) -> usize {
        usize::try_from(fs::metadata(&self.log).unwrap().len()).unwrap()
    }

    pub fn recording(&self) -> Recording {
        Recording::read(&fs::read(&self.log).unwrap(), &self.folder)
    }
}

/// The shim, compiled once per test run.
fn shim() -> &'static Path {
    static SHIM: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, library) = SHIM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/disk/shim.c");
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).args(["-ldl", "-lpthread"]);
        assert!(cc.status().expect("a C compiler, `cc`").success(), "{cc:?}");
        (folder, library)
    });
    library
}
