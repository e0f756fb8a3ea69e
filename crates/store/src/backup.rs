//! Backups of a whole store: writes, names, deletes and restores them. All functions block, and none needs an open
//! [`Store`](crate::Store).
//!
//! A backup is one file: a store without a write-ahead log, which can be opened as it is. It is complete and verified
//! before it gets its name.

use std::fs;
use std::path::{Path, PathBuf};

use model::Timestamp;

use crate::jobs::actions::NewAction;
use crate::sqlite::actions;
use crate::sqlite::file::replace::Replaced;
use crate::sqlite::file::{copy, create, path, replace, verify};
use crate::sqlite::maintenance::{inspect, service_time};
use crate::{ActionKind, Actor, StoreError};

pub use crate::records::{BackupFile, Copied, Restored, Vacuumed};

/// Writes a backup of the store at `url` to `target`, beside the process that serves it. Ends early if `stop` returns
/// `true`. An existing file is replaced only if it is a store, and only with a complete backup.
///
/// # Errors
/// The store cannot be read, or the backup cannot be written or is damaged. Nothing is left of it.
pub fn back_up(
    url: &str,
    target: &Path,
    stop: impl Fn() -> bool + Clone + Send + 'static,
) -> Result<Copied, StoreError> {
    let store = path::file_of(url)?;
    path::must_exist(&store)?;
    let cannot = |error: std::io::Error| StoreError::Copy {
        path: target.display().to_string(),
        why: crate::Cause::with(paths::cannot(create::folder_of(target), "created", &error), error),
    };
    create::make_folder(create::folder_of(target)).map_err(cannot)?;
    copy::copy(&store, target, stop)
}

/// Replaces the store at `url` with the backup `from`, and keeps the replaced store beside it. The new store has the restore
/// in its log of actions from the moment that it is in place.
///
/// # Errors
/// A process serves the store, `from` is not an undamaged store that this version can open, or a file cannot be written.
/// The store is unchanged.
pub fn restore(url: &str, from: &Path, now: Timestamp, by: &Actor) -> Result<Restored, StoreError> {
    let (mut served_until, mut is_logged) = (None, false);
    let replaced = replace::restore(url, from, &stamp(now), inspect::inconsistencies, |new, backup| {
        served_until = service_time::served_until(new)?;
        let file = paths::absolute(from);
        let age = served_until
            .map_or_else(|| "never served".to_owned(), |until| format!("served until {}", seconds(until)));
        let target = format!("{}, {age}, {} bytes", file.display(), backup.bytes);
        let action = NewAction { jobs: backup.jobs, ..NewAction::on(by, ActionKind::Restore, target) };
        is_logged = actions::record_in(new, &action, now)?.is_some();
        Ok(())
    })?;
    let Replaced { copied, aside } = replaced;
    Ok(Restored { copied, replaced: aside, served_until, is_logged })
}

/// Rewrites the store at `url` without its free pages, and records that in its log of actions. Needs room for a copy.
///
/// # Errors
/// A process has the store open, or a file cannot be written. The store is unchanged.
pub fn vacuum(url: &str, now: Timestamp, by: &Actor) -> Result<Vacuumed, StoreError> {
    let mut is_logged = false;
    let (before, after) = replace::vacuum(url, |new, before| {
        let target = |after| format!("{before} bytes before, {after} after");
        let size = verify::bytes(new)?;
        let action = NewAction::on(by, ActionKind::StoreVacuum, target(size));
        if let Some(id) = actions::record_in(new, &action, now)? {
            is_logged = true;
            // The row may have added a page.
            actions::change_target(new, id, &target(verify::bytes(new)?))?;
        }
        Ok(())
    })?;
    Ok(Vacuumed { before, after, is_logged })
}

/// The name of a backup of the store at `url` in `folder`: `bridge-20261130T174631Z.db`.
///
/// # Errors
/// `url` names no file.
pub fn name_in(folder: &Path, url: &str, now: Timestamp) -> Result<PathBuf, StoreError> {
    Ok(folder.join(format!("{}-{}.db", stem(url)?, stamp(now))))
}

/// The backups of the store at `url` in `folder` by the names that [`name_in`] gives, oldest first.
///
/// # Errors
/// `url` names no file.
pub fn all_in(folder: &Path, url: &str) -> Result<Vec<PathBuf>, StoreError> {
    let prefix = format!("{}-", stem(url)?);
    let is_backup = |name: &str| {
        let stamp = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".db"));
        stamp.is_some_and(|stamp| {
            stamp.len() == 16
                && stamp.bytes().enumerate().all(|(at, byte)| match at {
                    8 => byte == b'T',
                    15 => byte == b'Z',
                    _ => byte.is_ascii_digit(),
                })
        })
    };
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_backup))
        .collect();
    found.sort();
    Ok(found)
}

/// The backups of the store at `url` in `folder` with their sizes and times, newest first. One that cannot be read is
/// missing.
///
/// # Errors
/// `url` names no file.
pub fn list_in(folder: &Path, url: &str) -> Result<Vec<BackupFile>, StoreError> {
    Ok(all_in(folder, url)?.into_iter().rev().filter_map(file).collect())
}

fn file(path: PathBuf) -> Option<BackupFile> {
    let metadata = fs::metadata(&path).ok()?;
    let since_epoch = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(BackupFile { path, bytes: metadata.len(), written_at: Timestamp::default() + since_epoch })
}

/// When the newest backup of the store at `url` in `folder` was written; `None` if there is none.
///
/// # Errors
/// `url` names no file.
pub fn newest_in(folder: &Path, url: &str) -> Result<Option<Timestamp>, StoreError> {
    Ok(all_in(folder, url)?.pop().and_then(file).map(|newest| newest.written_at))
}

/// Deletes all but the newest `keep` backups of the store at `url` in `folder`. Returns those it deleted. At least one
/// backup stays.
///
/// # Errors
/// `url` names no file. A backup that cannot be deleted is logged.
pub fn keep_newest(folder: &Path, url: &str, keep: usize) -> Result<Vec<PathBuf>, StoreError> {
    let mut all = all_in(folder, url)?;
    all.truncate(all.len().saturating_sub(keep.max(1)));
    all.retain(|path| match fs::remove_file(path) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, backup = %path.display(), "an old backup cannot be deleted");
            false
        }
    });
    Ok(all)
}

/// The name of the store's file without its ending.
fn stem(url: &str) -> Result<String, StoreError> {
    let path = path::file_of(url)?;
    Ok(path.file_stem().map_or_else(|| "store".to_owned(), |stem| stem.to_string_lossy().into_owned()))
}

/// A moment in the name of a file: `20261130T174631Z`.
fn stamp(moment: Timestamp) -> String {
    seconds(moment).chars().filter(|letter| !matches!(letter, '-' | ':')).collect()
}

/// A moment without its milliseconds: `2026-11-30T17:46:31Z`.
fn seconds(moment: Timestamp) -> String {
    let text = moment.to_string();
    format!("{}Z", text.split('.').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_with_the_names_of_backups_are_deleted_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        let url = "sqlite:/data/bridge.db";
        let moment =
            |second: u64| Timestamp::from_millis(1_700_000_000_000) + std::time::Duration::from_secs(second);
        let named = name_in(folder.path(), url, moment(0)).unwrap();
        assert_eq!(named, folder.path().join("bridge-20231114T221320Z.db"));
        for second in [3, 1, 2] {
            fs::write(name_in(folder.path(), url, moment(second)).unwrap(), "").unwrap();
        }
        let others = [
            "bridge.db",
            "bridge-20231114T221321Z.db.partial",
            "bridge-notes.db",
            "other-20231114T221321Z.db",
        ];
        others.iter().for_each(|name| fs::write(folder.path().join(name), "").unwrap());
        let gone = keep_newest(folder.path(), url, 2).unwrap();
        assert_eq!(gone, [name_in(folder.path(), url, moment(1)).unwrap()]);
        assert_eq!(all_in(folder.path(), url).unwrap().len(), 2);
        assert_eq!(keep_newest(folder.path(), url, 0).unwrap().len(), 1, "one stays");
        assert!(others.iter().all(|name| folder.path().join(name).exists()));
        assert!(newest_in(folder.path(), url).unwrap().is_some());
        let listed = list_in(folder.path(), url).unwrap();
        assert_eq!(listed[0].path, name_in(folder.path(), url, moment(3)).unwrap());
        assert_eq!((listed.len(), listed[0].bytes), (1, 0));
        assert_eq!(newest_in(&folder.path().join("none"), url).unwrap(), None);
    }
}
