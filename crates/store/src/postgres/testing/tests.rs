//! The server for tests itself.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::*;

/// Set for the process that this test kills.
const CHILD: &str = "BRIDGE_TEST_POSTGRES_CHILD";
const TIMEOUT: Duration = Duration::from_secs(30);

async fn number(url: &str, sql: &str) -> Result<i64, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let number = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(number)
}

#[tokio::test]
async fn each_database_has_tables_of_its_own_and_is_dropped_with_its_value() {
    let (Some(one), Some(other)) = (database(), database()) else { return };
    let mut connection = PgConnection::connect(one.url()).await.unwrap();
    connection.execute("UPDATE job_counts SET jobs = 7 WHERE state = 'dead'").await.unwrap();
    let dead = "SELECT jobs FROM job_counts WHERE state = 'dead'";
    assert_eq!(number(one.url(), dead).await.unwrap(), 7);
    assert_eq!(number(other.url(), dead).await.unwrap(), 0);

    let count = format!("SELECT count(*) FROM pg_database WHERE datname = '{}'", one.name());
    assert_eq!(number(other.url(), &count).await.unwrap(), 1);
    // It is dropped although a connection is open.
    drop(one);
    // Requests are carried out in turn.
    drop(database());
    let _ = database();
    assert_eq!(number(other.url(), &count).await.unwrap(), 0);
}

#[tokio::test]
async fn an_empty_database_has_no_tables() {
    let Some(database) = empty_database() else { return };
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(number(database.url(), tables).await.unwrap(), 0);
}

#[tokio::test]
async fn a_server_can_be_stopped_killed_and_paused() {
    let Some(server) = Server::start(&ServerOptions { with_tcp: true, settings: Vec::new() }) else { return };
    let database = server.empty_database();
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    connection.execute("CREATE TABLE kept (id bigint)").await.unwrap();

    let end: [fn(&Server); 3] = [Server::stop, Server::abort, Server::kill];
    for end in end {
        end(&server);
        assert!(number(database.url(), "SELECT 1::bigint").await.is_err());
        server.start_again();
        assert_eq!(number(database.url(), "SELECT count(*) FROM kept").await.unwrap(), 0, "{}", server.log());
    }

    server.pause();
    let url = server.url_at(server.port().unwrap(), database.name());
    let call = number(&url, "SELECT 1::bigint");
    assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
    server.resume();
    assert_eq!(number(&url, "SELECT 1::bigint").await.unwrap(), 1);
}

#[test]
fn a_dropped_server_leaves_nothing_behind() {
    let Some(server) = Server::start(&ServerOptions::default()) else { return };
    let folder = server.folder().unwrap().to_owned();
    assert!(folder.exists());
    drop(server);
    assert!(!folder.exists());
}

#[test]
fn the_server_ends_when_its_test_process_is_killed() {
    if std::env::var_os(CHILD).is_some() {
        let folder = Server::start(&ServerOptions::default()).map(|server| {
            println!("folder={}", server.folder().unwrap().display());
            std::mem::forget(server);
        });
        std::thread::sleep(if folder.is_some() { TIMEOUT } else { Duration::ZERO });
        return;
    }
    let name = "postgres::testing::tests::the_server_ends_when_its_test_process_is_killed";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = std::io::BufReader::new(child.stdout.take().unwrap());
    let line = std::io::BufRead::lines(output).map_while(Result::ok).find(|line| line.contains("folder="));
    // Without PostgreSQL, the child ends and says nothing.
    let Some(line) = line else { return drop(child.wait()) };
    let folder = Path::new(line.split_once("folder=").unwrap().1.trim());
    assert!(folder.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = Instant::now();
    while folder.exists() {
        assert!(killed.elapsed() < TIMEOUT, "{} remains", folder.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}
