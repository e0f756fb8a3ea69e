//! Tests in which the store's files are deleted or moved while the bridge has them open. An open file outlives its name,
//! so a bridge that kept acknowledging requests would lose them at its next start.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use simulator::{Bot, Fault, Options, Plan, Simulator};

use crate::TEST_TIMEOUT;
use crate::home::Home;
use crate::serve::Serve;

/// A bridge with its store in a separate folder, and bots that wait because Kommo is down.
struct Setting {
    simulator: Simulator,
    home: Home,
    serve: Serve,
    waiting: Vec<Bot>,
}

impl Setting {
    async fn new() -> Self {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        let home = Home::new(&simulator, "");
        home.configure(&simulator, &home.path("data/bridge.db"), "");
        simulator.set_outage(Some(Fault::Status(503)));
        let serve = home.serve();
        let mut setting = Self { simulator, home, serve, waiting: Vec::new() };
        for _ in 0..5 {
            let bot = setting.bot();
            assert_eq!(setting.call(&bot).await.0, 200);
            setting.waiting.push(bot);
        }
        setting
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path("data").join(name)
    }

    fn bot(&self) -> Bot {
        self.simulator.bot(Plan::with_data(json!({ "n": "1" })))
    }

    async fn call(&self, bot: &Bot) -> (u16, String) {
        let answer = bot.call(&self.serve.url("echo")).await.unwrap();
        (answer.status, answer.body)
    }

    /// Asserts that the bridge accepts nothing, is not ready, and reports why.
    async fn refuses(&self, why: &str) {
        let (status, body) = self.call(&self.bot()).await;
        assert_eq!(status, 503, "{body}");
        let reasons = self.serve.becomes(503).await.to_string();
        assert!(reasons.contains(why) && reasons.contains("bridge.db"), "{reasons}");
        self.serve.process.err.wait("the reason in the log", |line| line.contains(why).then_some(()));
    }

    /// Stops the bridge, restarts it on `store` with a working Kommo, and asserts that no acknowledged job is lost.
    async fn recovers_from(self, store: &str) {
        let Self { simulator, home, serve, waiting } = self;
        serve.stop();
        home.configure(&simulator, &home.path("data").join(store), "");
        simulator.set_outage(None);
        let serve = home.serve();
        all_continued(&waiting).await;
        serve.settled().await;
        assert_eq!(serve.count("delivered").await, waiting.len() as u64);
        let again = waiting[0].call(&serve.url("echo")).await.unwrap();
        assert_eq!((again.status, &again.json()["duplicate"]), (200, &json!(true)), "{}", again.body);
        serve.stop();
    }
}

async fn all_continued(bots: &[Bot]) {
    for bot in bots {
        let continued = tokio::time::timeout(TEST_TIMEOUT, bot.continued()).await;
        continued.unwrap_or_else(|_| panic!("{:?}", bot.report()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_folder_stops_acknowledgements_and_acknowledged_bots_are_continued() {
    let setting = Setting::new().await;
    fs::remove_dir_all(setting.home.path("data")).unwrap();
    setting.refuses("was deleted or moved away").await;
    setting.simulator.set_outage(None);
    all_continued(&setting.waiting).await;
    setting.serve.settled().await;
    setting.serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_store_is_written_back_when_the_bridge_stops() {
    let setting = Setting::new().await;
    fs::remove_dir_all(setting.home.path("data")).unwrap();
    setting.refuses("was deleted or moved away").await;
    setting.recovers_from("bridge.db").await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_written_back_is_private_to_its_owner() {
    use std::os::unix::fs::PermissionsExt;

    let setting = Setting::new().await;
    fs::remove_file(setting.file("bridge.db")).unwrap();
    setting.refuses("was deleted or moved away").await;
    let file = setting.file("bridge.db");
    let Setting { serve, .. } = setting;
    serve.stop();
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o077, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_moved_away_and_back_works_again_without_a_restart() {
    let setting = Setting::new().await;
    fs::rename(setting.file("bridge.db"), setting.file("elsewhere.db")).unwrap();
    setting.refuses("was deleted or moved away").await;
    fs::rename(setting.file("elsewhere.db"), setting.file("bridge.db")).unwrap();
    setting.serve.becomes(200).await;
    let bot = setting.bot();
    assert_eq!(setting.call(&bot).await.0, 200);
    let mut setting = setting;
    setting.waiting.push(bot);
    setting.recovers_from("bridge.db").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_replaces_the_store_is_untouched_and_the_jobs_are_saved_beside_it() {
    let setting = Setting::new().await;
    let other = setting.file("bridge.db");
    fs::write(setting.file("other"), "a file of another program").unwrap();
    fs::rename(setting.file("other"), &other).unwrap();
    setting.refuses("was replaced with another file").await;
    setting.recovers_from("bridge.db.saved").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_log_the_store_acknowledges_nothing_and_a_stop_saves_everything() {
    for name in ["bridge.db-wal", "bridge.db-shm"] {
        let setting = Setting::new().await;
        fs::remove_file(setting.file(name)).unwrap();
        setting.refuses("was deleted or moved away").await;
        setting.recovers_from("bridge.db").await;
    }
}
