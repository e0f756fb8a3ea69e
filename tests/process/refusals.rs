//! Tests of starts that fail: the exit status, and whether the message says what to do.

use std::fs;
use std::net::TcpListener;

use simulator::{Options, Simulator};

use crate::home::Home;

/// Lines to append to a good configuration of 9 lines, and the texts that stderr must contain.
const BROKEN: &[(&str, &[&str])] = &[
    (
        "server.lisen = \"127.0.0.1:1\"",
        &["bridge.toml:10: server.lisen: unknown key", "did you mean `listen`"],
    ),
    ("server.max_body = \"1MB\"", &["bridge.toml:10: server.max_body: must be a size like"]),
    (
        "server.ack_deadline = \"2m\"",
        &["bridge.toml:10: server.ack_deadline: must be a duration from 1ms to 1m"],
    ),
    ("admin.token = \"two words\"", &["bridge.toml:10: admin.token: contains, as character 4, a space"]),
    (
        "admin.token_file = \"missing.token\"",
        &["bridge.toml:10: admin.token", "missing.token", "cannot be read"],
    ),
    ("workers.concurrency = 0", &["bridge.toml:10: workers.concurrency: must be a whole number from 1"]),
    ("handlers.h.kind = \"parrot\"", &["bridge.toml:10: handlers.h.kind: must be one of `echo`"]),
    (
        "handlers.h.max_attempts = 3",
        &["bridge.toml:10: handlers.h: no one provides this handler", "handlers.h.kind", "echo"],
    ),
    ("log.filter = \"info,a=loud\"", &["bridge.toml:10: log.filter: must be a filter"]),
    (
        "accounts.a = { base_url = \"https://evil.example\", access_token = \"x\" }",
        &["bridge.toml:10: accounts.a.base_url", "delivery.allowed_hosts"],
    ),
    ("this is not toml", &["bridge.toml:10"]),
    (
        "server.max_connections = 0\nworkers.grace = \"x\"",
        &["bridge.toml:10: server.max_connections", "bridge.toml:11: workers.grace"],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_configuration_exits_2_says_why_and_touches_nothing() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    // The port is taken, so a start that reached the listener would exit with 1 instead.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (line, expected) in BROKEN {
        home.configure(&simulator, &home.path("bridge.db"), line);
        let mut command = home.command(&["serve"]);
        command.env("BRIDGE_SERVER__LISTEN", &address);
        let ended = crate::process::run(command).expect(2);
        for words in *expected {
            assert!(ended.err.contains(words), "{line}: no `{words}` in\n{}", ended.err);
        }
        assert_eq!(home.run(&["config", "check"]).expect(2).err, ended.err, "{line}");
        assert_eq!(ended.out, "", "{line}");
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
        assert!(!home.path("bridge.db").exists(), "{line}: the store was created");
    }
}

#[test]
fn serve_does_not_start_without_a_handler() {
    let folder = tempfile::tempdir().unwrap();
    let integration = "[integrations.main]\nclient_uuid = \"11111111-0c1e-4d57-8c6e-2f6f3f1f0d11\"\nclient_secret = \"b\"\n";
    fs::write(folder.path().join("bridge.toml"), integration).unwrap();
    for arguments in [&["serve"][..], &["config", "check"]] {
        let mut command = crate::process::program();
        command.args(arguments).args(["--config", "bridge.toml"]).current_dir(folder.path());
        let ended = crate::process::run(command).expect(2);
        assert!(ended.err.contains("no handler is configured: add [handlers.NAME]"), "{}", ended.err);
    }
}

#[test]
fn serve_does_not_start_without_an_integration() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = crate::process::program();
    command.arg("serve").current_dir(folder.path());
    let ended = crate::process::run(command).expect(2);
    assert!(ended.err.contains("integrations: at least one is needed"), "{}", ended.err);
    let looked_in = format!("no ./bridge.toml in {}", folder.path().display());
    assert!(
        ended.err.contains("no configuration file was read: no --config, no BRIDGE_CONFIG, "),
        "{}",
        ended.err
    );
    assert!(ended.err.contains(&looked_in), "{}", ended.err);
    assert!(ended.err.ends_with("; write one with `init`, or name one with --config"), "{}", ended.err);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    let mut command = crate::process::program();
    command.args(["serve", "--config", "missing.toml"]).current_dir(folder.path());
    let ended = crate::process::run(command).expect(2);
    let named = format!("{}/missing.toml cannot be read: ", folder.path().display());
    assert!(ended.err.contains(&named) && ended.err.contains("there is no such file"), "{}", ended.err);
    assert!(!ended.err.contains("runs as user"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_environment_variable_is_named() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    for (variable, value, expected) in [
        ("BRIDGE_SERVER__LISTEN", "localhost", "BRIDGE_SERVER__LISTEN: server.listen: must be an IP address"),
        ("BRIDGE_SERVER__LISEN", "127.0.0.1:1", "BRIDGE_SERVER__LISEN: server.lisen: unknown key"),
    ] {
        let mut command = home.command(&["serve"]);
        command.env(variable, value);
        let ended = crate::process::run(command).expect(2);
        assert!(ended.err.contains(expected), "{}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_exits_1_and_names_the_key() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (variable, key) in
        [("BRIDGE_SERVER__LISTEN", "server.listen"), ("BRIDGE_ADMIN__LISTEN", "admin.listen")]
    {
        let mut command = home.command(&["serve"]);
        command.env(variable, &address);
        let ended = crate::process::run(command).expect(1);
        assert!(ended.err.contains(&format!("{key}: cannot listen on {address}")), "{}", ended.err);
        assert!(ended.err.ends_with(&format!("stop it, or set {key} to a free port")), "{}", ended.err);
        assert!(!home.path("bridge.db").exists(), "the store is not created");
    }
    home.serve().stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_be_opened_is_named() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let no_database = home.path("letter.db");
    fs::write(&no_database, "Dear database, this is a letter. ".repeat(100)).unwrap();
    let no_folder = home.path("letter.db").join("bridge.db");
    for (store, status) in [(no_database, 2), (no_folder, 1)] {
        home.configure(&simulator, &store, "");
        let ended = home.run(&["serve"]).expect(status);
        let named = format!("cannot open the store {}", store.display());
        assert!(ended.err.contains(&named), "{}", ended.err);
    }
}
