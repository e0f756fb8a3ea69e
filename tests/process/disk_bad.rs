//! Tests with a damaged store, and with a path that is not a store. The start fails, names the file and what to do, and
//! changes nothing. It exits with 2 if `store.url` names the wrong file, else with 1.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use simulator::{Bot, Fault, Options, Plan, Simulator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use crate::TEST_TIMEOUT;
use crate::home::Home;
use crate::process::{Ended, run};
use crate::rig::store_files;

/// A store with waiting acknowledged jobs, after its bridge was stopped or killed.
struct StoppedStore {
    simulator: Simulator,
    home: Home,
    file: PathBuf,
    waiting: Vec<Bot>,
}

impl StoppedStore {
    async fn after_stop() -> Self {
        Self::after(true).await
    }

    async fn after_kill() -> Self {
        Self::after(false).await
    }

    async fn after(stop: bool) -> Self {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        simulator.set_outage(Some(Fault::Status(503)));
        let home = Home::new(&simulator, "");
        let serve = home.serve();
        // While a reader is active, the log cannot restart, so it contains all jobs when the bridge is killed.
        let reader = if stop { None } else { Some(Reader::of(&home.path("bridge.db")).await) };
        let data = json!({ "text": "x".repeat(2_000) });
        let waiting: Vec<Bot> = (0..40).map(|_| simulator.bot(Plan::with_data(data.clone()))).collect();
        for bot in &waiting {
            assert_eq!(bot.call(&serve.url("echo")).await.unwrap().status, 200);
        }
        if stop {
            serve.stop();
        } else {
            serve.process.kill();
        }
        let file = home.path("bridge.db");
        if let Some(reader) = reader {
            reader.leave(&file).await;
        }
        Self { simulator, home, file, waiting }
    }

    /// Asserts that the start fails and does not change the file.
    fn refused(&self, status: i32) -> Ended {
        let before = fs::read(&self.file).ok();
        let ended = self.home.run(&["serve"]).expect(status);
        assert_names(&ended, &self.file);
        assert!(fs::read(&self.file).ok() == before, "the start changed the file");
        ended
    }

    /// Asserts that every bot is continued after these bytes are restored.
    async fn recovers_with(&self, bytes: &[u8]) {
        fs::write(&self.file, bytes).unwrap();
        self.simulator.set_outage(None);
        let serve = self.home.serve();
        for bot in &self.waiting {
            let continued = tokio::time::timeout(TEST_TIMEOUT, bot.continued()).await;
            if continued.is_err() {
                let (_, jobs) = serve.get("/api/v1/jobs?state=delivering&limit=3").await;
                panic!("{:?}\n{jobs}\n{}", bot.report(), serve.process.err.so_far());
            }
        }
        serve.settled().await;
        serve.stop();
    }
}

/// Another program, in the middle of a long read transaction.
struct Reader(SqliteConnection);

impl Reader {
    async fn of(file: &Path) -> Self {
        let mut connection =
            SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file)).await.unwrap();
        sqlx::raw_sql("BEGIN; SELECT count(*) FROM jobs").execute(&mut connection).await.unwrap();
        Self(connection)
    }

    /// Disconnects without changing the files. Otherwise the last connection would checkpoint the log when it closes.
    async fn leave(self, file: &Path) {
        let log = file.with_extension("db-wal");
        let [before, log_before] = [file, &log].map(|path| fs::read(path).unwrap());
        self.0.close().await.unwrap();
        fs::write(file, before).unwrap();
        fs::write(log, log_before).unwrap();
    }
}

fn assert_names(ended: &Ended, file: &Path) {
    assert!(ended.err.contains(&*file.to_string_lossy()), "{}", ended.err);
    assert_eq!(ended.out, "");
}

fn noise(bytes: &mut [u8]) {
    let mut random = fastrand::Rng::with_seed(7);
    bytes.iter_mut().for_each(|byte| *byte = random.u8(..));
}

async fn execute(file: &Path, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_header_is_refused_and_a_restored_file_recovers() {
    let stopped = StoppedStore::after_stop().await;
    let good = fs::read(&stopped.file).unwrap();
    let mut bad = good.clone();
    noise(&mut bad[..100]);
    fs::write(&stopped.file, bad).unwrap();
    let ended = stopped.refused(2);
    assert!(ended.err.contains("not a database") && ended.err.contains("backup"), "{}", ended.err);
    stopped.recovers_with(&good).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_pages_are_refused_and_a_restored_file_recovers() {
    let stopped = StoppedStore::after_stop().await;
    let good = fs::read(&stopped.file).unwrap();
    let mut bad = good.clone();
    noise(&mut bad[4_096..]);
    fs::write(&stopped.file, bad).unwrap();
    let ended = stopped.refused(1);
    assert!(ended.err.contains("damaged") && ended.err.contains("backup"), "{}", ended.err);
    stopped.recovers_with(&good).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_file_is_refused_and_a_restored_file_recovers() {
    let stopped = StoppedStore::after_stop().await;
    let good = fs::read(&stopped.file).unwrap();
    fs::write(&stopped.file, &good[..8_192]).unwrap();
    let ended = stopped.refused(1);
    assert!(ended.err.contains("damaged") && ended.err.contains("backup"), "{}", ended.err);
    stopped.recovers_with(&good).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_loses_no_job_from_before_the_damage() {
    let stopped = StoppedStore::after_kill().await;
    let log = stopped.home.path("bridge.db-wal");
    let mut bytes = fs::read(&log).unwrap();
    let whole = store_files::read(&stopped.file, true).await.jobs;
    let middle = bytes.len() / 2;
    noise(&mut bytes[middle..]);
    fs::write(&log, bytes).unwrap();
    let kept = store_files::read(&stopped.file, true).await;
    assert_eq!(kept.wrong, Vec::<String>::new());
    assert!(kept.jobs.len() < whole.len() && kept.jobs.iter().all(|job| whole.contains(job)));

    stopped.simulator.set_outage(None);
    let serve = stopped.home.serve();
    serve.settled().await;
    assert_eq!(serve.count("delivered").await, kept.jobs.len() as u64);
    // The bots with lost jobs can call again.
    for bot in &stopped.waiting {
        assert_eq!(bot.call(&serve.url("echo")).await.unwrap().status, 200);
        bot.continued().await;
        assert_eq!(bot.report().continued, 1);
    }
    serve.settled().await;
    assert_eq!(serve.count("delivered").await, stopped.waiting.len() as u64);
    serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_a_newer_version_is_refused_unchanged() {
    let stopped = StoppedStore::after_stop().await;
    let good = fs::read(&stopped.file).unwrap();
    execute(
        &stopped.file,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9001, 'from the future', 1, x'00', 0)",
    )
    .await;
    let ended = stopped.refused(2);
    assert!(ended.err.contains("newer version") && ended.err.contains("9001"), "{}", ended.err);
    stopped.recovers_with(&good).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_is_not_a_store_is_refused_as_a_configuration_error() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let file = home.path("bridge.db");
    let refused = |why: &str| {
        let ended = home.run(&["serve"]).expect(2);
        assert_names(&ended, &file);
        assert!(ended.err.contains(why) && ended.err.contains("store.url"), "{}", ended.err);
    };
    fs::write(&file, "It was a dark and stormy night. ".repeat(99)).unwrap();
    refused("not a database");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    refused("a folder");
    fs::remove_dir(&file).unwrap();
    execute(&file, "CREATE TABLE theirs (x)").await;
    refused("another program");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unwritable_file_or_folder_is_refused_until_it_is_writable() {
    let stopped = StoppedStore::after_stop().await;
    let good = fs::read(&stopped.file).unwrap();
    let folder = stopped.file.parent().unwrap().to_owned();
    for (path, mode) in [(&stopped.file, 0o400), (&folder, 0o500)] {
        let before = fs::metadata(path).unwrap().permissions();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let ended = run(unprivileged(stopped.home.command(&["serve"]))).expect(1);
        fs::set_permissions(path, before).unwrap();
        assert_names(&ended, &stopped.file);
        assert!(fs::read(&stopped.file).unwrap() == good);
    }
    stopped.recovers_with(&good).await;
}

/// Runs `command` without root's right to write any file.
fn unprivileged(command: Command) -> Command {
    let mut unprivileged = Command::new("setpriv");
    unprivileged
        .args(["--bounding-set=-all", "--inh-caps=-all"])
        .arg(command.get_program())
        .args(command.get_args());
    unprivileged.current_dir(command.get_current_dir().unwrap());
    crate::process::undisturbed(unprivileged)
}
