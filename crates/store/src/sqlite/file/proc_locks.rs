//! Finds the holders of file locks in Linux's `/proc/locks`. Every user can read that file, and it lists the processes
//! of all users. On other systems the holders are unknown.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use super::path::{file_of, lock_path, with};

/// The bytes of the `-shm` file that a SQLite connection locks during a read transaction.
const READ_MARKS: std::ops::RangeInclusive<u64> = 123..=127;

/// One line of `/proc/locks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lock {
    kind: Kind,
    /// 0 for a process outside this container.
    pid: u32,
    file: FileNumber,
    /// The first locked byte.
    start: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Flock,
    Posix,
}

/// The kernel's identification of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileNumber {
    major: u32,
    minor: u32,
    inode: u64,
}

impl FileNumber {
    #[cfg(target_os = "linux")]
    fn of(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;

        use rustix::fs::{major, minor};

        let there = fs::metadata(path)?;
        Ok(Self { major: major(there.dev()), minor: minor(there.dev()), inode: there.ino() })
    }

    #[cfg(not(target_os = "linux"))]
    fn of(_: &Path) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Returns the process that holds a lock on the file at `path`; `None` if there is none or it is unknown.
pub(crate) fn holder(path: &Path) -> Option<u32> {
    let file = FileNumber::of(path).ok()?;
    let mut held = locks().into_iter().filter(|lock| lock.kind == Kind::Flock && lock.file == file);
    held.find(|lock| lock.pid != 0).map(|lock| lock.pid)
}

/// Returns the id of the process that serves the store at `url` on this machine; `None` if there is none or it is
/// unknown.
///
/// Unlike an attempt to take the lock, this does not get in the way of a process that is about to take it.
pub(crate) fn owner(url: &str) -> Option<u32> {
    holder(&lock_path(&file_of(url).ok()?))
}

/// Whether a bridge serves the store at `url`, even in another container; `None` if that cannot be determined.
pub(crate) fn is_served(url: &str) -> Option<bool> {
    let path = lock_path(&file_of(url).ok()?);
    if holder(&path).is_some() {
        return Some(true);
    }
    // The kernel's list omits processes of other containers. Taking a shared lock for a moment detects those too. That
    // cannot make the start of a bridge fail, because a start tries twice to take its lock.
    match fs::File::open(&path) {
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Some(false),
            Err(fs::TryLockError::WouldBlock) => Some(true),
            Err(fs::TryLockError::Error(_)) => None,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(false),
        Err(_) => None,
    }
}

/// Returns the processes with an open read transaction on the database at `path`, except this one and the owner.
pub(crate) fn foreign_readers(path: &Path) -> BTreeSet<u32> {
    let Ok(file) = FileNumber::of(&with(path, "-shm")) else {
        return BTreeSet::new();
    };
    let ours = [Some(std::process::id()), holder(&lock_path(path)), Some(0)];
    let reads =
        |lock: &Lock| lock.kind == Kind::Posix && lock.file == file && READ_MARKS.contains(&lock.start);
    let readers = locks().into_iter().filter(reads).map(|lock| lock.pid);
    readers.filter(|pid| !ours.contains(&Some(*pid))).collect()
}

fn locks() -> Vec<Lock> {
    let text = fs::read_to_string("/proc/locks").unwrap_or_default();
    text.lines().filter_map(parse).collect()
}

/// Parses a line such as `6: FLOCK  ADVISORY  WRITE 26738 fe:00:10076165 0 EOF`. A line with `->` belongs to a process
/// that waits for the lock.
fn parse(line: &str) -> Option<Lock> {
    let mut words = line.split_whitespace().skip(1);
    let kind = match words.next()? {
        "FLOCK" => Kind::Flock,
        "POSIX" | "OFDLCK" => Kind::Posix,
        _ => return None,
    };
    let pid = words.nth(2)?.parse().unwrap_or(0);
    let mut number = words.next()?.split(':');
    let mut device = || u32::from_str_radix(number.next()?, 16).ok();
    let (major, minor) = (device()?, device()?);
    let inode = number.next()?.parse().ok()?;
    let start = words.next()?.parse().ok()?;
    Some(Lock { kind, pid, file: FileNumber { major, minor, inode }, start })
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_the_current_holder_of_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("bridge.db").display());
        assert_eq!((owner(&url), is_served(&url)), (None, Some(false)), "the store does not exist");
        let path = folder.path().join("bridge.db.lock");
        fs::write(&path, format!("process {}\n", std::process::id())).unwrap();
        assert_eq!(owner(&url), None, "the note is from an earlier owner");
        let held = fs::File::open(&path).unwrap();
        assert_eq!((owner(&url), is_served(&url)), (None, Some(false)), "it is open, but not locked");
        held.try_lock().unwrap();
        assert_eq!((owner(&url), is_served(&url)), (Some(std::process::id()), Some(true)));
        drop(held);
        assert_eq!(owner(&url), None);
    }

    #[test]
    fn lines_of_proc_locks_are_parsed() {
        let file = FileNumber { major: 0xfe, minor: 1, inode: 10_076_165 };
        for (line, expected) in [
            (
                "6: FLOCK  ADVISORY  WRITE 26738 fe:01:10076165 0 EOF",
                Some(Lock { kind: Kind::Flock, pid: 26_738, file, start: 0 }),
            ),
            (
                "7: POSIX  ADVISORY  READ 26707 fe:01:10076165 123 123",
                Some(Lock { kind: Kind::Posix, pid: 26_707, file, start: 123 }),
            ),
            (
                "7: OFDLCK ADVISORY  READ -1 fe:01:10076165 124 124",
                Some(Lock { kind: Kind::Posix, pid: 0, file, start: 124 }),
            ),
            ("6: -> FLOCK  ADVISORY  WRITE 26738 fe:01:10076165 0 EOF", None),
            ("8: LEASE  ACTIVE    READ 12 fe:01:5 0 EOF", None),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(parse(line), expected, "{line}");
        }
    }
}
