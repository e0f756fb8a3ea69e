//! Tests with stalled readers of stderr: a full pipe and a paused terminal. The program must not wait for them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, pipe};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use reqwest::Client;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;
use simulator::{Bot, Fault, Options, Plan, Simulator};

use crate::TEST_TIMEOUT;
use crate::home::Home;
use crate::serve::ready;

/// More lines than the log's queue and the system's pipe can hold.
const MAX_LINES: usize = 3 << 20;

/// A bridge with an open stderr that is read only up to the line that reports that it is ready.
struct Unread {
    child: Child,
    stderr: Option<File>,
    url: String,
    admin: String,
    client: Client,
}

impl Unread {
    fn start(mut command: Command, stderr: Stdio, mut reader: File) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let child = command.spawn().unwrap();
        // The parent must not keep the writer open.
        drop(command);
        let (public, admin) = loop {
            if let Some(addresses) = ready(&line(&mut reader)) {
                break addresses;
            }
        };
        let client = Client::builder().no_proxy().timeout(TEST_TIMEOUT).build().unwrap();
        let url = format!("http://{public}/widget_request");
        Self { child, stderr: Some(reader), url, admin: format!("http://{admin}"), client }
    }

    async fn get(&self, path: &str) -> String {
        let answer = self.client.get(format!("{}{path}", self.admin)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        answer.text().await.unwrap()
    }

    /// The number of dropped log lines, from the metric.
    async fn dropped(&self) -> u64 {
        let metrics = self.get("/metrics").await;
        let value = metrics.lines().find_map(|line| line.strip_prefix("bridge_log_lines_dropped_total "));
        value.unwrap_or_else(|| panic!("no such metric in\n{metrics}")).parse().unwrap()
    }

    /// Sends bots whose continues Kommo refuses, and malformed requests, until the bridge drops log lines. Asserts that
    /// each one is answered.
    async fn fill_log(&self, simulator: &Simulator, text: &str) {
        let deadline = Instant::now() + TEST_TIMEOUT;
        while self.dropped().await == 0 {
            assert!(Instant::now() < deadline, "no line was ever dropped");
            let refused: Vec<Bot> = (0..20)
                .map(|_| {
                    let mut plan = Plan::with_data(json!({ "n": text }));
                    plan.faults = vec![Fault::Status(422), Fault::Status(422)];
                    simulator.bot(plan)
                })
                .collect();
            for bot in &refused {
                assert_eq!(bot.call(&format!("{}/echo", self.url)).await.unwrap().status, 200);
            }
            let bad = self.client.post(format!("{}/echo", self.url)).body("nonsense").send().await.unwrap();
            assert_eq!(bad.status().as_u16(), 400);
        }
    }

    async fn assert_serves(&self, simulator: &Simulator) {
        let bot = simulator.bot(Plan::with_data(json!({ "n": "1" })));
        assert_eq!(bot.call(&format!("{}/echo", self.url)).await.unwrap().status, 200);
        tokio::time::timeout(TEST_TIMEOUT, bot.continued()).await.unwrap();
        self.get("/health/live").await;
    }

    fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits at most `within` for the end of the process.
    fn ends(mut self, within: Duration) -> ExitStatus {
        let (sender, receiver) = mpsc::channel();
        let pid = self.child.id();
        let stderr = self.stderr.take();
        thread::spawn(move || sender.send(self.child.wait().unwrap()));
        let status =
            receiver.recv_timeout(within).unwrap_or_else(|_| panic!("{pid} did not end in {within:?}"));
        drop(stderr);
        status
    }
}

/// Reads one line byte by byte, so that it consumes nothing after the line.
fn line(reader: &mut File) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while reader.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        bytes.push(byte[0]);
    }
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

/// A pipe as stderr, and its reader.
fn unread_pipe() -> (Stdio, File) {
    let (reader, writer) = pipe().unwrap();
    (writer.into(), File::from(std::os::fd::OwnedFd::from(reader)))
}

/// A terminal as stderr, and the side that an operator would read.
fn paused_terminal() -> (Stdio, File) {
    let terminal_side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal_side).unwrap();
    unlockpt(&terminal_side).unwrap();
    let name = ptsname(&terminal_side, Vec::new()).unwrap().into_string().unwrap();
    let terminal = OpenOptions::new().read(true).write(true).open(name).unwrap();
    (terminal.into(), File::from(terminal_side))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unread_stderr_stops_nothing_and_the_dropped_lines_are_counted() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for (stderr, reader) in [unread_pipe(), paused_terminal()] {
        let home = Home::new(&simulator, "log.format = \"json\"\nworkers.grace = \"2s\"");
        let serve = Unread::start(home.command(&["serve", "-vv"]), stderr, reader);
        serve.fill_log(&simulator, "1").await;
        serve.assert_serves(&simulator).await;
        serve.terminate();
        assert_eq!(serve.ends(Duration::from_secs(15)).code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_returns_learns_how_many_lines_are_missing() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let (stderr, reader) = unread_pipe();
    let home = Home::new(&simulator, "");
    let serve = Unread::start(home.command(&["serve", "-vv"]), stderr, reader);
    serve.fill_log(&simulator, "1").await;
    let mut reader = serve.stderr.as_ref().unwrap().try_clone().unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut last = String::new();
        for _ in 0..MAX_LINES {
            let line = line(&mut reader);
            if line.is_empty() {
                break;
            }
            let event: serde_json::Value =
                serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if event["message"].as_str().is_some_and(|message| message.starts_with("log lines were dropped"))
            {
                sender.send(event["lines"].as_u64().unwrap()).unwrap();
            }
            last = line;
        }
        last
    });
    let missing = receiver.recv_timeout(TEST_TIMEOUT).unwrap();
    assert!(missing > 0);
    serve.assert_serves(&simulator).await;
    serve.terminate();
    assert_eq!(serve.ends(Duration::from_secs(15)).code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panicking_handler_does_not_wait_for_a_reader() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let (stderr, reader) = unread_pipe();
    let home = Home::new(&simulator, "log.filter = \"trace\"\nhandlers.panic = { max_attempts = 1 }");
    let serve = Unread::start(home.own(), stderr, reader);
    serve.fill_log(&simulator, "1").await;
    for _ in 0..3 {
        let bot = simulator.bot(Plan::with_data(json!({ "n": "1" })));
        assert_eq!(bot.call(&format!("{}/panic", serve.url)).await.unwrap().status, 200);
        tokio::time::timeout(TEST_TIMEOUT, bot.continued()).await.unwrap();
    }
    serve.assert_serves(&simulator).await;
    serve.terminate();
    serve.ends(Duration::from_secs(40));
}

#[test]
fn a_failed_start_exits_even_if_no_one_reads_its_message() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = pipe().unwrap();
    fill(writer.try_clone().unwrap());
    let mut command = crate::process::program();
    command.arg("serve").current_dir(folder.path()).stderr(writer);
    let mut child = command.spawn().unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait().unwrap()));
    let status = receiver.recv_timeout(TEST_TIMEOUT).expect("the program must not wait for a reader");
    assert_eq!(status.code(), Some(2));
    drop(reader);
}

/// The output of `simulate` is a result, so it is never dropped. A stop does not wait until it is read.
#[cfg(target_os = "linux")]
#[test]
fn simulate_stops_even_if_no_one_reads_its_output() {
    let (reader, writer) = pipe().unwrap();
    fill(writer.try_clone().unwrap());
    let mut command = crate::process::program();
    command.args(["simulate", "--listen", "127.0.0.1:0"]).stdout(writer);
    let mut child = command.spawn().unwrap();
    let pid = child.id();
    // Wait for its SIGTERM handler: without one, the signal itself would end the process.
    let deadline = Instant::now() + TEST_TIMEOUT;
    while !handles_sigterm(pid) {
        assert!(Instant::now() < deadline, "the program installed no signal handler");
        thread::yield_now();
    }
    assert!(Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status().unwrap().success());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait().unwrap()));
    assert_eq!(
        receiver.recv_timeout(TEST_TIMEOUT).expect("the program must not wait for a reader").code(),
        Some(0)
    );
    drop(reader);
}

#[cfg(target_os = "linux")]
fn handles_sigterm(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap_or(0) & (1 << 14) != 0)
}

/// Fills a pipe.
fn fill(mut writer: io::PipeWriter) {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        while io::Write::write(&mut writer, &[b' '; 4096]).is_ok() {
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    // Once nothing has been written for a while, the pipe is full.
    while receiver.recv_timeout(Duration::from_secs(1)).is_ok() {}
}
