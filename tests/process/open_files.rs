//! Tests with the system's limit on open files, which strangers can exhaust by opening connections.

use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use simulator::{Options, Plan, Simulator};

use crate::home::Home;
use crate::process::undisturbed;
use crate::serve::Serve;

/// Starts `serve` under the limits that these options of `ulimit` set.
fn serve_under(home: &Home, ulimit: &str) -> Serve {
    let serve = home.command(&["serve"]);
    let mut shell = undisturbed(Command::new("sh"));
    shell.args(["-c", &format!("ulimit {ulimit} && exec \"$@\""), "sh"]);
    shell.arg(serve.get_program()).args(serve.get_args());
    Serve::start(shell)
}

/// Starts `serve`, and opens 200 silent connections. Those that the bridge does not accept fit into the system's backlog.
fn idle(simulator: &Simulator, ulimit: &str) -> (Home, Serve, Vec<TcpStream>) {
    let home = Home::new(simulator, "server.read_timeout = \"60s\"\ndelivery.concurrency = 16");
    let serve = serve_under(&home, ulimit);
    let strangers = (0..200).map(|_| TcpStream::connect(serve.public).unwrap()).collect();
    (home, serve, strangers)
}

const WARNING: &str = "limit on open files is too low";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_soft_limit_is_raised_so_that_a_bot_is_continued_beside_idle_connections() {
    let options = Options { answer_timeout: Duration::from_secs(20), ..Options::default() };
    let simulator = Simulator::start(options).await.unwrap();
    let (_home, serve, _strangers) = idle(&simulator, "-Sn 128");
    let bot = simulator.bot(Plan::with_data(json!({ "n": "1" })));
    assert_eq!(bot.call(&serve.url("echo")).await.unwrap().status, 200);
    bot.continued().await;
    assert!(!serve.stop().err.contains(WARNING));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_hard_limit_idle_connections_leave_files_for_probes() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let begun = Instant::now();
    let (_home, serve, strangers) = idle(&simulator, "-n 160");
    assert_eq!(serve.get("/health/ready").await.0, 200);
    assert!(
        begun.elapsed() < Duration::from_secs(50),
        "the probe had to wait until the idle connections were closed"
    );
    drop(strangers);
    assert!(serve.stop().err.contains(WARNING));
}
