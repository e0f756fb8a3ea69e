//! Tests with readers that close the pipe, as `| head` does.

use std::io::pipe;
use std::process::Stdio;

use serde_json::json;
use simulator::{Options, Plan, Simulator};

use crate::home::Home;
use crate::process::Process;
use crate::serve::{Serve, ready};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_does_not_panic_if_its_reader_closes_the_pipe() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    home.serve().stop();
    for arguments in [
        &["config", "schema"][..],
        &["config", "show"],
        &["config", "check"],
        &["jobs", "list"],
        &["jobs", "list", "--json"],
        &["demo", "--requests", "2"],
    ] {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut command = home.command(arguments);
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        drop(command);
        let ended = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&ended.stderr);
        assert!(!error.contains("panicked"), "{arguments:?}: {error}");
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_keeps_running_if_the_reader_of_its_log_goes_away() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    // At this level, every part of the bridge logs during a request.
    let is_ready = |line: &str| ready(line).is_some();
    let mut serve = Serve::of(Process::start_and_hang_up(home.command(&["serve", "-vv"]), is_ready));
    for number in 0..20 {
        let bot = simulator.bot(Plan::with_data(json!({ "n": number })));
        assert_eq!(bot.call(&serve.url("echo")).await.unwrap().status, 200);
        bot.continued().await;
    }
    serve.settled().await;
    serve.process.signal("TERM");
    serve.process.end().expect(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_cannot_be_written_is_an_error() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    home.serve().stop();
    for arguments in [&["config", "check"][..], &["jobs", "list"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ended = home.command(arguments).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let error = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.contains("cannot write to stdout"), "{arguments:?}: {error}");
    }
}
