//! `jobs erase` through kills of the command and of the bridge.

use std::time::Instant;

use serde_json::{Value, json};
use simulator::{Options, Simulator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use crate::TEST_TIMEOUT;
use crate::home::Home;
use crate::process::Process;
use crate::serve::Serve;

/// The finished jobs of the lead: an erasure takes some hundred transactions for them.
const JOBS: i64 = 20_000;
/// The number of the lead.
const LEAD: i64 = 31_764_961;

pub async fn raw(home: &Home) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(home.path("bridge.db")).busy_timeout(TEST_TIMEOUT);
    SqliteConnection::connect_with(&options).await.unwrap()
}

pub async fn number(home: &Home, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut raw(home).await).await.unwrap()
}

/// Creates a store with [`JOBS`] cancelled jobs of the lead, and one of another.
async fn filled(home: &Home) {
    home.serve().stop();
    let sql = format!(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {JOBS}) \
         INSERT INTO jobs (id, state, handler, account_id, origin, return_url, entity_type, entity_id, data, last_error, \
         received_at, waiting_since, answer_by, finished_at, finished_service_at) \
         SELECT unhex(printf('018bcfe5687b7000800000%010x', i)), 'cancelled', 'echo', 8, 'https://a.kommo.com', \
         'https://a.kommo.com/api/v4/salesbot/1/continue/' || i, 2, iif(i = 7, 1, {LEAD}), '{{\"text\":\"' || i || '\"}}', \
         'error ' || i, 1, 1, 1, strftime('%s', 'now') * 1000, 1 FROM n"
    );
    let mut raw = raw(home).await;
    sqlx::query(AssertSqlSafe(sql)).execute(&mut raw).await.unwrap();
    let counted = format!("UPDATE job_counts SET jobs = {} WHERE state = 'cancelled'", JOBS + 1);
    sqlx::query(AssertSqlSafe(counted)).execute(&mut raw).await.unwrap();
    sqlx::query("INSERT INTO account_bytes SELECT 8, 0, sum(octet_length(data)) FROM jobs")
        .execute(&mut raw)
        .await
        .unwrap();
}

/// Polls until the first bulk change has changed more than `least` jobs, or has ended.
pub async fn progress(home: &Home, least: i64) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    let sql = format!("SELECT count(*) FROM bulk_changes WHERE changed > {least} OR state <> 'running'");
    while number(home, &sql).await == 0 {
        assert!(Instant::now() < deadline, "the change does not begin");
    }
}

/// Polls until the first bulk change has ended. Returns it.
pub async fn ended(serve: &Serve) -> Value {
    let deadline = Instant::now() + TEST_TIMEOUT;
    loop {
        let (status, bulk) = serve.get("/api/v1/jobs/bulk/1").await;
        assert_eq!(status, 200, "{bulk}");
        if bulk["state"] != "running" {
            return bulk;
        }
        assert!(Instant::now() < deadline, "it does not end: {bulk}");
    }
}

async fn check(home: &Home, bulk: &Value) {
    assert_eq!(
        (&bulk["state"], &bulk["changed"], &bulk["skipped"]),
        (&json!("done"), &json!(JOBS), &json!(0))
    );
    let left = "SELECT count(*) FROM jobs WHERE data IS NOT NULL OR last_error IS NOT NULL";
    assert_eq!(number(home, left).await, 1, "only the job of another lead keeps its texts");
    let bytes =
        "SELECT stored - (SELECT sum(octet_length(data)) FROM jobs) FROM account_bytes WHERE account_id = 8";
    assert_eq!(number(home, bytes).await, 0, "the bytes of the account are right");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_continues_after_kills_of_the_bridge_and_erases_each_job_once() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    filled(&home).await;
    let serve = home.serve();
    let body = json!({ "lead": LEAD }).to_string();
    let erase = serve.client.post(format!("http://{}/api/v1/jobs/erase", serve.admin)).body(body);
    assert_eq!(erase.send().await.unwrap().status(), 202);
    progress(&home, 0).await;
    serve.process.kill();
    let changed = number(&home, "SELECT changed FROM bulk_changes").await;
    assert!(0 < changed && changed < JOBS, "killed in the middle: {changed}");

    let serve = home.serve();
    progress(&home, changed).await;
    serve.process.kill();
    let serve = home.serve();
    let bulk = ended(&serve).await;
    serve.stop();
    check(&home, &bulk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_continues_the_erasure_of_a_killed_command() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    filled(&home).await;
    let lead = LEAD.to_string();
    let refused = home.run(&["jobs", "erase", "--lead", &lead]).expect(2);
    assert!(refused.err.contains("add --yes to erase"), "{}", refused.err);
    let counted = home.run(&["jobs", "erase", "--lead", &lead, "--dry-run", "--json"]).expect(0).json();
    assert_eq!((&counted["finished"], &counted["unfinished"]), (&json!(JOBS), &json!(0)));

    let command = Process::start(home.command(&["jobs", "erase", "--lead", &lead, "--yes"]));
    progress(&home, 0).await;
    command.kill();
    let changed = number(&home, "SELECT changed FROM bulk_changes").await;
    assert!(0 < changed && changed < JOBS, "killed in the middle: {changed}");
    let log = home.run(&["actions", "list", "--json"]).expect(0).json();
    assert_eq!(
        (&log["actions"][0]["what"], &log["actions"][0]["result"]),
        (&json!("jobs erase"), &json!("running"))
    );

    let serve = home.serve();
    let bulk = ended(&serve).await;
    let (_, log) = serve.get("/api/v1/actions").await;
    assert_eq!((&log["actions"][0]["jobs"], &log["actions"][0]["source"]), (&json!(JOBS), &json!("cli")));
    serve.stop();
    check(&home, &bulk).await;
}
