//! Writes the files: only what is new or may be replaced, and only after the configuration was read back.
//!
//! All files are written to a folder inside the target first. If the configuration loads there, they are renamed into place,
//! `bridge.toml` last, so there is never a configuration without its files.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::cli::exit::Failure;
use crate::config::{Effective, Sources};

use super::render::{CONFIG, NewFile};

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// There is none yet.
    New,
    /// The existing one is the same.
    Unchanged,
    /// The existing one is different, and stays.
    Kept,
    /// The existing one is different.
    Replaced,
}

impl Status {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::New => "written",
            Self::Unchanged => "unchanged",
            Self::Kept => "kept",
            Self::Replaced => "replaced",
        }
    }
}

/// A file, and what happens to it.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) file: NewFile,
    pub(super) status: Status,
    /// The existing bytes.
    earlier: Option<Vec<u8>>,
}

impl Change {
    /// Compares a file with the existing one in `folder`.
    ///
    /// # Errors
    /// The existing one cannot be read, or is not a file.
    pub(super) fn of(file: NewFile, folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(&file.name);
        if fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
            let message =
                format!("{} is not a regular file: move it, or choose another --dir", path.display());
            return Err(Failure::usage(message));
        }
        let earlier = match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Failure::running(paths::cannot(&path, "read", &error))),
        };
        let status = match &earlier {
            None => Status::New,
            Some(bytes) if is_same(bytes, &file) => Status::Unchanged,
            Some(_) if file.keeps_existing => Status::Kept,
            Some(_) => Status::Replaced,
        };
        Ok(Self { file, status, earlier })
    }

    /// Whether the file is new or replaced.
    pub(super) const fn is_written(&self) -> bool {
        matches!(self.status, Status::New | Status::Replaced)
    }

    /// The bytes that the file has in the end.
    fn bytes(&self) -> &[u8] {
        match (&self.status, &self.earlier) {
            (Status::Kept | Status::Unchanged, Some(earlier)) => earlier,
            _ => &self.file.bytes,
        }
    }

    /// The differences, without any value of the existing file: it may hold secrets.
    pub(super) fn differences(&self) -> Vec<String> {
        let Some(earlier) = &self.earlier else { return Vec::new() };
        if self.file.name != CONFIG {
            return vec![
                if self.file.is_secret { "holds another secret" } else { "is different" }.to_owned(),
            ];
        }
        let table = |bytes: &[u8]| String::from_utf8_lossy(bytes).parse::<toml::Table>().ok();
        let (Some(before), Some(after)) = (table(earlier), table(&self.file.bytes)) else {
            return vec!["is not TOML, and everything in it would go".to_owned()];
        };
        let (before, after) = (leaves(&before), leaves(&after));
        let mut found = Vec::new();
        for (key, value) in &before {
            match after.get(key) {
                None => found.push(format!("{key} would go")),
                Some(new) if new != value => found.push(format!("{key} would become {new}")),
                Some(_) => {}
            }
        }
        let added = after.iter().filter(|(key, _)| !before.contains_key(*key));
        found.extend(added.map(|(key, value)| format!("{key} = {value} would be added")));
        if found.is_empty() {
            found.push("only comments and layout would change".to_owned());
        }
        found
    }
}

/// Whether the existing bytes are those of the file; a secret may lack the newline at its end.
fn is_same(bytes: &[u8], file: &NewFile) -> bool {
    bytes == file.bytes || file.is_secret && bytes.trim_ascii_end() == file.bytes.trim_ascii_end()
}

/// The values of a table with their whole keys.
fn leaves(table: &toml::Table) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => {
                found.extend(
                    leaves(inner).into_iter().map(|(below, value)| (format!("{key}.{below}"), value)),
                );
            }
            value => {
                found.insert(key.clone(), value.to_string());
            }
        }
    }
    found
}

/// Writes the files, and returns the configuration as `serve` reads it.
///
/// # Errors
/// The configuration is refused, with the exit status 2, and nothing was written; or a file cannot be written.
pub(super) fn write(folder: &Path, changes: &[Change]) -> Result<Effective, Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::running(paths::cannot(folder, "created", &error)))?;
    let cannot = |path: &Path, error: &io::Error| Failure::running(paths::cannot(path, "written", error));
    let staging = tempfile::Builder::new().prefix(".init-").tempdir_in(folder);
    let staging = staging.map_err(|error| cannot(folder, &error))?;
    for change in changes {
        let path = staging.path().join(&change.file.name);
        stage(&path, change.bytes(), change.file.is_secret).map_err(|error| cannot(&path, &error))?;
    }
    check(&staging, folder)?;
    for change in changes.iter().filter(|change| change.is_written()) {
        let path = folder.join(&change.file.name);
        let renamed = parent(&path)
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::rename(staging.path().join(&change.file.name), &path));
        renamed.map_err(|error| cannot(&path, &error))?;
    }
    load(&folder.join(CONFIG)).map_err(Failure::usage)
}

fn parent(path: &Path) -> Option<&Path> {
    path.parent().filter(|parent| !parent.as_os_str().is_empty())
}

fn stage(path: &Path, bytes: &[u8], is_secret: bool) -> io::Result<()> {
    parent(path).map_or(Ok(()), fs::create_dir_all)?;
    let mode = if is_secret { 0o600 } else { 0o666 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Reads the configuration before it is in place.
fn check(staging: &TempDir, folder: &Path) -> Result<(), Failure> {
    let Err(message) = load(&staging.path().join(CONFIG)) else { return Ok(()) };
    // The reader looks for the files where they will be.
    let shown = paths::absolute(folder).display().to_string();
    let message = message.replace(&paths::absolute(staging.path()).display().to_string(), &shown);
    Err(Failure::usage(format!("nothing was written, because the bridge would refuse the result: {message}")))
}

/// Reads a configuration file alone, without the environment.
pub(super) fn load(file: &Path) -> Result<Effective, String> {
    let sources = Sources { file: Some(PathBuf::from(file)), env: Vec::new() };
    Effective::load(&sources).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
