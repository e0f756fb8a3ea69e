//! Translates PostgreSQL's errors, by their SQLSTATE, into errors of the store.

use std::error::Error;
use std::io;

use sqlx::postgres::PgDatabaseError;

use crate::{Cause, StoreError};

/// Returns the error of the store, or `error` itself if it does not come from PostgreSQL.
pub(crate) fn of_postgres(error: sqlx::Error) -> Result<StoreError, sqlx::Error> {
    match error {
        sqlx::Error::Database(database) => match database.try_downcast::<PgDatabaseError>() {
            Ok(database) => {
                let (code, message) = (database.code().to_owned(), said(&database));
                Ok(of_code(&code, &message, database))
            }
            Err(database) => Err(sqlx::Error::Database(database)),
        },
        sqlx::Error::Io(io) if !is_of_a_file(io.kind()) => Ok(unreachable(io)),
        sqlx::Error::Tls(error) => Ok(tls(error)),
        // The connection broke in the middle of a message.
        error @ sqlx::Error::Protocol(_) => Ok(StoreError::Unavailable(Cause::of(error))),
        other => Err(other),
    }
}

/// Returns the error of an attempt to connect.
pub(crate) fn of_connecting(error: sqlx::Error) -> StoreError {
    match error {
        // rustls reports a bad certificate or a bad answer in this way.
        sqlx::Error::Io(io) if io.kind() == io::ErrorKind::InvalidData => tls(io.into()),
        sqlx::Error::Io(io) => unreachable(io),
        other => other.into(),
    }
}

/// Whether the connection that returned `error` can no longer be used.
pub(crate) const fn breaks_connection(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_) | StoreError::Timeout | StoreError::Closed)
}

/// The server's message with its details. It contains no password, and the details name no values of rows.
fn said(error: &PgDatabaseError) -> String {
    // The detail of a violated constraint quotes the row, which may be a customer's data.
    match error.detail().filter(|_| !error.code().starts_with("23")) {
        Some(detail) => format!("{}: {detail}", error.message()),
        None => error.message().to_owned(),
    }
}

/// Whether SQLite may be the cause. It has no connection that can break, so its errors have one of these kinds.
const fn is_of_a_file(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::StorageFull | io::ErrorKind::Other)
}

fn tls(error: Box<dyn Error + Send + Sync>) -> StoreError {
    let text = format!("TLS failed ({error}): check sslmode and sslrootcert in store.url");
    StoreError::Unavailable(Cause::with(text, error))
}

fn unreachable(error: io::Error) -> StoreError {
    let text = match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            format!("the connection broke ({error}): check whether the server was stopped, and the network")
        }
        _ => format!("{error}: check that the server runs, and host and port in store.url"),
    };
    StoreError::Unavailable(Cause::with(text, error))
}

/// Returns the error for a SQLSTATE. Its first two characters are its class.
fn of_code(code: &str, message: &str, error: Box<dyn Error + Send + Sync>) -> StoreError {
    let with = |advice: &str, error| Cause::with(format!("{message}{advice}"), error);
    match code {
        "53100" => StoreError::Full,
        "53300" => StoreError::Unavailable(with(
            ": the server is at its limit of connections; raise max_connections, or close other clients",
            error,
        )),
        "57014" | "25P03" => StoreError::Timeout,
        "25006" => StoreError::ReadOnly(with(
            ": check default_transaction_read_only, and whether store.url leads to a replica",
            error,
        )),
        "40001" | "40P01" | "55P03" => StoreError::Contended(Cause::with(message.to_owned(), error)),
        "57P01" | "57P02" | "57P03" | "57P05" | "40003" => {
            StoreError::Unavailable(Cause::with(message.to_owned(), error))
        }
        "57P04" | "3D000" => StoreError::Refused(with(": create the database, or correct store.url", error)),
        "28P01" | "28000" => StoreError::Refused(with(
            ": check user and password in store.url, and pg_hba.conf on the server",
            error,
        )),
        "42501" => StoreError::Refused(with(
            ": make the user the owner of the database, for example with `ALTER DATABASE … OWNER TO …`",
            error,
        )),
        "XX001" | "XX002" => {
            StoreError::Database(with(": the database is damaged; restore a backup of it", error))
        }
        _ if code.starts_with("08") || code.starts_with("53") => {
            StoreError::Unavailable(Cause::with(message.to_owned(), error))
        }
        // The server could not read or write a file.
        _ if code.starts_with("58") => StoreError::ReadOnly(with(": check the server's disk", error)),
        _ => StoreError::Database(Cause::with(format!("{message} (SQLSTATE {code})"), error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(code: &str) -> (&'static str, bool) {
        let error = of_code(code, "the server's words", "source".into());
        let kind = match &error {
            StoreError::Full => "full",
            StoreError::Unavailable(_) => "unavailable",
            StoreError::ReadOnly(_) => "read-only",
            StoreError::Contended(_) => "contended",
            StoreError::Refused(_) => "refused",
            StoreError::Timeout => "timeout",
            StoreError::Database(_) => "database",
            other => panic!("{other:?}"),
        };
        (kind, error.is_passing())
    }

    #[test]
    fn each_sqlstate_becomes_the_error_that_tells_callers_what_to_do() {
        for (code, expected, is_passing) in [
            ("08000", "unavailable", true),
            ("08003", "unavailable", true),
            ("08006", "unavailable", true),
            ("22021", "database", false),
            ("23505", "database", false),
            ("23514", "database", false),
            ("25006", "read-only", true),
            ("25P02", "database", false),
            ("25P03", "timeout", true),
            ("28000", "refused", false),
            ("28P01", "refused", false),
            ("3D000", "refused", false),
            ("40001", "contended", true),
            ("40003", "unavailable", true),
            ("40P01", "contended", true),
            ("42501", "refused", false),
            ("42P01", "database", false),
            ("53000", "unavailable", true),
            ("53100", "full", true),
            ("53200", "unavailable", true),
            ("53300", "unavailable", true),
            ("53400", "unavailable", true),
            ("55P03", "contended", true),
            ("57014", "timeout", true),
            ("57P01", "unavailable", true),
            ("57P02", "unavailable", true),
            ("57P03", "unavailable", true),
            ("57P04", "refused", false),
            ("57P05", "unavailable", true),
            ("58000", "read-only", true),
            ("58030", "read-only", true),
            ("XX000", "database", false),
            ("XX001", "database", false),
        ] {
            assert_eq!(kind(code), (expected, is_passing), "{code}");
        }
    }

    #[test]
    fn an_unknown_error_shows_its_code() {
        let error = of_code("42P01", "relation \"jobs\" does not exist", "source".into());
        assert_eq!(error.to_string(), "the store failed: relation \"jobs\" does not exist (SQLSTATE 42P01)");
    }

    #[test]
    fn a_broken_connection_is_a_passing_error() {
        for kind in [io::ErrorKind::ConnectionRefused, io::ErrorKind::UnexpectedEof, io::ErrorKind::TimedOut]
        {
            let error = StoreError::from(sqlx::Error::Io(kind.into()));
            assert!(matches!(error, StoreError::Unavailable(_)) && error.is_passing(), "{error}");
            assert!(breaks_connection(&error));
        }
    }
}
