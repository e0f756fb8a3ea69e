//! Tests the steps that `simulate` prints for a new user: a simulated Kommo, a widget package, a bot, an authorization,
//! and the continue.

use std::fs;
use std::path::Path;
use std::process::Command;

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::TEST_TIMEOUT;
use crate::connected::at;
use crate::process::{Ended, Process, program, run, undisturbed};
use crate::serve::Serve;

/// A placeholder for the bridge's URL, until the bridge has a port.
const BRIDGE: &str = "http://bridge.test";

/// Runs a printed command in a shell that has the program on its PATH, as an operator does.
fn run_in_shell(command: &str, folder: &Path) -> Ended {
    let program = Path::new(env!("CARGO_BIN_EXE_salesbot-bridge"));
    let mut shell = undisturbed(Command::new("sh"));
    shell.args(["-c", r#"PATH="$0:$PATH"; eval "$1""#]).arg(program.parent().unwrap()).arg(command);
    shell.current_dir(folder);
    run(shell)
}

/// The URL and the body of a printed `curl` command.
fn parse_curl(command: &str) -> (&str, Option<&str>) {
    let rest = command.strip_prefix("curl ").unwrap();
    let (address, flags) = rest.split_once(' ').unwrap_or((rest, ""));
    (
        address,
        flags.strip_prefix("-H 'Content-Type: application/json' -d ").map(|json| json.trim_matches('\'')),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_printed_steps_lead_a_new_user_to_a_continued_bot() {
    let folder = TempDir::new().unwrap();
    let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();

    // 0. The simulator, which prints the steps.
    let mut simulate = program();
    simulate.args(["simulate", "--listen", "127.0.0.1:0", "--bridge", BRIDGE, "--json"]);
    let simulate = Process::start(simulate);
    let printed: Value = simulate.out.wait("what to do", |line| serde_json::from_str(line).ok());
    let step = |index: usize, command: usize| printed["steps"][index]["commands"][command].as_str().unwrap();
    let mut config = printed["config"].clone();
    config["server"] = json!({ "listen": "127.0.0.1:0" });
    config["admin"] = json!({ "listen": "127.0.0.1:0" });
    fs::write(folder.path().join("bridge.toml"), toml::to_string(&config).unwrap()).unwrap();

    // 1. The bridge.
    assert_eq!(step(0, 0), "salesbot-bridge serve --config bridge.toml");
    let mut serve = program();
    serve.args(["serve", "--config", "bridge.toml"]).current_dir(folder.path());
    let serve = Serve::start(serve);

    // 2. and 3. A widget package, and its upload.
    let address = format!("http://{}", serve.public);
    let made = run_in_shell(&step(1, 0).replace(BRIDGE, &address), folder.path()).expect(0);
    assert!(made.out.contains("Next:"), "{}", made.out);
    let package = fs::read(folder.path().join("widget.zip")).unwrap();
    let (upload, _) = parse_curl(step(2, 0));
    let upload = client.post(upload).header("content-type", "application/zip").body(package);
    let uploaded = upload.send().await.unwrap();
    assert_eq!(uploaded.status(), 201);

    // 4. A bot with the widget. Its answer waits, and every output shows why.
    let (bots, order) = parse_curl(step(3, 0));
    let order = order.unwrap().to_owned();
    let started =
        client.post(bots).header("content-type", "application/json").body(order).send().await.unwrap();
    assert_eq!(started.status(), 202);
    serve
        .process
        .err
        .wait("that an operator is needed", |line| line.contains("operator action required").then_some(()));
    let (_, ready) = serve.get("/health/ready").await;
    assert!(ready["waiting"][0]["why"].as_str().unwrap().contains("accounts authorize"), "{ready}");
    let listed = run_in_shell("salesbot-bridge accounts list --config bridge.toml", folder.path()).expect(0);
    assert!(listed.out.contains("needs_authorization"), "{}", listed.out);

    // 5. The authorization link, opened as an operator does.
    let authorized = run_in_shell(step(4, 0), folder.path()).expect(0);
    let link = authorized.out.split_whitespace().find(|word| word.contains("/oauth?")).unwrap();
    let granted = client.get(link).send().await.unwrap();
    let back = granted.headers()["location"].to_str().unwrap().to_owned();
    let page = client.get(at(&serve, &back)).header("accept", "text/html").send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("connected"));

    // 6. The bot continued, through the exit `success`.
    let (reports, _) = parse_curl(step(5, 0));
    let deadline = std::time::Instant::now() + TEST_TIMEOUT;
    loop {
        let report: Value = client.get(reports).send().await.unwrap().json().await.unwrap();
        if report["bots"][0]["exit"] == "success" {
            assert_eq!(report["bots"][0]["continued"], 1);
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{report}");
    }
    serve.settled().await;
    assert_eq!(serve.count("delivered").await, 1);
}
