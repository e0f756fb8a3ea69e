//! The zip itself: its entries, how they are named and packed, and the encoding of what is text.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use zip::{CompressionMethod, ZipArchive};

use super::Findings;

/// How the archive itself is called in a finding.
const ARCHIVE: &str = "widget.zip";
/// The most entries that are looked at.
const MAX_ENTRIES: usize = 500;
/// The most bytes of one entry, unpacked: a zip can claim to hold anything.
const MAX_ENTRY_BYTES: u64 = 4 * 1024 * 1024;
/// The most bytes of all entries together: many small ones can fill a memory too.
const MAX_UNPACKED_BYTES: u64 = 8 * 1024 * 1024;
/// The mark that some editors put before UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The files of a package by their names.
#[derive(Debug)]
pub(in super::super) struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// Reads a zip; none if it is no zip.
    pub(super) fn read(archive: &[u8], findings: &mut Findings) -> Option<Self> {
        let mut zip = match ZipArchive::new(Cursor::new(archive)) {
            Ok(zip) => zip,
            Err(error) => {
                findings.add(ARCHIVE, format!("is no zip: {error}"));
                return None;
            }
        };
        if zip.len() > MAX_ENTRIES {
            findings.add(ARCHIVE, format!("has {} entries; {MAX_ENTRIES} at most", zip.len()));
            return None;
        }
        // Of entries with the same name only the last one is seen below.
        findings.unless(!zip.has_duplicate_names(), ARCHIVE, "has two entries of the same name: remove one");
        let mut files = Self(BTreeMap::new());
        let mut left = MAX_UNPACKED_BYTES;
        for at in 0..zip.len() {
            match files.take(&mut zip, at, findings) {
                Ok(bytes) if bytes > left => {
                    findings.add(ARCHIVE, format!("has more than {MAX_UNPACKED_BYTES} bytes unpacked"));
                    return None;
                }
                Ok(bytes) => left -= bytes,
                Err(error) => findings.add(ARCHIVE, format!("entry {} cannot be read: {error}", at + 1)),
            }
        }
        if files.get("manifest.json").is_none()
            && let Some(inner) = files.0.keys().find(|name| name.ends_with("/manifest.json"))
        {
            findings.add(inner, "must be at the root of the archive: pack the files, not their folder");
        }
        Some(files)
    }

    /// The bytes of a file.
    pub(in super::super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Reads one entry, and says how many bytes of it were unpacked.
    fn take(
        &mut self,
        zip: &mut ZipArchive<Cursor<&[u8]>>,
        at: usize,
        findings: &mut Findings,
    ) -> zip::result::ZipResult<u64> {
        let mut entry = zip.by_index(at)?;
        let Ok(name) = String::from_utf8(entry.name_raw().to_vec()) else {
            findings.add(ARCHIVE, format!("entry {} has a name that is no UTF-8", at + 1));
            return Ok(0);
        };
        for complaint in wrong_name(&name) {
            findings.add(&name, complaint);
        }
        if entry.is_dir() {
            return Ok(0);
        }
        let known = [CompressionMethod::Stored, CompressionMethod::Deflated];
        findings.unless(known.contains(&entry.compression()), &name, "must be deflated or stored");
        let mut bytes = Vec::new();
        entry.by_ref().take(MAX_ENTRY_BYTES + 1).read_to_end(&mut bytes)?;
        let unpacked = bytes.len() as u64;
        if unpacked > MAX_ENTRY_BYTES {
            findings.add(&name, format!("has more than {MAX_ENTRY_BYTES} bytes"));
            return Ok(unpacked);
        }
        if [".json", ".js"].iter().any(|ending| name.ends_with(ending)) {
            findings.unless(!bytes.starts_with(BOM), &name, "begins with a byte order mark: save it without");
            findings.unless(std::str::from_utf8(&bytes).is_ok(), &name, "must be UTF-8");
        }
        self.0.insert(name, bytes);
        Ok(unpacked)
    }
}

fn wrong_name(name: &str) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    if name.contains('\\') {
        wrong.push("must have forward slashes in its name");
    }
    if name.starts_with('/') || name.split('/').any(|part| part == "..") {
        wrong.push("must be named from the root of the archive on");
    }
    if name.split(['/', '\\']).any(|part| part.starts_with('.') && part != "..")
        || name.starts_with("__MACOSX")
    {
        wrong.push("is a hidden file: leave it out");
    }
    wrong
}
