//! The address of a store: which engine it means, and how to show it. It may contain a password.

use std::fmt;
use std::ops::Deref;

use crate::postgres::connect::url::Target;
use crate::{Cause, StoreError};

/// The database engine of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// One SQLite file: `sqlite:PATH`.
    Sqlite,
    /// A PostgreSQL database: `postgres://…`.
    Postgres,
}

/// Checks the form of an address. Connects to nothing.
///
/// # Errors
/// `Url`: the address cannot be used. The error does not show it.
pub fn check_url(url: &str) -> Result<StoreKind, StoreError> {
    match kind_of(url) {
        StoreKind::Postgres => Target::parse(url).map(|_| StoreKind::Postgres),
        StoreKind::Sqlite => match paths::of_sqlite(url) {
            Ok(_) => Ok(StoreKind::Sqlite),
            Err(why) => Err(StoreError::Url(Cause::of(why))),
        },
    }
}

/// Returns the engine that the scheme of an address means. The rest of the address may be wrong.
pub(crate) fn kind_of(url: &str) -> StoreKind {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("postgres" | "postgresql") => StoreKind::Postgres,
        _ => StoreKind::Sqlite,
    }
}

/// Returns an address without user and password, for people.
pub(crate) fn shown(url: &str) -> String {
    match kind_of(url) {
        StoreKind::Sqlite => url.to_owned(),
        StoreKind::Postgres => {
            Target::parse(url).map_or_else(|_| "postgres://…".to_owned(), |target| target.name().to_owned())
        }
    }
}

/// The address of a store. It is shown without user and password; as a `str`, it is complete.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// The engine of the store.
    pub fn kind(&self) -> StoreKind {
        kind_of(&self.0)
    }

    /// The complete address, with its password.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for StoreUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl From<&str> for StoreUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl Deref for StoreUrl {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<&str> for StoreUrl {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl PartialEq<String> for StoreUrl {
    fn eq(&self, other: &String) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&shown(&self.0), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_decides_which_engine_checks_the_address() {
        for (url, expected) in [
            ("sqlite:data/bridge.db", Ok(StoreKind::Sqlite)),
            ("postgres://ann:s3cret@h/bridge", Ok(StoreKind::Postgres)),
            ("postgresql:///bridge?host=/run/pg", Ok(StoreKind::Postgres)),
            ("postgres:bridge", Err("does not start with postgres://")),
            ("postgres://ann:s3cret@h", Err("names no database")),
            ("bridge.db", Err("must be `sqlite:`")),
            ("mysql://ann:s3cret@h/bridge", Err("must be `sqlite:`")),
        ] {
            match (check_url(url), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{url}"),
                (Err(error), Err(part)) => {
                    let error = error.to_string();
                    assert!(error.contains(part) && !error.contains("s3cret"), "{url}: {error}");
                }
                (found, _) => panic!("{url}: {found:?}"),
            }
        }
    }

    #[test]
    fn an_address_is_shown_without_user_and_password() {
        for (url, expected) in [
            ("sqlite:data/bridge.db", "sqlite:data/bridge.db"),
            (
                "postgres://ann:s3cret@db.example:5432/bridge?sslmode=require",
                "postgres://db.example:5432/bridge",
            ),
            ("postgres:///bridge?user=ann&password=s3cret&host=/run/pg", "postgres:///bridge?host=/run/pg"),
            ("postgres://ann:s3/cret@h/bridge", "postgres://…"),
        ] {
            let url = StoreUrl::from(url.to_owned());
            assert_eq!(url.to_string(), expected);
            assert_eq!(format!("{url:?}"), format!("{expected:?}"));
        }
    }
}
