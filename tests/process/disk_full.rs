//! Tests with a disk that is full for a while. They need the right to mount a small file system in memory.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use simulator::{Bot, Fault, Options, Plan, Simulator};

use crate::TEST_TIMEOUT;
use crate::home::Home;
use crate::serve::Serve;

/// A separate file system. Dropping it unmounts it.
pub struct Disk(pub PathBuf);

impl Disk {
    /// Mounts a file system of this size, like `8m`.
    pub fn mount(place: &Path, size: &str) -> Result<Self, String> {
        fs::create_dir(place).unwrap();
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(place).output();
        match mount {
            Ok(mounted) if mounted.status.success() => Ok(Self(place.to_owned())),
            Ok(refused) => Err(String::from_utf8_lossy(&refused.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Uses up every free byte.
    pub fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            while ballast.write_all(&vec![b'x'; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// A bridge with its store on a separate disk, and a simulator that takes a second for each continue.
struct Setting {
    // In the order in which they are dropped.
    serve: Serve,
    disk: Disk,
    home: Home,
    simulator: Simulator,
}

impl Setting {
    /// Starts the bridge. Prints the reason and returns `None` if no file system can be mounted.
    async fn new(more: &str) -> Option<Self> {
        let options = Options { latency: Duration::from_secs(1), ..Options::default() };
        let simulator = Simulator::start(options).await.unwrap();
        let home = Home::new(&simulator, "");
        let disk = Disk::mount(&home.path("disk"), "8m");
        let disk =
            disk.map_err(|reason| println!("skipped: no file system can be mounted here: {reason}")).ok()?;
        home.configure(&simulator, &disk.0.join("bridge.db"), more);
        Some(Self { serve: home.serve(), disk, home, simulator })
    }

    async fn ask(&self) -> (Bot, reqwest::Response) {
        let bot = self.simulator.bot(Plan::with_data(json!({ "text": "x".repeat(2_000) })));
        let url = self.serve.url("echo");
        let request = bot.request(&url);
        let post = self.serve.client.post(url).header("content-type", request.content_type);
        (bot, post.body(request.body).send().await.unwrap())
    }

    async fn acknowledged(&self, bots: usize) -> Vec<Bot> {
        let mut acknowledged = Vec::new();
        for _ in 0..bots {
            let (bot, answer) = self.ask().await;
            assert_eq!(answer.status(), 200);
            acknowledged.push(bot);
        }
        acknowledged
    }

    /// Bots whose continues are in flight.
    async fn in_flight(&self, bots: usize) -> Vec<Bot> {
        let in_flight = self.acknowledged(bots).await;
        let called = |bot: &Bot| self.simulator.calls().iter().any(|call| call.bot == Some(bot.id()));
        while !in_flight.iter().all(called) {
            self.serve.count("delivering").await;
        }
        in_flight
    }

    /// Fills the disk. The database files still have some free pages, so sends bots until those are used up. Returns the
    /// acknowledged bots, the last refusal, and the reasons why the bridge is not ready.
    async fn fill(&self) -> (Vec<Bot>, reqwest::Response, String) {
        self.disk.fill();
        let deadline = Instant::now() + TEST_TIMEOUT;
        let (mut acknowledged, mut refused) = (Vec::new(), None);
        loop {
            let (bot, answer) = self.ask().await;
            match answer.status().as_u16() {
                200 => acknowledged.push(bot),
                503 => refused = Some(answer),
                other => panic!("{other}: {}", answer.text().await.unwrap()),
            }
            let (status, ready) = self.serve.get("/health/ready").await;
            refused = match refused {
                Some(refused) if status == 503 => return (acknowledged, refused, ready.to_string()),
                refused => refused,
            };
            assert!(
                Instant::now() < deadline,
                "the disk is not full after {} more requests",
                acknowledged.len()
            );
        }
    }
}

async fn all_continued(bots: &[Bot]) {
    for bot in bots {
        let continued = tokio::time::timeout(TEST_TIMEOUT, bot.continued()).await;
        continued.unwrap_or_else(|_| panic!("{:?}", bot.report()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_new_requests_and_loses_no_acknowledged_one() {
    let Some(setting) = Setting::new("").await else { return };
    let Setting { serve, disk, simulator, .. } = &setting;
    simulator.set_outage(Some(Fault::Status(503)));
    let mut acknowledged = setting.acknowledged(30).await;
    simulator.set_outage(None);
    let in_flight = setting.in_flight(5).await;

    let (more, refused, reasons) = setting.fill().await;
    acknowledged.extend(more);
    assert!(refused.headers().contains_key("retry-after"), "{:?}", refused.headers());
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert!(reasons.contains("full") || reasons.contains("cannot be written"), "{reasons}");
    // Kommo accepts the continues, but the bridge cannot record that yet.
    all_continued(&in_flight).await;

    disk.free();
    serve.becomes(200).await;
    acknowledged.extend(setting.acknowledged(1).await);
    all_continued(&acknowledged).await;
    serve.settled().await;
    assert_eq!(serve.count("delivered").await, (acknowledged.len() + in_flight.len()) as u64);
    for bot in &in_flight {
        assert_eq!(bot.report().attempts, 1, "the bridge recorded the delivery once it could");
    }
    setting.serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_sigterm_still_stops_the_bridge_and_the_next_start_continues() {
    let Some(setting) = Setting::new("workers.grace = \"1s\"").await else { return };
    let mut acknowledged = setting.in_flight(5).await;
    let (more, ..) = setting.fill().await;
    acknowledged.extend(more);
    let Setting { mut serve, disk, home, simulator } = setting;
    let asked = Instant::now();
    serve.process.signal("TERM");
    serve.process.end().expect(0);
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());

    let ended = home.run(&["serve"]).expect(1);
    assert!(ended.err.contains("full") || ended.err.contains("cannot be written"), "{}", ended.err);
    disk.free();
    let serve = home.serve();
    all_continued(&acknowledged).await;
    serve.settled().await;
    assert_eq!(serve.count("delivered").await, acknowledged.len() as u64);
    serve.stop();
    drop((disk, home, simulator));
}
