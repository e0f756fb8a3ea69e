//! The facts about a private server.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::*;
use crate::database;
use crate::postgres::testing::{self, Server, ServerOptions};

#[tokio::test]
async fn every_fact_about_a_server_is_read() {
    let Some(database) = testing::database() else { return };
    let facts = database::facts(database.url(), &Clock::system()).await.unwrap();
    assert!(!facts.way.is_remote && facts.way.ssl_mode == "prefer", "{facts:?}");
    let server = facts.server.unwrap();
    assert!(server.major >= 15 && server.version.starts_with(&server.major.to_string()), "{server:?}");
    assert!(!server.is_replica && server.encoding == "UTF8", "{server:?}");
    assert_eq!(facts.durability.unwrap().synchronous_commit, "on");
    assert_eq!(facts.standbys.unwrap(), crate::records::Standbys::default());
    let rights = facts.rights.unwrap();
    assert!(rights.may_create && rights.foreign_table.is_none(), "{rights:?}");
    assert_eq!(rights.schema.as_deref(), Some("public"));
    assert!(facts.clock_ahead_ms.unwrap().abs() < 1_000);
    let vacuum = facts.vacuum.unwrap();
    assert!(vacuum.is_on && !vacuum.tables.is_empty(), "{vacuum:?}");
    facts.oldest_snapshot.unwrap();
    assert_eq!(facts.tls.unwrap(), None);
    let connections = facts.connections.unwrap();
    assert!(connections.open >= 1 && connections.max > connections.open, "{connections:?}");
    assert!(!facts.shares_sessions.unwrap());
}

#[tokio::test]
async fn settings_limits_and_rights_of_a_user_are_seen() {
    let settings = [("synchronous_commit", "off"), ("autovacuum", "off")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let Some(server) = Server::start(&ServerOptions { settings, ..ServerOptions::default() }) else { return };
    let database = server.database();
    let mut admin = PgConnection::connect(database.url()).await.unwrap();
    let restrict = format!(
        "CREATE ROLE guest LOGIN CONNECTION LIMIT 3; GRANT CONNECT ON DATABASE {} TO guest",
        database.name()
    );
    admin.execute(AssertSqlSafe(restrict)).await.unwrap();
    let url = database.url().replace("bridge@", "guest@");
    let facts = database::facts(&url, &Clock::system()).await.unwrap();
    let durability = facts.durability.unwrap();
    assert_eq!((durability.synchronous_commit.as_str(), durability.fsync), ("off", false));
    assert!(!facts.vacuum.unwrap().is_on);
    let rights = facts.rights.unwrap();
    assert!(!rights.may_create && rights.foreign_table.is_some() && rights.user == "guest", "{rights:?}");
    assert_eq!(facts.connections.unwrap().max, 3);
}

#[tokio::test]
async fn connections_that_share_a_session_are_detected() {
    let Some(database) = testing::database() else { return };
    let connect = async || PgConnection::connect(database.url()).await.unwrap();
    let (mut one, mut other) = (connect().await, connect().await);
    assert!(!pooler::shares_sessions(&mut one, &mut other).await.unwrap());
}
