//! A disk that can be recorded, cut off from its power, and made to fail: `shim.c` between the real program
//! and its files. It needs a C compiler, as the program itself does, and no rights.

pub mod cut;
pub mod recording;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use recording::Recording;

/// The folder of a store, and the shim that watches it.
pub struct Disk {
    folder: PathBuf,
    log: PathBuf,
    fault: PathBuf,
}

/// Calls that fail, and how.
#[derive(Clone, Copy)]
pub struct Fault {
    /// `w`: write and truncate; `s`: sync; `o`: open for writing.
    pub calls: &'static str,
    /// The errno of Linux.
    pub errno: i32,
}

pub const READ_ONLY: Fault = Fault { calls: "wo", errno: 30 };
pub const FULL: Fault = Fault { calls: "w", errno: 28 };
pub const BROKEN: Fault = Fault { calls: "w", errno: 5 };
pub const CANNOT_SYNC: Fault = Fault { calls: "s", errno: 5 };

impl Disk {
    /// Makes the folder `disk` in `place`.
    pub fn new(place: &Path) -> Self {
        let disk =
            Self { folder: place.join("disk"), log: place.join("disk.log"), fault: place.join("fault") };
        fs::create_dir(&disk.folder).unwrap();
        disk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Lets `command` see its files through the shim.
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

    /// How much is recorded by now: a moment to cut the power at.
    pub fn now(&self) -> usize {
        usize::try_from(fs::metadata(&self.log).unwrap().len()).unwrap()
    }

    pub fn recording(&self) -> Recording {
        Recording::read(&fs::read(&self.log).unwrap(), &self.folder)
    }
}

/// The shim, compiled once a test run.
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
