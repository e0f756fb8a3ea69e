//! Backups and restores with the real program, beside a bridge that serves and after it was killed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;
use simulator::{Bot, Fault, Options, Plan, Simulator};

use crate::TEST_TIMEOUT;
use crate::disk::{BROKEN, CANNOT_SYNC, Disk, FULL, READ_ONLY};
use crate::home::Home;
use crate::process;
use crate::serve::Serve;

async fn accepted(serve: &Serve, simulator: &Simulator) -> Bot {
    let url = serve.url("echo");
    let bot = simulator.bot(Plan::with_data(json!({ "message": "hi" })));
    let request = bot.request(&url);
    let post = serve.client.post(url).header("content-type", request.content_type);
    assert_eq!(post.body(request.body).send().await.unwrap().status(), 200);
    bot
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_a_bridge_restores_every_acknowledged_job_after_a_kill() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let serve = home.serve();
    simulator.set_outage(Some(Fault::Status(503)));
    let mut bots = Vec::new();
    for _ in 0..50 {
        bots.push(accepted(&serve, &simulator).await);
    }
    let backup = home.path("backups/copy.db");
    let written = home.run(&["backup", "backups/copy.db", "--json"]).expect(0).json();
    assert_eq!((&written["jobs"], &written["unfinished"]), (&json!(50), &json!(50)), "{written}");
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    let refused = home.run(&["restore", "backups/copy.db"]).expect(2);
    assert!(refused.err.contains("in use by process"), "{}", refused.err);
    let refused = home.run(&["store", "vacuum"]).expect(2);
    assert!(refused.err.contains("in use by process"), "{}", refused.err);
    serve.process.kill();

    // What a failing disk could leave.
    let store = home.path("bridge.db");
    fs::write(&store, "x".repeat(100_000)).unwrap();
    let restored = home.run(&["restore", "backups/copy.db"]).expect(0);
    assert!(restored.out.contains("50 jobs, 50 of them unfinished"), "{}", restored.out);
    assert!(restored.out.contains("bridge.db.before-restore-"), "{}", restored.out);
    assert_eq!(home.run(&["store", "check"]).expect(0).out, "the store is sound");
    let stats = home.run(&["store", "stats", "--json"]).expect(0).json();
    assert_eq!(
        (&stats["jobs"]["delivering"], &stats["received_in_a_day"]),
        (&json!(50), &json!(50)),
        "{stats}"
    );

    simulator.set_outage(None);
    let serve = home.serve();
    for bot in bots {
        tokio::time::timeout(TEST_TIMEOUT, bot.continued()).await.expect("a bot hangs after the restore");
    }
    serve.stop();
    let vacuumed = home.run(&["store", "vacuum", "--json"]).expect(0).json();
    assert!(vacuumed["after"].as_u64() <= vacuumed["before"].as_u64(), "{vacuumed}");
    home.serve().stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_writes_backups_into_its_folder_and_doctor_checks_them() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "store.backup_folder = \"backups\"");
    let folder = home.path("backups");
    let doctor = |home: &Home| {
        let report = home.run(&["doctor", "--json"]).json();
        let checks = report["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|check| check["name"] == "backups").unwrap()
    };
    assert_eq!(doctor(&home)["outcome"], "warning");
    let serve = home.serve();
    serve
        .process
        .err
        .wait("a backup", |line| line.contains("a backup was written and verified").then_some(()));
    let first = files(&folder);
    assert!(first.len() == 1 && first[0].starts_with("bridge-20") && first[0].ends_with("Z.db"), "{first:?}");
    assert_eq!(doctor(&home)["outcome"], "ok");
    serve.stop();
    let serve = home.serve();
    accepted(&serve, &simulator).await;
    serve.delivers(1).await;
    serve.stop();
    assert_eq!(files(&folder), first, "the newest backup is young, so a restart writes no other");

    let old = folder.join("bridge-20200101T000000Z.db");
    fs::copy(folder.join(&first[0]), &old).unwrap();
    let kept = home.run(&["backup", "backups", "--keep", "1"]).expect(0);
    assert!(kept.out.contains(&format!("deleted {}", "backups/bridge-20200101T000000Z.db")), "{}", kept.out);
    assert_eq!(files(&folder).len(), 1);
    let wrong = home.run(&["backup", "no-folder/copy.db", "--keep", "1"]).expect(2);
    assert!(wrong.err.contains("--keep needs a folder"), "{}", wrong.err);
    let wrong = home.run(&["backup", "bridge.toml"]).expect(1);
    assert!(wrong.err.contains("is not a copy of a store"), "{}", wrong.err);
    let wrong = home.run(&["restore", "bridge.toml"]);
    assert!(wrong.err.contains("cannot restore bridge.toml"), "{}", wrong.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_onto_a_failing_disk_leaves_the_earlier_one_and_nothing_else() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let serve = home.serve();
    accepted(&serve, &simulator).await;
    let disk = Disk::new(&home.path(""));
    let copy = disk.path("copy.db");
    let back_up = || process::run(disk.under(home.command(&["backup", "disk/copy.db", "--json"])));
    assert_eq!(back_up().expect(0).json()["jobs"], 1);
    let earlier = fs::read(&copy).unwrap();
    for _ in 0..5 {
        accepted(&serve, &simulator).await;
    }
    for fault in [FULL, BROKEN, CANNOT_SYNC, READ_ONLY] {
        disk.fail(fault);
        let failed = back_up().expect(1);
        assert!(failed.err.contains("disk/copy.db was not written: "), "{}", failed.err);
        assert!(!failed.err.contains("holds the store"), "another disk is full: {}", failed.err);
        assert_eq!(files(&home.path("disk")), ["copy.db"]);
        assert!(fs::read(&copy).unwrap() == earlier, "the earlier backup has changed");
        disk.mend();
    }
    assert_eq!(back_up().expect(0).json()["jobs"], 6);
    serve.stop();
}
