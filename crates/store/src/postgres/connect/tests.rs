//! Connections to a server.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::call::within;
use super::error::breaks_connection;
use super::open::{connect, connect_until_ok, readers};
use super::owner_lock::OwnerLock;
use super::session::Session;
use super::url::Target;
use crate::StoreError;
use crate::postgres::testing::{self, Server, ServerOptions};

const LIMIT: Duration = Duration::from_secs(20);

fn target(url: &str) -> Target {
    Target::parse(url).unwrap()
}

async fn fails(connection: &mut PgConnection, sql: &str) -> StoreError {
    let result = connection.execute(AssertSqlSafe(sql.to_owned())).await;
    result.map_err(StoreError::from).err().unwrap_or_else(|| panic!("{sql}"))
}

#[tokio::test]
async fn each_session_has_its_settings() {
    let Some(database) = testing::database() else { return };
    let target = target(database.url());
    let mut writer = connect(&target, Session::Writer).await.unwrap();
    for (name, expected) in [
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("synchronous_commit", "on"),
        ("statement_timeout", "5s"),
        ("transaction_isolation", "read committed"),
    ] {
        let sql = format!("SELECT current_setting('{name}')");
        let value: String = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut writer).await.unwrap();
        assert_eq!(value, expected, "{name}");
    }
    let shown: String = sqlx::query_scalar("SELECT current_setting('application_name')")
        .fetch_one(&mut writer)
        .await
        .unwrap();
    assert_eq!(shown, format!("salesbot-bridge process {} (writer)", std::process::id()));

    let pool = readers(&target, Session::Reader, 2);
    let mut reader = pool.acquire().await.unwrap();
    let error = fails(&mut reader, "UPDATE job_counts SET jobs = 1").await;
    assert!(matches!(error, StoreError::ReadOnly(_)) && error.is_passing(), "{error}");
}

#[tokio::test]
async fn only_one_process_owns_a_store_and_the_error_names_it() {
    let Some(database) = testing::database() else { return };
    let target = target(database.url());
    let mut lock = OwnerLock::take(&target).await.unwrap();
    lock.check().await.unwrap();
    let error = OwnerLock::take(&target).await.unwrap_err();
    let StoreError::InUse { path, owner } = &error else { panic!("{error}") };
    assert_eq!(path, target.name());
    assert!(owner.starts_with(&format!("process {} ", std::process::id())), "{owner}");
    assert!(!error.is_passing());

    // The next owner finds the lock free, however the previous one ended.
    lock.release().await;
    let lock = OwnerLock::take(&target).await.unwrap();
    drop(lock);
    OwnerLock::take(&target).await.unwrap();
}

#[tokio::test]
async fn other_databases_have_owners_of_their_own() {
    let (Some(one), Some(other)) = (testing::database(), testing::database()) else { return };
    let _one = OwnerLock::take(&target(one.url())).await.unwrap();
    OwnerLock::take(&target(other.url())).await.unwrap();
}

#[tokio::test]
async fn an_owner_notices_that_it_lost_its_lock() {
    let Some(database) = testing::database() else { return };
    let target = target(database.url());
    let mut lock = OwnerLock::take(&target).await.unwrap();
    let mut other = connect(&target, Session::Writer).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    other.execute(end).await.unwrap();
    let error = lock.check().await.unwrap_err();
    assert!(error.is_passing() && breaks_connection(&error), "{error}");
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_refused_by_name() {
    let Some(database) = testing::database() else { return };
    let url = database.url().replace(database.name(), "nowhere");
    let error = connect(&target(&url), Session::Writer).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains("postgres:///nowhere?host=") && text.contains("create the database"), "{text}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_passing_error_without_the_password() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let target = target(&format!("postgres://ann:s3cret@127.0.0.1:{free}/bridge"));
    let error = connect(&target, Session::Writer).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)) && error.is_passing(), "{error}");
    let text = format!("{error} {error:?} {target:?}");
    assert!(text.contains(&format!("postgres://127.0.0.1:{free}/bridge: ")), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_given_up_in_time() {
    // The system accepts the connection, and no one reads from it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = target(&format!("postgres://ann@{}/bridge?sslmode=disable", silent.local_addr().unwrap()));
    let started = tokio::time::Instant::now();
    let error = connect(&target, Session::Writer).await.unwrap_err();
    assert!(error.is_passing() && error.to_string().contains("no answer within 5 seconds"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn errors_of_statements_become_errors_of_the_store() {
    let Some(database) = testing::database() else { return };
    let mut connection = connect(&target(database.url()), Session::Writer).await.unwrap();
    let raise = |code: &str| format!("DO $$ BEGIN RAISE SQLSTATE '{code}'; END $$");
    assert_eq!(fails(&mut connection, &raise("53100")).await, StoreError::Full);
    assert!(matches!(fails(&mut connection, &raise("40001")).await, StoreError::Contended(_)));
    let slow = "SET statement_timeout = 20; SELECT pg_sleep(10)";
    assert_eq!(fails(&mut connection, slow).await, StoreError::Timeout);
    let row = "INSERT INTO job_bodies VALUES (gen_random_uuid(), 9, 'a secret of a customer')";
    let error = fails(&mut connection, row).await;
    assert!(matches!(error, StoreError::Database(_)) && !error.to_string().contains("secret"), "{error}");
    assert!(matches!(fails(&mut connection, &raise("40P01")).await, StoreError::Contended(_)));
    let call = connection.execute("SELECT pg_sleep(10)");
    let error = within(Duration::from_millis(1), call).await.unwrap_err();
    assert!(error.is_passing() && breaks_connection(&error), "{error}");
}

#[tokio::test]
async fn a_server_at_its_limit_of_connections_is_a_passing_error() {
    let settings =
        vec![("max_connections".into(), "4".into()), ("superuser_reserved_connections".into(), "1".into())];
    let Some(server) = Server::start(&ServerOptions { settings, ..Default::default() }) else { return };
    let database = server.empty_database();
    let mut admin = PgConnection::connect(database.url()).await.unwrap();
    admin.execute("CREATE ROLE ann LOGIN").await.unwrap();
    let target = target(&database.url().replace("://bridge@", "://ann@"));
    let mut open = Vec::new();
    let error = loop {
        match connect(&target, Session::Writer).await {
            Ok(connection) => open.push(connection),
            Err(error) => break error,
        }
        assert!(open.len() <= 4);
    };
    assert!(matches!(error, StoreError::Unavailable(_)) && error.is_passing(), "{error}");
    assert!(error.to_string().contains("max_connections"), "{error}");
}

#[tokio::test]
async fn a_replica_is_a_passing_error() {
    let Some(server) = Server::start(&ServerOptions::default()) else { return };
    let database = server.database();
    server.restart_as_replica(true);
    let error = connect(&target(database.url()), Session::Writer).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)) && error.is_passing(), "{error}");
    assert!(error.to_string().contains("is a replica: set store.url to the primary"), "{error}");
    // A replica can still be read.
    readers(&target(database.url()), Session::Reader, 1).acquire().await.unwrap();
    server.restart_as_replica(false);
    connect(&target(database.url()), Session::Writer).await.unwrap();
}

#[tokio::test]
async fn tls_is_required_and_checked_as_the_address_says() {
    let Some(server) = Server::start(&ServerOptions { with_tcp: true, ..Default::default() }) else { return };
    let (data, port) = (server.folder().unwrap().join("data"), server.port().unwrap());
    let url = |parameters: &str| format!("postgres://bridge@localhost:{port}/postgres?{parameters}");
    let error = connect(&target(&url("sslmode=require")), Session::Writer).await.unwrap_err();
    assert!(error.to_string().contains("check sslmode and sslrootcert"), "{error}");

    let keys = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(data.join("server.key"))
        .arg("-out")
        .arg(data.join("server.crt"))
        .output();
    let Ok(keys) = keys else { return eprintln!("SKIPPED: openssl is required") };
    assert!(keys.status.success(), "{keys:?}");
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&data).unwrap());
    for name in ["server.key", "server.crt"] {
        std::os::unix::fs::chown(data.join(name), Some(owner), None).unwrap();
    }
    std::fs::write(data.join("postgresql.auto.conf"), "ssl = on\n").unwrap();
    server.restart();

    let ca = data.join("server.crt");
    let ca = ca.display();
    for parameters in ["sslmode=require".to_owned(), format!("sslmode=verify-full&sslrootcert={ca}")] {
        let mut connection = connect(&target(&url(&parameters)), Session::Writer).await.unwrap();
        let is_encrypted: bool =
            sqlx::query_scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
                .fetch_one(&mut connection)
                .await
                .unwrap();
        assert!(is_encrypted, "{parameters}");
    }
    let error = connect(&target(&url("sslmode=verify-full")), Session::Writer).await.unwrap_err();
    assert!(error.is_passing() && error.to_string().contains("sslrootcert"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_comes_back_with_its_server() {
    let Some(server) = Server::start(&ServerOptions::default()) else { return };
    let database = server.database();
    let target = target(database.url());
    let mut connection = connect(&target, Session::Writer).await.unwrap();
    server.kill();
    let error = fails(&mut connection, "SELECT 1").await;
    assert!(error.is_passing() && breaks_connection(&error), "{error}");

    let started = Instant::now();
    let mut errors = Vec::new();
    let connecting = connect_until_ok(&target, Session::Writer, |error| errors.push(error));
    let (mut connection, ()) = tokio::join!(tokio::time::timeout(LIMIT, connecting), async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        tokio::task::block_in_place(|| server.start_again());
    });
    connection.as_mut().unwrap().ping().await.unwrap();
    assert!(!errors.is_empty() && errors.iter().all(StoreError::is_passing), "{errors:?}");
    assert!(started.elapsed() < LIMIT);
}
