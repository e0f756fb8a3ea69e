//! Tests that every acknowledged job survives a power cut, which loses all or part of the data that was not synced.
//!
//! The real program runs on a recorded disk ([`crate::disk`]). At each 200, the caller notes the length of the recording.
//! Then the test computes the disk that a power cut would leave at many moments, and checks it. `POWER_CUTS` sets the
//! number of cuts, `PROCESS_TESTS_SEED` their moments.

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use futures_util::{StreamExt, stream};
use serde_json::json;
use simulator::{Bot, Fault, Options, Plan, Simulator};

use crate::TEST_TIMEOUT;
use crate::disk::Disk;
use crate::disk::cut::{Left, Mood, cut};
use crate::disk::recording::Recording;
use crate::home::Home;
use crate::rig::store_files::{self, path_of};
use crate::serve::Serve;

const CUTS: usize = 40;
/// The number of bots that call between two checks of the recording.
const BATCH: usize = 16;

struct Recorded {
    simulator: Simulator,
    home: Home,
    disk: Disk,
    recording: Recording,
    /// The acknowledged bots, each with the length of the recording at its 200.
    acknowledged: Vec<(Bot, usize)>,
}

fn number(name: &str) -> Option<u64> {
    env::var_os(name)?.into_string().ok()?.parse().ok()
}

/// Records a run with checkpoints, on a store in a new folder. In its second half Kommo is down, so jobs wait.
async fn record() -> Recorded {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let disk = Disk::new(home.path("").as_path());
    home.configure(&simulator, &disk.path("data/bridge.db"), "");
    let serve = Serve::start(disk.under(home.command(&["serve"])));
    let mut acknowledged = Vec::new();
    for outage in [None, Some(Fault::Status(503))] {
        simulator.set_outage(outage);
        let before = disk.recording().syncs("bridge.db");
        // Checkpoints are the interesting moments: they sync the database and restart the log.
        while disk.recording().syncs("bridge.db") < before + 2 {
            let call = async |_| {
                let bot = simulator.bot(Plan::with_data(json!({ "text": "x".repeat(300) })));
                let answer = bot.call(&serve.url("echo")).await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.body);
                (bot, disk.now())
            };
            acknowledged
                .extend(stream::iter(0..BATCH).map(call).buffer_unordered(4).collect::<Vec<_>>().await);
        }
    }
    serve.process.kill();
    let recording = disk.recording();
    Recorded { simulator, home, disk, recording, acknowledged }
}

/// Writes the remaining files into `place`, as if it were the disk.
fn restore(left: &Left, from: &Path, place: &Path) {
    for (path, bytes) in left {
        let path = place.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

impl Recorded {
    fn acknowledged_by(&self, position: usize) -> impl Iterator<Item = &Bot> {
        self.acknowledged.iter().filter(move |(_, at)| *at <= position).map(|(bot, _)| bot)
    }

    /// The number of acknowledged bots whose jobs are lost by a cut at `position`, and the errors in the remaining store.
    async fn lost(&self, position: usize, mood: Mood) -> (usize, Vec<String>) {
        let place = tempfile::tempdir().unwrap();
        restore(&cut(&self.recording, position, mood), &self.disk.path(""), place.path());
        let snapshot = store_files::read(&place.path().join("data/bridge.db"), true).await;
        let there: BTreeSet<&str> = snapshot.jobs.iter().map(|(_, path)| &**path).collect();
        let lost = self.acknowledged_by(position).filter(|bot| !there.contains(path_of(&bot.return_url())));
        (lost.count(), snapshot.wrong)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_jobs_survive_the_loss_of_all_unsynced_data() {
    let seed = number("PROCESS_TESTS_SEED").unwrap_or_else(|| fastrand::u64(..));
    let cuts = number("POWER_CUTS").map_or(CUTS, |cuts| usize::try_from(cuts).unwrap());
    println!("to repeat this run: PROCESS_TESTS_SEED={seed} POWER_CUTS={cuts}");
    let mut random = fastrand::Rng::with_seed(seed);
    let recorded = record().await;
    let end = recorded.recording.end();
    for number in 0..cuts {
        // Every other cut comes right after a 200, where it reveals a commit that comes too late.
        let position = match number % 2 {
            0 => random.choice(&recorded.acknowledged).unwrap().1,
            _ => random.usize(0..=end),
        };
        let mood = if number % 4 < 2 { Mood::Strict } else { Mood::Any(random.u64(..)) };
        let (lost, wrong) = recorded.lost(position, mood).await;
        assert_eq!((lost, wrong), (0, vec![]), "at {position} of {end}, {mood:?}");
    }
    // Proves that the computed disk can lose data at all.
    let (lost, _) = recorded.lost(end, Mood::Liar).await;
    assert_eq!(lost, recorded.acknowledged.len(), "a disk that ignores syncs keeps nothing");
    println!(
        "{cuts} cuts of a recording of {end} bytes, {} acknowledged, none lost",
        recorded.acknowledged.len()
    );

    recorded.simulator.set_outage(None);
    for (number, mood) in [Mood::Strict, Mood::Any(random.u64(..))].into_iter().enumerate() {
        let place = recorded.home.path(&format!("after{number}"));
        let position = random.choice(&recorded.acknowledged).unwrap().1;
        restore(&cut(&recorded.recording, position, mood), &recorded.disk.path(""), &place);
        recorded.home.configure(&recorded.simulator, &place.join("data/bridge.db"), "");
        let serve = recorded.home.serve();
        for bot in recorded.acknowledged_by(position) {
            let continued = tokio::time::timeout(TEST_TIMEOUT, bot.continued()).await;
            continued.unwrap_or_else(|_| panic!("cut at {position}, {mood:?}: {:?}", bot.report()));
        }
        serve.settled().await;
        serve.stop();
    }
}
