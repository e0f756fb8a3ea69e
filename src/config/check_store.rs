//! Checks of `[store]`: where jobs and backups are, the encryption keys, and how long jobs are kept.

use std::path::Path;

use super::checker::{Checker, DAY, MINUTE, SECOND};
use super::raw;
use super::secret::Kind;
use super::sections::StoreConfig;

pub(super) const ENCRYPTION_KEY: [&str; 2] = ["store", "encryption_key"];
const URL: [&str; 2] = ["store", "url"];
const BACKUP_FOLDER: [&str; 2] = ["store", "backup_folder"];

/// Returns the checked section; `None` if it is incomplete.
pub(super) fn store(raw: raw::Store, checker: &mut Checker<'_>) -> Option<StoreConfig> {
    let url = checker.require(&URL, raw.url, "`sqlite:PATH`").and_then(|url| store_url(&url, checker));
    let mut key = |path: &[&str], value, file| checker.secret(path, value, file, Kind::EncryptionKey);
    let encryption_key = key(&ENCRYPTION_KEY, raw.encryption_key, raw.encryption_key_file);
    let previous_path = ["store", "previous_encryption_key"];
    let previous_encryption_key =
        key(&previous_path, raw.previous_encryption_key, raw.previous_encryption_key_file);
    let retention = checker.span(&["store", "retention"], raw.retention, SECOND..=3650 * DAY);
    let body_retention = match raw.body_retention {
        Some(given) => checker.span(&["store", "body_retention"], Some(given), SECOND..=3650 * DAY),
        None => retention,
    };
    let folder = raw.backup_folder.and_then(|text| match paths::literal(&text) {
        Ok(path) => Some(checker.resolve(&BACKUP_FOLDER, path)),
        Err(why) => {
            checker.refuse(&BACKUP_FOLDER, why.to_string());
            None
        }
    });
    let backup_every = checker.span(&["store", "backup_every"], raw.backup_every, MINUTE..=365 * DAY);
    let backup_keep = checker.count(&["store", "backup_keep"], raw.backup_keep);
    Some(StoreConfig {
        url: url?,
        encryption_key,
        previous_encryption_key,
        retention: retention?,
        body_retention: body_retention?,
        backup_folder: folder,
        backup_every: backup_every?,
        backup_keep: backup_keep?,
    })
}

/// Returns `url` with its path resolved; `None` if it is refused.
fn store_url(url: &str, checker: &mut Checker<'_>) -> Option<String> {
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        checker.refuse(&URL, "this build does not support PostgreSQL; use `sqlite:PATH`");
        return None;
    }
    let why = match paths::of_sqlite(url) {
        Ok(written) => {
            let file = checker.resolve(&URL, &written);
            if file == written {
                return Some(url.to_owned());
            }
            match url_of(&file) {
                Some(url) => return Some(url),
                None => format!(
                    "cannot be in {}: write an absolute path whose folders have plain names",
                    file.parent().unwrap_or(&file).display()
                ),
            }
        }
        Err(why) => why.to_string(),
    };
    checker.refuse(&URL, why);
    None
}

/// The URL of `file`; `None` if a URL cannot express its path.
fn url_of(file: &Path) -> Option<String> {
    let url = format!("sqlite:{}", file.to_str()?);
    paths::of_sqlite(&url).is_ok_and(|read| read == file).then_some(url)
}
