//! Tests with another process (this one) that reads the store in one long transaction.

use serde_json::{Value, json};
use simulator::{Options, Plan, Simulator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use crate::TEST_TIMEOUT;
use crate::home::Home;
use crate::serve::Serve;

const MAX_LOG_BYTES: u64 = 128 << 20;
const PIECE: i64 = 16 << 20;

async fn raw(home: &Home) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(home.path("bridge.db")).busy_timeout(TEST_TIMEOUT);
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn log_bytes(serve: &Serve) -> u64 {
    let url = format!("http://{}/metrics", serve.admin);
    let metrics = serve.client.get(url).send().await.unwrap().text().await.unwrap();
    let value = metrics.lines().find_map(|line| line.strip_prefix("bridge_store_wal_bytes "));
    value.unwrap_or_else(|| panic!("no such metric in\n{metrics}")).parse().unwrap()
}

fn log_check(home: &Home) -> Option<Value> {
    let report = home.run(&["doctor", "--json"]).json();
    report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "log").cloned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_that_keeps_the_log_long_is_named_and_the_log_shrinks_afterwards() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let serve = home.serve();
    let mut reader = raw(&home).await;
    sqlx::query("BEGIN").execute(&mut reader).await.unwrap();
    sqlx::query("SELECT count(*) FROM jobs").fetch_one(&mut reader).await.unwrap();
    assert_eq!(log_check(&home), None, "a short log is not reported");

    let mut writer = raw(&home).await;
    for sql in ["PRAGMA synchronous = OFF", "PRAGMA wal_autocheckpoint = 0", "CREATE TABLE bulk (x)"] {
        sqlx::query(sql).execute(&mut writer).await.unwrap();
    }
    while log_bytes(&serve).await <= MAX_LOG_BYTES {
        let write = sqlx::query("INSERT INTO bulk VALUES (zeroblob(?))").bind(PIECE);
        write.execute(&mut writer).await.unwrap();
    }
    let us = std::process::id().to_string();
    let warning = serve
        .process
        .err
        .wait("the log grows", |line| line.contains("the write-ahead log grows").then(|| line.to_owned()));
    assert!(!cfg!(target_os = "linux") || warning.contains(&us), "{warning}");
    if cfg!(target_os = "linux") {
        let check = log_check(&home).expect("doctor does not report the long log");
        assert!(check["todo"].as_str().unwrap().contains(&us), "{check}");
    }
    let bot = simulator.bot(Plan::with_data(json!({ "n": "1" })));
    assert_eq!(bot.call(&serve.url("echo")).await.unwrap().status, 200);
    bot.continued().await;

    sqlx::query("COMMIT").execute(&mut reader).await.unwrap();
    serve.process.err.wait("the log is short", |line| line.contains("short again").then_some(()));
    assert!(log_bytes(&serve).await < MAX_LOG_BYTES / 2);
    serve.stop();
}
