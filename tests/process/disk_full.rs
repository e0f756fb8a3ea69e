//! A disk that is full, for a while. Needs the right to mount a small file system in memory.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use salesbot_bridge::simulator::{Bot, Fault, Options, Plan, Simulator};
use serde_json::json;

use crate::PATIENCE;
use crate::home::Home;
use crate::serve::Serve;

/// A file system of its own. Dropping it takes it away.
struct Disk(PathBuf);

impl Disk {
    fn mount(place: &Path) -> Result<Self, String> {
        fs::create_dir(place).unwrap();
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(place).output();
        match mount {
            Ok(mounted) if mounted.status.success() => Ok(Self(place.to_owned())),
            Ok(refused) => Err(String::from_utf8_lossy(&refused.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Takes every byte that is left.
    fn fill(&self) {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_new_requests_and_loses_none_of_the_old() {
    let options = Options { latency: Duration::from_secs(1), ..Options::default() };
    let simulator = Simulator::start(options).await.unwrap();
    let home = Home::new(&simulator, "");
    let disk = match Disk::mount(&home.path("disk")) {
        Ok(disk) => disk,
        Err(reason) => {
            println!("not tried: no file system can be mounted here: {reason}");
            return;
        }
    };
    home.configure(&simulator, &disk.0.join("bridge.db"), "");
    let serve = home.serve();
    simulator.set_outage(Some(Fault::Status(503)));
    let mut acknowledged = Vec::new();
    for _ in 0..30 {
        let (bot, answer) = ask(&simulator, &serve).await;
        assert_eq!(answer.status(), 200);
        acknowledged.push(bot);
    }

    simulator.set_outage(None);
    let before = simulator.calls().len();
    let mut in_flight = Vec::new();
    for _ in 0..5 {
        in_flight.push(ask(&simulator, &serve).await.0);
    }
    let called = |bot: &Bot| simulator.calls()[before..].iter().any(|call| call.bot == Some(bot.id()));
    while !in_flight.iter().all(called) {
        serve.count("delivering").await;
    }
    disk.fill();
    // The files of the database have some room left: it is full once all of that is used.
    let deadline = Instant::now() + PATIENCE;
    let mut refused = None;
    let reasons = loop {
        let (bot, answer) = ask(&simulator, &serve).await;
        match answer.status().as_u16() {
            200 => acknowledged.push(bot),
            503 => refused = Some(answer),
            other => panic!("{other}: {}", answer.text().await.unwrap()),
        }
        let (status, ready) = serve.get("/health/ready").await;
        if status == 503 && refused.is_some() {
            break ready.to_string();
        }
        assert!(Instant::now() < deadline, "{} requests, and the disk is not full", acknowledged.len());
    };
    let refused = refused.unwrap();
    assert!(refused.headers().contains_key("retry-after"), "{:?}", refused.headers());
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert!(reasons.contains("full") || reasons.contains("cannot be written"), "{reasons}");
    // These arrive, and that cannot be written down.
    for bot in &in_flight {
        bot.continued().await;
    }

    disk.free();
    serve.becomes(200).await;
    let (bot, answer) = ask(&simulator, &serve).await;
    assert_eq!(answer.status(), 200);
    acknowledged.push(bot);
    for bot in &acknowledged {
        tokio::time::timeout(PATIENCE, bot.continued())
            .await
            .unwrap_or_else(|_| panic!("{:?}", bot.report()));
    }
    serve.settled().await;
    assert_eq!(serve.count("delivered").await, (acknowledged.len() + in_flight.len()) as u64);
    for bot in &in_flight {
        assert_eq!(bot.report().attempts, 1, "what was known was written once it could be");
    }
    serve.stop();
}

async fn ask(simulator: &Simulator, serve: &Serve) -> (Bot, reqwest::Response) {
    let bot = simulator.bot(Plan::with_data(json!({ "text": "x".repeat(2_000) })));
    let request = bot.request(&serve.url("echo"));
    let post = serve.client.post(serve.url("echo")).header("content-type", request.content_type);
    (bot, post.body(request.body).send().await.unwrap())
}
