//! Bulk changes by filter, through kills of the bridge and of the command.

use serde_json::{Value, json};
use simulator::{Options, Simulator};
use sqlx::AssertSqlSafe;

use crate::erase::{ended, number, progress, raw};
use crate::home::Home;
use crate::process::Process;
use crate::serve::Serve;

/// The jobs that match.
const JOBS: i64 = 20_000;

/// Creates a store with [`JOBS`] jobs that wait for a day, and one more of another account.
async fn filled(home: &Home) {
    home.serve().stop();
    let later = "(strftime('%s', 'now') + 86400) * 1000";
    let sql = format!(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {JOBS}) \
         INSERT INTO jobs (id, state, handler, account_id, origin, return_url, data, received_at, waiting_since, \
         answer_by, due_at) \
         SELECT unhex(printf('018bcfe5687b7000800000%010x', i)), 'queued', 'echo', iif(i = 7, 9, 8), \
         'https://a.kommo.com', 'https://a.kommo.com/api/v4/salesbot/1/continue/' || i, '1', 1, {later}, {later}, \
         {later} FROM n"
    );
    let mut raw = raw(home).await;
    sqlx::query(AssertSqlSafe(sql)).execute(&mut raw).await.unwrap();
    let counted = format!("UPDATE job_counts SET jobs = {} WHERE state = 'queued'", JOBS + 1);
    sqlx::query(AssertSqlSafe(counted)).execute(&mut raw).await.unwrap();
    let bytes =
        "INSERT INTO account_bytes SELECT account_id, count(*), count(*) FROM jobs GROUP BY account_id";
    sqlx::query(bytes).execute(&mut raw).await.unwrap();
}

async fn post(serve: &Serve, body: &Value) -> (u16, Value) {
    let url = format!("http://{}/api/v1/jobs/bulk", serve.admin);
    let answer = serve.client.post(url).body(body.to_string()).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn check(home: &Home, serve: &Serve, bulk: &Value) {
    assert_eq!(
        (&bulk["state"], &bulk["changed"], &bulk["skipped"]),
        (&json!("done"), &json!(JOBS), &json!(0))
    );
    assert_eq!(serve.count("cancelled").await, JOBS.unsigned_abs());
    assert_eq!(serve.count("queued").await, 1, "only the job of the other account");
    assert_eq!(number(home, "SELECT account_id FROM jobs WHERE state = 'queued'").await, 9);
    assert_eq!(number(home, "SELECT unfinished FROM account_bytes WHERE account_id = 8").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_change_continues_after_kills_of_the_bridge_and_changes_each_job_once() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    filled(&home).await;
    let serve = home.serve();
    let mut asked = json!({ "action": "cancel", "filter": "account:8", "dry_run": true });
    let (status, plan) = post(&serve, &asked).await;
    assert_eq!(
        (status, &plan["jobs"], &plan["accounts"]),
        (200, &json!(JOBS), &json!({ "8": JOBS })),
        "{plan}"
    );
    asked = json!({ "action": "cancel", "filter": "account:8", "token": plan["token"] });
    let (status, bulk) = post(&serve, &asked).await;
    assert_eq!((status, &bulk["id"]), (202, &json!(1)), "{bulk}");
    let mut changed = 0;
    let mut serve = serve;
    for _ in 0..2 {
        progress(&home, changed).await;
        serve.process.kill();
        changed = number(&home, "SELECT changed FROM bulk_changes").await;
        assert!(changed < JOBS, "killed in the middle: {changed}");
        serve = home.serve();
    }
    let bulk = ended(&serve).await;
    check(&home, &serve, &bulk).await;
    let (status, used) = post(&serve, &asked).await;
    assert_eq!(status, 409, "a token is of one process: {used}");
    serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_continues_the_bulk_change_of_a_killed_command_and_it_can_be_stopped() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    filled(&home).await;
    let cancel = ["jobs", "cancel", "--filter", "account:8"];
    let refused = home.run(&cancel).expect(2);
    assert!(refused.err.contains("--yes"), "{}", refused.err);
    let command = Process::start(home.command(&[&cancel[..], &["--yes"]].concat()));
    progress(&home, 0).await;
    command.kill();
    home.run(&["jobs", "stop", "1"]).expect(0);
    let serve = home.serve();
    let stopped = ended(&serve).await;
    let changed = stopped["changed"].as_i64().unwrap();
    assert!(stopped["state"] == "stopped" && 0 < changed && changed < JOBS, "{stopped}");
    assert_eq!(serve.count("cancelled").await, changed.unsigned_abs());
    serve.stop();

    // The rest.
    let done = home.run(&[&cancel[..], &["--yes", "--json"]].concat()).expect(0).json();
    assert_eq!(done["changed"], json!(JOBS - changed));
}
