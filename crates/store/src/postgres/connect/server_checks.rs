//! Refuses servers and databases that cannot hold a store.

use sqlx::{PgConnection, Row};

use crate::{Cause, StoreError};

/// The oldest server that the statements of this program work with.
const MIN_VERSION: i32 = 15;

/// What a server says about itself.
#[derive(Clone, Debug)]
struct Server {
    version: i32,
    is_replica: bool,
    encoding: String,
}

/// Checks the server behind a new connection for writing.
///
/// # Errors
/// `Refused`: it is too old, or its database has another encoding than UTF-8. `ReadOnly`: it is a replica.
pub(super) async fn check(connection: &mut PgConnection) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT current_setting('server_version_num')::int4 / 10000 AS version, pg_is_in_recovery() AS is_replica, \
         current_setting('server_encoding') AS encoding",
    )
    .fetch_one(connection)
    .await?;
    decide(&Server {
        version: row.try_get("version")?,
        is_replica: row.try_get("is_replica")?,
        encoding: row.try_get("encoding")?,
    })
}

fn decide(server: &Server) -> Result<(), StoreError> {
    if server.version < MIN_VERSION {
        let why = format!("it runs PostgreSQL {}: use version {MIN_VERSION} or later", server.version);
        return Err(StoreError::Refused(why.into()));
    }
    if server.is_replica {
        // It may be promoted, or the address may lead to the primary again.
        let why = Cause::from("it is a replica: set store.url to the primary server");
        return Err(StoreError::ReadOnly(why));
    }
    if server.encoding != "UTF8" {
        let why = format!(
            "the encoding of the database is {}: create it with `createdb --template=template0 --encoding=UTF8`",
            server.encoding
        );
        return Err(StoreError::Refused(why.into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_replicas_and_other_encodings_are_refused() {
        let good = Server { version: 15, is_replica: false, encoding: "UTF8".into() };
        assert_eq!(decide(&good), Ok(()));
        assert_eq!(decide(&Server { version: 18, ..good.clone() }), Ok(()));
        for (server, text, is_passing) in [
            (Server { version: 14, ..good.clone() }, "use version 15 or later", false),
            (Server { is_replica: true, ..good.clone() }, "replica", true),
            (Server { encoding: "SQL_ASCII".into(), ..good.clone() }, "SQL_ASCII", false),
        ] {
            let error = decide(&server).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
            assert_eq!(error.is_passing(), is_passing, "{error}");
        }
    }
}
