//! Reads `store.url`. No error here shows the address, which may contain a password.

use std::fmt;
use std::fs::File;
use std::net::IpAddr;
use std::str::FromStr;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::{ParseError, Url};

use crate::{Cause, StoreError};

const FORM: &str = "postgres://user:password@host:5432/database";
const PARAMETERS: &str = "sslmode, sslrootcert, sslcert, sslkey, host, port, user, password, dbname, options";
const SSL_MODES: &str = "disable, allow, prefer, require, verify-ca, verify-full";
/// The writer has about a hundred different statements.
const MAX_PREPARED_STATEMENTS: usize = 512;

/// A database, and how to connect to it.
#[derive(Clone)]
pub(crate) struct Target {
    options: PgConnectOptions,
    name: String,
}

impl Target {
    /// Reads `store.url`.
    ///
    /// # Errors
    /// `Url`: the address cannot be used, or a file that it names cannot be opened.
    pub(crate) fn parse(address: &str) -> Result<Self, StoreError> {
        let url = Url::parse(address).map_err(|error| bad(explain(error)))?;
        if !is_postgres(address) {
            return Err(bad(format!("it does not start with postgres:// (expected {FORM})")));
        }
        check_parameters(&url)?;
        let has_database = !url.path().trim_start_matches('/').is_empty() || has(&url, "dbname");
        if !has_database {
            return Err(bad(format!("it names no database (expected {FORM})")));
        }
        if url.host_str().is_some_and(|host| host.contains(',')) {
            return Err(bad("it names several hosts: name one"));
        }
        let options = PgConnectOptions::from_url(&url)
            .map_err(|_| bad("a part of it is not valid percent-encoded UTF-8"))?
            .statement_cache_capacity(MAX_PREPARED_STATEMENTS)
            .disable_statement_logging();
        Ok(Self { name: name(&options), options })
    }

    /// The address of the database, without user and password.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether connections stay on this machine.
    pub(crate) fn is_local(&self) -> bool {
        let host = self.options.get_host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        self.options.get_socket().is_some()
            || host == "localhost"
            || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Returns `sslmode` as it is written.
    pub(crate) fn ssl_mode(&self) -> &'static str {
        match self.options.get_ssl_mode() {
            PgSslMode::Disable => "disable",
            PgSslMode::Allow => "allow",
            PgSslMode::Prefer => "prefer",
            PgSslMode::Require => "require",
            PgSslMode::VerifyCa => "verify-ca",
            PgSslMode::VerifyFull => "verify-full",
        }
    }

    /// How to connect, without the settings of a session.
    pub(crate) const fn options(&self) -> &PgConnectOptions {
        &self.options
    }
}

/// Shows the name alone: the options contain the password.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.name).finish()
    }
}

/// Whether `store.url` means this engine.
pub(crate) fn is_postgres(address: &str) -> bool {
    let scheme = address.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("postgres" | "postgresql"))
}

fn name(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_default();
    match options.get_socket() {
        Some(socket) => format!("postgres:///{database}?host={}", socket.display()),
        None => format!("postgres://{}:{}/{database}", options.get_host(), options.get_port()),
    }
}

fn has(url: &Url, name: &str) -> bool {
    url.query_pairs().any(|(known, value)| known == name && !value.is_empty())
}

fn check_parameters(url: &Url) -> Result<(), StoreError> {
    for (name, value) in url.query_pairs() {
        match &*name {
            "sslmode" => {
                PgSslMode::from_str(&value)
                    .map_err(|_| bad(format!("unknown sslmode `{value}` (expected one of: {SSL_MODES})")))?;
            }
            "sslrootcert" | "sslcert" | "sslkey" => {
                File::open(&*value).map_err(|error| {
                    StoreError::Url(Cause::with(format!("{name}: {value} cannot be opened: {error}"), error))
                })?;
            }
            "port" => {
                value
                    .parse::<u16>()
                    .map_err(|_| bad(format!("port `{value}` is not a number up to 65535")))?;
            }
            "host" | "user" | "password" | "dbname" | "options" => {}
            _ => return Err(bad(format!("unknown parameter `{name}` (expected one of: {PARAMETERS})"))),
        }
    }
    if has(url, "sslcert") != has(url, "sslkey") {
        return Err(bad("sslcert and sslkey need each other: name both or neither"));
    }
    Ok(())
}

fn explain(error: ParseError) -> Cause {
    let advice = match error {
        ParseError::InvalidPort => {
            ": a password with characters such as `/`, `?`, `#` or `@` must be percent-encoded"
        }
        _ => "",
    };
    Cause::with(format!("it is not a valid address ({error}; expected {FORM}){advice}"), error)
}

fn bad(why: impl Into<Cause>) -> StoreError {
    StoreError::Url(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_shows_host_and_database_but_no_password() {
        for (address, name) in [
            ("postgres://ann:s3cret@db.example:6543/bridge", "postgres://db.example:6543/bridge"),
            (
                "postgresql://ann:s3cret@db.example:5432/bridge?sslmode=require",
                "postgres://db.example:5432/bridge",
            ),
            ("POSTGRES://ann:s3cret@[::1]:5432/bridge", "postgres://[::1]:5432/bridge"),
            ("postgres://ann:s3cret@h:5432/?dbname=bridge", "postgres://h:5432/bridge"),
            ("postgres:///bridge?host=/run/pg&user=ann&password=s3cret", "postgres:///bridge?host=/run/pg"),
            ("postgres://ann:s3cret@%2Frun%2Fpg/bridge", "postgres:///bridge?host=/run/pg"),
        ] {
            let target = Target::parse(address).unwrap_or_else(|error| panic!("{address}: {error}"));
            assert_eq!(target.name(), name);
            assert!(is_postgres(address));
        }
        assert!(!is_postgres("sqlite:bridge.db"));
    }

    #[test]
    fn an_address_of_this_machine_is_local() {
        for (address, is_local) in [
            ("postgres://localhost/bridge", true),
            ("postgres://127.0.0.1:6432/bridge", true),
            ("postgres://[::1]/bridge", true),
            ("postgres:///bridge?host=/run/pg", true),
            ("postgres://db.example/bridge", false),
            ("postgres://10.0.0.7/bridge", false),
        ] {
            assert_eq!(Target::parse(address).unwrap().is_local(), is_local, "{address}");
        }
        assert_eq!(Target::parse("postgres://h/b?sslmode=verify-full").unwrap().ssl_mode(), "verify-full");
    }

    #[test]
    fn a_bad_address_says_what_to_do_and_hides_the_password() {
        for (address, expected) in [
            ("mysql://ann:s3cret@h/bridge", "does not start with postgres://"),
            ("postgres://ann:s3cret@h", "names no database"),
            ("postgres://ann:s3cret@h/", "names no database"),
            ("postgres://ann:s3cret@a,b/bridge", "several hosts"),
            ("postgres://ann:s3cret@h:99999/bridge", "invalid port number"),
            ("postgres://ann:s3/cret@h/bridge", "percent-encoded"),
            ("postgres://ann:s3cret@h/%ff", "percent-encoded UTF-8"),
            (
                "postgres://ann:s3cret@h/bridge?sslmode=strict",
                "unknown sslmode `strict` (expected one of: disable",
            ),
            (
                "postgres://ann:s3cret@h/bridge?ssl_mode=require",
                "unknown parameter `ssl_mode` (expected one of: sslmode",
            ),
            ("postgres://ann:s3cret@h/bridge?port=x", "port `x` is not a number"),
            (
                "postgres://ann:s3cret@h/bridge?sslrootcert=/none/ca.pem",
                "sslrootcert: /none/ca.pem cannot be opened",
            ),
            ("postgres://ann:s3cret@h/bridge?sslcert=/dev/null", "name both or neither"),
            ("bridge", "not a valid address"),
        ] {
            let error = Target::parse(address).err().unwrap_or_else(|| panic!("{address}")).to_string();
            assert!(error.starts_with("store.url: ") && error.contains(expected), "{address}: {error}");
            assert!(!error.contains("s3"), "{error}");
        }
    }
}
