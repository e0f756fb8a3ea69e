//! The recording of the shim, as events in the order in which they happened.

use std::path::{Path, PathBuf};

/// All events of a run.
pub struct Recording {
    pub(super) events: Vec<Event>,
    /// The position in the log where each event ends. A cut at a position keeps the events that end at or before it.
    pub(super) ends: Vec<usize>,
    pub(super) root: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Create { path: PathBuf, inode: u64 },
    MakeFolder { path: PathBuf },
    Write { inode: u64, at: usize, data: Vec<u8> },
    Truncate { inode: u64, size: usize },
    SyncBegins { sync: u32, inode: u64, path: PathBuf },
    SyncEnds { sync: u32 },
    Unlink { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
}

const HEAD: usize = 32;

impl Recording {
    /// Parses the log of a run below `root`. Skips an event that a kill has cut short.
    pub fn read(log: &[u8], root: &Path) -> Self {
        let mut recording = Self { events: Vec::new(), ends: Vec::new(), root: root.to_owned() };
        let mut begin = 0;
        while let Some((event, length)) = next(&log[begin..]) {
            begin += length;
            recording.events.push(event);
            recording.ends.push(begin);
        }
        recording
    }

    /// Creates a recording of these events, each one byte long in the log.
    #[cfg(test)]
    pub fn of(root: &str, events: Vec<Event>) -> Self {
        let ends = (1..=events.len()).collect();
        Self { events, ends, root: root.into() }
    }

    /// The position after the last event.
    pub fn end(&self) -> usize {
        self.ends.last().copied().unwrap_or_default()
    }

    /// The number of syncs of files and folders with this name.
    pub fn syncs(&self, name: &str) -> usize {
        let named = |event: &&Event| matches!(event, Event::SyncBegins { path, .. } if path.ends_with(name));
        self.events.iter().filter(named).count()
    }
}

fn next(bytes: &[u8]) -> Option<(Event, usize)> {
    let head = bytes.get(..HEAD)?;
    let short = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
    let long = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
    let (sync, inode, offset) = (short(4), long(8), usize::try_from(long(16)).unwrap());
    let (path, data) = (short(24) as usize, short(28) as usize);
    let text = bytes.get(HEAD..HEAD + path)?;
    let data = bytes.get(HEAD + path..HEAD + path + data)?;
    let path_of = |bytes: &[u8]| PathBuf::from(String::from_utf8(bytes.to_vec()).unwrap());
    let path = path_of(text);
    let length = HEAD + text.len() + data.len();
    let event = match head[0] {
        b'C' => Event::Create { path, inode },
        b'M' => Event::MakeFolder { path },
        b'W' => Event::Write { inode, at: offset, data: data.to_vec() },
        b'T' => Event::Truncate { inode, size: offset },
        b'S' => Event::SyncBegins { sync, inode, path },
        b'E' => Event::SyncEnds { sync },
        b'U' => Event::Unlink { path },
        b'R' => Event::Rename { from: path, to: path_of(data) },
        other => panic!("unknown event {other}"),
    };
    Some((event, length))
}
