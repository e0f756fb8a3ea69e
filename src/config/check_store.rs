//! Checks of `[store]`: where jobs and backups are, the encryption keys, and how long jobs are kept.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::checker::{Checker, DAY, MINUTE, SECOND};
use super::raw;
use super::secret::Kind;
use super::sections::StoreConfig;
use store::{StoreError, StoreKind, StoreUrl, check_url};

pub(super) const ENCRYPTION_KEY: [&str; 2] = ["store", "encryption_key"];
pub(super) const URL: [&str; 2] = ["store", "url"];
const URL_FILE: [&str; 2] = ["store", "url_file"];
const BACKUP_FOLDER: [&str; 2] = ["store", "backup_folder"];

/// Returns the checked section; `None` if it is incomplete.
pub(super) fn store(raw: raw::Store, checker: &mut Checker<'_>) -> Option<StoreConfig> {
    let url = match raw.url_file {
        None => checker
            .require(&URL, raw.url, "`sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`")
            .and_then(|url| store_url(&url, &URL, checker)),
        file => checker
            .secret(&URL, raw.url.map(SecretString::from), file, Kind::StoreUrl)
            .and_then(|url| store_url(url.expose_secret(), &URL_FILE, checker)),
    };
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
    if folder.is_some() && url.as_ref().is_some_and(|url| url.kind() == StoreKind::Postgres) {
        checker.refuse(
            &BACKUP_FOLDER,
            "is only for a SQLite store, and store.url names a PostgreSQL database: remove this key, and back the database up \
             with pg_dump or with your provider's backups",
        );
    }
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

/// Returns `url`, which was read for `key`, with its path resolved; `None` if it is refused. No refusal shows it, because it
/// may contain a password.
fn store_url(url: &str, key: &[&str], checker: &mut Checker<'_>) -> Option<StoreUrl> {
    let why = match check_url(url) {
        Ok(StoreKind::Postgres) => return Some(StoreUrl::from(url)),
        Ok(StoreKind::Sqlite) => match resolved(url, key, checker) {
            Ok(url) => return Some(StoreUrl::from(url)),
            Err(why) => why,
        },
        Err(StoreError::Url(why)) => why.to_string(),
        Err(other) => other.to_string(),
    };
    checker.refuse(key, why);
    None
}

/// Returns the URL of a SQLite file with its path resolved.
fn resolved(url: &str, key: &[&str], checker: &Checker<'_>) -> Result<String, String> {
    let written = paths::of_sqlite(url).map_err(|why| why.to_string())?;
    let file = checker.resolve(key, &written);
    if file == written {
        return Ok(url.to_owned());
    }
    url_of(&file).ok_or_else(|| {
        format!(
            "cannot be in {}: write an absolute path whose folders have plain names",
            file.parent().unwrap_or(&file).display()
        )
    })
}

/// The URL of `file`; `None` if a URL cannot express its path.
fn url_of(file: &Path) -> Option<String> {
    let url = format!("sqlite:{}", file.to_str()?);
    paths::of_sqlite(&url).is_ok_and(|read| read == file).then_some(url)
}
