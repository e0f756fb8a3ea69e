//! Tests of `config …`, `simulate`, `health`, and the command line itself.

use std::fs;
use std::net::SocketAddr;

use serde_json::{Value, json};
use simulator::{Options, Simulator};

use crate::home::Home;
use crate::process::{Process, program, run};

fn without_config(arguments: &[&str]) -> crate::process::Ended {
    let mut command = program();
    command.args(arguments);
    run(command)
}

#[test]
fn the_version_and_the_help_go_to_stdout_and_wrong_usage_exits_2() {
    let version = without_config(&["--version"]).expect(0);
    assert_eq!(version.out, format!("salesbot-bridge {}", env!("CARGO_PKG_VERSION")));
    let help = without_config(&["--help"]).expect(0);
    for command in
        ["serve", "demo", "simulate", "config", "jobs", "accounts", "widget-package", "--config", "--json"]
    {
        assert!(help.out.contains(command), "{command} in\n{}", help.out);
    }
    for wrong in
        [&[][..], &["fly"], &["serve", "--fast"], &["jobs", "show", "no-id"], &["demo", "--requests", "0"]]
    {
        let ended = without_config(wrong).expect(2);
        assert_eq!(ended.out, "", "{wrong:?}");
        assert!(ended.err.contains("Usage") || ended.err.contains("--help"), "{wrong:?}: {}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn config_commands_print_text_and_json_and_mask_secrets() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "admin.token = \"a-token-of-the-admin\"");
    let file = home.config().display().to_string();

    let check = home.run(&["config", "check"]).expect(0);
    assert_eq!(check.out, format!("configuration is valid: {file}"));
    let check = home.run(&["config", "check", "--json"]).expect(0).json();
    assert_eq!(check, json!({ "valid": true, "file": file }));

    let Options { client_secret, access_token, client_uuid, .. } = simulator.options();
    for arguments in [&["config", "show"][..], &["config", "show", "--json"]] {
        let shown = home.run(arguments).expect(0);
        assert!(shown.out.contains(client_uuid), "{}", shown.out);
        for secret in [client_secret, access_token, "a-token-of-the-admin"] {
            assert!(!shown.out.contains(secret) && !shown.err.contains(secret), "{arguments:?}");
        }
    }
    let shown = home.run(&["config", "show"]).expect(0).out;
    let parsed: toml::Table = shown.parse().unwrap();
    assert!(parsed.contains_key("delivery") && parsed.contains_key("workers"), "{shown}");

    let schema = home.run(&["config", "schema"]).expect(0).json();
    assert!(schema["properties"]["server"].is_object(), "{schema}");
    assert_eq!(
        without_config(&["config", "schema"]).expect(0).json(),
        schema,
        "`schema` needs no configuration"
    );

    fs::write(home.config(), "[server]\nlisten = 5\n").unwrap();
    for arguments in [&["config", "check"][..], &["config", "show"], &["config", "check", "--json"]] {
        let refused = home.run(arguments).expect(2);
        assert!(refused.err.contains(&format!("{file}:2: server.listen")), "{}", refused.err);
        assert!(refused.err.contains("integrations: at least one is needed"), "{}", refused.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_runs_with_the_configuration_that_simulate_prints() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program();
    command.args(["simulate", "--listen", "127.0.0.1:0", "--long-lived"]);
    let mut simulator = Process::start(command);
    simulator.out.wait("the last line", |line| line.contains("kind = \"echo\"").then_some(()));
    let base_url = simulator
        .out
        .wait("its address", |line| Some(line.split_once("listens on ")?.1.split(' ').next()?.to_owned()));
    // The configuration must be complete while the simulator still runs, because that is when a bridge uses it.
    let file = folder.path().join("bridge.toml");
    fs::write(&file, simulator.out.so_far()).unwrap();
    let config = |arguments: &[&str]| {
        let mut command = program();
        command.arg("--config").arg(&file).args(arguments).current_dir(folder.path());
        command.env("BRIDGE_SERVER__LISTEN", "127.0.0.1:0").env("BRIDGE_ADMIN__LISTEN", "127.0.0.1:0");
        command
    };
    run(config(&["config", "check"])).expect(0);

    let serve = crate::serve::Serve::start(config(&["serve"]));
    let order = json!({ "url": serve.url("echo"), "data": { "message": "hi" }, "faults": ["500"] });
    let bots = format!("{base_url}/simulator/bots");
    let answer = serve.client.post(&bots).json(&order).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    serve.reaches("delivered", 1).await;
    let reports: Value = serve.client.get(&bots).send().await.unwrap().json().await.unwrap();
    assert_eq!(reports["bots"][0]["continued"], 1, "{reports}");
    serve.stop();
    simulator.signal("TERM");
    simulator.end().expect(0);
}

#[test]
fn simulate_prints_a_valid_configuration_with_a_new_key_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut keys = Vec::new();
    for name in ["one.toml", "two.toml"] {
        let mut command = program();
        command.args(["simulate", "--listen", "127.0.0.1:0", "--bridge", "http://127.0.0.1:18080/"]);
        let mut simulator = Process::start(command);
        simulator.out.wait("the last line", |line| line.contains("kind = \"echo\"").then_some(()));
        let file = folder.path().join(name);
        fs::write(&file, simulator.out.so_far()).unwrap();
        let mut command = program();
        command.arg("--config").arg(&file).args(["config", "check"]);
        run(command).expect(0);
        let printed: toml::Table = fs::read_to_string(&file).unwrap().parse().unwrap();
        let redirect = printed["integrations"]["simulator"]["redirect_uri"].as_str();
        assert_eq!(redirect, Some("http://127.0.0.1:18080/oauth/callback"));
        keys.push(printed["store"]["encryption_key"].as_str().unwrap().to_owned());
        simulator.signal("TERM");
        simulator.end().expect(0);
    }
    assert_ne!(keys[0], keys[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_exits_with_0_only_if_the_bridge_is_ready() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let health = |admin: SocketAddr| {
        let mut command = home.command(&["health"]);
        command.env("BRIDGE_ADMIN__LISTEN", admin.to_string());
        run(command)
    };
    let serve = home.serve();
    health(serve.admin).expect(0);
    let public = health(serve.public).expect(1);
    assert!(public.err.contains("correct admin.listen"), "{}", public.err);
    let admin = serve.admin;
    serve.stop();
    let stopped = health(admin).expect(1);
    assert!(stopped.err.contains("admin.listen"), "{}", stopped.err);
}
