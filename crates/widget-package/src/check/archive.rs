//! Checks the zip itself: its entries, their names and compression, and the encoding of text files.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use zip::{CompressionMethod, ZipArchive};

use super::Findings;

/// The name of the archive itself in a finding.
const ARCHIVE: &str = "widget.zip";
/// The maximum number of entries.
const MAX_ENTRIES: usize = 500;
/// The maximum size of one unpacked entry, in bytes. Protects against zip bombs.
const MAX_ENTRY_BYTES: u64 = 4 * 1024 * 1024;
/// The maximum size of all unpacked entries together, in bytes. Protects against many small entries.
const MAX_UNPACKED_BYTES: u64 = 8 * 1024 * 1024;
/// The byte order mark that some editors write before UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The files of a package by name.
#[derive(Debug)]
pub(in super::super) struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// Reads a zip; `None` if it is not a zip or exceeds a limit.
    pub(super) fn read(archive: &[u8], findings: &mut Findings) -> Option<Self> {
        let mut zip = match ZipArchive::new(Cursor::new(archive)) {
            Ok(zip) => zip,
            Err(error) => {
                findings.add(ARCHIVE, format!("is not a zip: {error}"));
                return None;
            }
        };
        if zip.len() > MAX_ENTRIES {
            findings.add(ARCHIVE, format!("has {} entries (limit: {MAX_ENTRIES})", zip.len()));
            return None;
        }
        // The loop below sees only the last of several entries with the same name.
        findings.unless(
            !zip.has_duplicate_names(),
            ARCHIVE,
            "has two entries with the same name: remove one",
        );
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
            findings.add(inner, "must be at the root of the zip: pack the files, not their folder");
        }
        Some(files)
    }

    /// The content of a file.
    pub(in super::super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Reads one entry and returns the number of unpacked bytes.
    fn take(
        &mut self,
        zip: &mut ZipArchive<Cursor<&[u8]>>,
        at: usize,
        findings: &mut Findings,
    ) -> zip::result::ZipResult<u64> {
        let mut entry = zip.by_index(at)?;
        let Ok(name) = String::from_utf8(entry.name_raw().to_vec()) else {
            findings.add(ARCHIVE, format!("entry {} has a name that is not UTF-8", at + 1));
            return Ok(0);
        };
        for complaint in wrong_name(&name) {
            findings.add(&name, complaint);
        }
        if entry.is_dir() {
            return Ok(0);
        }
        let known = [CompressionMethod::Stored, CompressionMethod::Deflated];
        findings.unless(
            known.contains(&entry.compression()),
            &name,
            "must be compressed with deflate or not at all",
        );
        let mut bytes = Vec::new();
        entry.by_ref().take(MAX_ENTRY_BYTES + 1).read_to_end(&mut bytes)?;
        let unpacked = bytes.len() as u64;
        if unpacked > MAX_ENTRY_BYTES {
            findings.add(&name, format!("has more than {MAX_ENTRY_BYTES} bytes unpacked"));
            return Ok(unpacked);
        }
        if [".json", ".js"].iter().any(|ending| name.ends_with(ending)) {
            findings.unless(
                !bytes.starts_with(BOM),
                &name,
                "begins with a byte order mark: save it without one",
            );
            findings.unless(std::str::from_utf8(&bytes).is_ok(), &name, "must be UTF-8");
        }
        self.0.insert(name, bytes);
        Ok(unpacked)
    }
}

fn wrong_name(name: &str) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    if name.contains('\\') {
        wrong.push("must use forward slashes in its name");
    }
    if name.starts_with('/') || name.split('/').any(|part| part == "..") {
        wrong.push("must have a path relative to the root of the zip, without `..`");
    }
    if name.split(['/', '\\']).any(|part| part.starts_with('.') && part != "..")
        || name.starts_with("__MACOSX")
    {
        wrong.push("is a hidden file: leave it out");
    }
    wrong
}
