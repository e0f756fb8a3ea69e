//! Computes the files that a power cut leaves, as a pure function of the recording, the moment and the disk's mood.
//!
//! The disk keeps what a sync has covered: the bytes of a file by a sync of the file, its name by a sync of its folder,
//! and the folder by a sync of the folder above. The disk may keep any part of the rest, or nothing: any 512-byte sector
//! of any write, in any order, and changes of names up to some moment. A sync covers what was written before it began,
//! but only once it has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::recording::{Event, Recording};

const SECTOR: usize = 512;

/// The unsynced data that the disk keeps.
#[derive(Clone, Copy, Debug)]
pub enum Mood {
    /// Nothing.
    Strict,
    /// A random part, which the seed determines.
    Any(u64),
    /// Nothing, and the disk ignores syncs, as if the program never synced.
    Liar,
}

/// The remaining files, by path.
pub type Left = BTreeMap<PathBuf, Vec<u8>>;

/// A file, independent of its name.
#[derive(Default)]
struct Content {
    synced: Vec<u8>,
    /// The changes that no sync has covered, counted from number `first`.
    pending: Vec<Event>,
    first: usize,
}

/// A change of a name: its folder, the event, and its number.
type Naming = (PathBuf, Event, usize);

#[derive(Default)]
struct Machine {
    contents: Vec<Content>,
    /// The content that an inode number refers to at this moment. The system reuses numbers.
    inodes: BTreeMap<u64, usize>,
    names: BTreeMap<PathBuf, usize>,
    folders: BTreeSet<PathBuf>,
    pending: Vec<Naming>,
    /// The changes that each sync covers when it ends, by its number.
    syncs: BTreeMap<u32, Covers>,
}

enum Covers {
    Bytes {
        content: usize,
        changes: usize,
    },
    /// The names in a folder that changed before the sync began.
    Names {
        folder: PathBuf,
        changes: usize,
    },
}

/// Returns the files of the recorded folder that remain if the power fails at this position of the log.
pub fn cut(recording: &Recording, position: usize, mood: Mood) -> Left {
    let mut machine = Machine::default();
    machine.folders.insert(recording.root.clone());
    let mut renamings = 0;
    let events = recording.events.iter().zip(&recording.ends).take_while(|(_, end)| **end <= position);
    for (event, _) in events {
        machine.happens(event, &mut renamings, matches!(mood, Mood::Liar));
    }
    machine.left(mood)
}

impl Machine {
    fn happens(&mut self, event: &Event, namings: &mut usize, lie: bool) {
        match event {
            Event::Create { path, inode } => {
                self.inodes.insert(*inode, self.contents.len());
                self.contents.push(Content::default());
                self.name(path, event, namings);
            }
            Event::MakeFolder { path } | Event::Unlink { path } | Event::Rename { from: path, .. } => {
                self.name(path, event, namings);
            }
            Event::Write { inode, .. } | Event::Truncate { inode, .. } => {
                self.contents[self.inodes[inode]].pending.push(event.clone());
            }
            Event::SyncBegins { sync, inode, path } => {
                let covers = match self.inodes.get(inode) {
                    Some(content) => {
                        let changes = self.contents[*content].first + self.contents[*content].pending.len();
                        Covers::Bytes { content: *content, changes }
                    }
                    None => Covers::Names { folder: path.clone(), changes: *namings },
                };
                self.syncs.insert(*sync, covers);
            }
            Event::SyncEnds { sync } if !lie => match self.syncs.remove(sync).unwrap() {
                Covers::Bytes { content, changes } => self.contents[content].sync(changes),
                Covers::Names { folder, changes } => {
                    let covered = |(place, _, number): &mut Naming| *place == folder && *number < changes;
                    let covered: Vec<Naming> = self.pending.extract_if(.., covered).collect();
                    covered.iter().for_each(|(_, event, _)| self.rename(event));
                }
            },
            Event::SyncEnds { .. } => {}
        }
    }

    fn name(&mut self, path: &Path, event: &Event, namings: &mut usize) {
        let mut event = event.clone();
        if let Event::Create { inode, .. } = &mut event {
            // The inode number may refer to another file by the time this event is applied.
            *inode = self.inodes[inode] as u64;
        }
        self.pending.push((path.parent().unwrap().to_owned(), event, *namings));
        *namings += 1;
    }

    fn rename(&mut self, event: &Event) {
        match event {
            Event::Create { path, inode } => {
                self.names.insert(path.clone(), usize::try_from(*inode).unwrap());
            }
            Event::MakeFolder { path } => {
                self.folders.insert(path.clone());
            }
            Event::Unlink { path } => {
                self.names.remove(path);
            }
            Event::Rename { from, to } => {
                if let Some(content) = self.names.remove(from) {
                    self.names.insert(to.clone(), content);
                }
            }
            _ => {}
        }
    }

    fn left(mut self, mood: Mood) -> Left {
        if let Mood::Any(seed) = mood {
            let mut random = fastrand::Rng::with_seed(seed);
            // A journal keeps the order in which names change.
            let kept = random.usize(0..=self.pending.len());
            let pending = std::mem::take(&mut self.pending);
            pending[..kept].iter().for_each(|(_, event, _)| self.rename(event));
            self.contents.iter_mut().for_each(|content| content.keep(&mut random));
        }
        let there = |path: &Path| {
            let root = self.folders.first().unwrap();
            path.ancestors()
                .skip(1)
                .take_while(|folder| folder.starts_with(root))
                .all(|folder| self.folders.contains(folder))
        };
        let left = self.names.iter().filter(|(path, _)| there(path));
        left.map(|(path, content)| (path.clone(), self.contents[*content].synced.clone())).collect()
    }
}

impl Content {
    fn sync(&mut self, changes: usize) {
        let covered = changes.saturating_sub(self.first);
        for change in self.pending.drain(..covered) {
            apply(&mut self.synced, &change, |_| true);
        }
        self.first += covered;
    }

    /// Keeps a random part of the pending changes.
    fn keep(&mut self, random: &mut fastrand::Rng) {
        let mut pending = std::mem::take(&mut self.pending);
        let often = random.f64();
        pending.retain(|change| matches!(change, Event::Write { .. }) || random.bool());
        random.shuffle(&mut pending);
        for change in &pending {
            apply(&mut self.synced, change, |_| random.f64() < often);
        }
    }
}

/// Applies a change. `keep` selects the sectors of a write that are applied.
fn apply(bytes: &mut Vec<u8>, change: &Event, mut keep: impl FnMut(usize) -> bool) {
    match change {
        Event::Truncate { size, .. } => bytes.resize(*size, 0),
        Event::Write { at, data, .. } => {
            let mut from = *at;
            while from < at + data.len() {
                let to = (from / SECTOR * SECTOR + SECTOR).min(at + data.len());
                if keep(from / SECTOR) {
                    if bytes.len() < to {
                        bytes.resize(to, 0);
                    }
                    bytes[from..to].copy_from_slice(&data[from - at..to - at]);
                }
                from = to;
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(path: &str, inode: u64) -> Event {
        Event::Create { path: path.into(), inode }
    }
    fn write(inode: u64, at: usize, data: &[u8]) -> Event {
        Event::Write { inode, at, data: data.to_vec() }
    }
    fn begins(sync: u32, inode: u64, path: &str) -> Event {
        Event::SyncBegins { sync, inode, path: path.into() }
    }
    fn ends(sync: u32) -> Event {
        Event::SyncEnds { sync }
    }
    fn text(left: &Left, path: &str) -> Option<String> {
        left.get(Path::new(path)).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    #[test]
    fn bytes_and_names_remain_once_their_syncs_have_ended() {
        let events = vec![
            create("/r/a", 7),
            write(7, 0, b"one"),
            begins(1, 7, "/r/a"),
            write(7, 0, b"two"),
            ends(1),
            begins(2, 1, "/r"),
            ends(2),
        ];
        let recording = Recording::of("/r", events);
        for position in 0..7 {
            assert_eq!(cut(&recording, position, Mood::Strict), Left::new(), "its name is not synced");
        }
        let left = cut(&recording, 7, Mood::Strict);
        assert_eq!(text(&left, "/r/a").as_deref(), Some("one"), "the sync began before the second write");
        assert_eq!(cut(&recording, 7, Mood::Liar), Left::new());
    }

    #[test]
    fn a_file_in_a_folder_with_an_unsynced_name_is_lost() {
        let mut events = vec![
            Event::MakeFolder { path: "/r/f".into() },
            create("/r/f/a", 7),
            begins(1, 2, "/r/f"),
            ends(1),
        ];
        assert_eq!(cut(&Recording::of("/r", events.clone()), 4, Mood::Strict), Left::new());
        events.extend([begins(2, 1, "/r"), ends(2)]);
        assert_eq!(cut(&Recording::of("/r", events), 6, Mood::Strict).len(), 1);
    }

    #[test]
    fn a_reused_inode_number_is_another_file() {
        let events = vec![
            create("/r/a", 7),
            write(7, 0, b"old"),
            begins(1, 7, "/r/a"),
            ends(1),
            begins(2, 1, "/r"),
            ends(2),
            Event::Unlink { path: "/r/a".into() },
            create("/r/a", 7),
            write(7, 0, b"new"),
            begins(3, 7, "/r/a"),
            ends(3),
            begins(4, 1, "/r"),
            ends(4),
        ];
        let recording = Recording::of("/r", events);
        assert_eq!(text(&cut(&recording, 11, Mood::Strict), "/r/a").as_deref(), Some("old"));
        assert_eq!(text(&cut(&recording, 13, Mood::Strict), "/r/a").as_deref(), Some("new"));
    }

    #[test]
    fn any_unsynced_sector_may_remain_and_never_an_unwritten_one() {
        let events = vec![
            create("/r/a", 7),
            write(7, 0, &[1; 1024]),
            begins(1, 7, "/r/a"),
            ends(1),
            begins(2, 1, "/r"),
            ends(2),
            write(7, 100, &[2; 1024]),
            Event::Truncate { inode: 7, size: 600 },
        ];
        let recording = Recording::of("/r", events);
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            let left = cut(&recording, 8, Mood::Any(seed));
            let bytes = &left[Path::new("/r/a")];
            assert!(bytes[..100].iter().all(|byte| *byte == 1), "no write touched these bytes");
            seen.insert((bytes.len(), bytes[100], bytes.get(511).copied(), bytes.get(512).copied()));
            assert_eq!(bytes[100], bytes[511], "a sector remains whole or not at all");
        }
        assert!(seen.len() > 6, "{seen:?}");
        assert_eq!(cut(&recording, 8, Mood::Strict)[Path::new("/r/a")], [1; 1024]);
    }
}
