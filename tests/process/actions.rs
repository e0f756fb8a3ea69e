//! The commands that change something, and what `actions list` shows of them. `src/cli/actions/tests.rs` lists the commands,
//! and the store's tests check what the API changes.

use std::fs;

use serde_json::{Value, json};
use simulator::{Fault, Options, Plan, Simulator};

use crate::connected::{connect, home, kommos};
use crate::home::Home;

/// Runs a command that must succeed, and returns the action that it has added to the log.
fn logged(home: &Home, arguments: &[&str]) -> Value {
    let before = newest(home);
    let ended = home.run(arguments).expect(0);
    assert!(!ended.err.contains("not in the log of actions"), "{arguments:?}: {}", ended.err);
    let action = newest(home);
    assert_ne!(action, before, "{arguments:?} is not in the log");
    assert_eq!((&action["source"], &action["result"]), (&json!("cli"), &json!("done")), "{action}");
    let command = action["what"].as_str().unwrap();
    assert!(arguments.join(" ").starts_with(command), "{arguments:?} is logged as {command}");
    action
}

fn newest(home: &Home) -> Value {
    let page = home.run(&["actions", "list", "--limit", "1", "--json"]).expect(0).json();
    page["actions"][0].clone()
}

fn target(action: &Value) -> &str {
    action["target"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_act_outside_the_store_are_in_the_log() {
    let both = kommos().await;
    let other = &both[1];
    let home = home(&both, "");
    let serve = home.serve();
    connect(&home, &serve, other).await;
    let authorize = newest(&home);
    let seen = (&authorize["what"], target(&authorize));
    assert_eq!(seen, (&json!("accounts authorize"), "integration main"), "a link and its use are one action");

    let settings = ["--set", "login=a", "--set", "password=b", "--set", "script_path=https://x/"];
    let phones = ["--set", "phones.504141=1039", "--account", "shop"];
    let widget = "amo_asterisk";
    let installed = logged(&home, &[&["widgets", "install", widget], &settings[..], &phones].concat());
    assert_eq!(target(&installed), format!("{widget} of {}", both[0].base_url()), "no setting is in the log");
    let refused = home.run(&["widgets", "install", "unknown", "--account", "shop"]);
    assert!(!refused.status.success(), "{}", refused.out);
    assert_eq!(newest(&home), installed, "a refused command has no row");
    logged(&home, &["widgets", "uninstall", widget, "--account", "shop"]);

    let backup = logged(&home, &["backup", "copy.db"]);
    let bytes = fs::metadata(home.path("copy.db")).unwrap().len();
    let path = home.path("copy.db").canonicalize().unwrap();
    assert_eq!(target(&backup), format!("{}, verified, {bytes} bytes, 0 jobs", path.display()));
    let host = other.base_url().trim_start_matches("http://").to_owned();
    let removed = logged(&home, &["accounts", "remove", &host]);
    assert!(target(&removed).contains(&host), "{removed}");
    serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_a_vacuum_and_changes_of_jobs_are_in_the_log() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let serve = home.serve();
    simulator.set_outage(Some(Fault::Status(503)));
    let mut ids = Vec::new();
    for _ in 0..2 {
        let bot = simulator.bot(Plan::default());
        assert_eq!(bot.call(&serve.url("echo")).await.unwrap().status, 200);
        let (_, page) = serve.get("/api/v1/jobs?limit=1").await;
        ids.push(page["jobs"][0]["id"].as_str().unwrap().to_owned());
    }
    serve.reaches("delivering", 2).await;
    serve.process.kill();
    fs::create_dir(home.path("backups")).unwrap();
    fs::write(home.path("backups/bridge-20200101T000000Z.db"), "old").unwrap();
    let backup = logged(&home, &["backup", "backups", "--keep", "1"]);
    assert!(target(&backup).ends_with("bytes, 2 jobs, 1 older deleted"), "{backup}");
    let retried = logged(&home, &["jobs", "retry", &ids[0]]);
    assert_eq!((&retried["job_id"], &retried["jobs"]), (&json!(ids[0]), &json!(1)));
    logged(&home, &["jobs", "retry", "--dead"]);
    logged(&home, &["jobs", "cancel", &ids[0]]);
    let bulk = logged(&home, &["jobs", "cancel", "--filter", "handler:echo", "--yes"]);
    assert_eq!((&bulk["jobs"], target(&bulk).contains("handler:echo")), (&json!(1), true), "{bulk}");
    logged(&home, &["jobs", "erase", "--account", "31000001", "--yes"]);
    let vacuumed = logged(&home, &["store", "vacuum"]);
    let after = fs::metadata(home.path("bridge.db")).unwrap().len();
    assert!(target(&vacuumed).ends_with(&format!(" bytes before, {after} after")), "{vacuumed}");

    let copy = fs::read_dir(home.path("backups")).unwrap().next().unwrap().unwrap().path();
    let restored = logged(&home, &["restore", copy.to_str().unwrap()]);
    assert!(target(&restored).starts_with(&format!("{}, served until 20", copy.display())), "{restored}");
    assert_eq!(restored["jobs"], 2);
    assert_eq!(restored["id"], 1, "the log is that of the backup");
    assert_eq!(home.run(&["store", "check"]).expect(0).out, "the store is sound");
}
