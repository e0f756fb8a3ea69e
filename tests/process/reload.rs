//! Tests of SIGHUP, which makes a running bridge reread its secret files.

use std::fs;

use reqwest::StatusCode;
use serde_json::{Value, json};
use simulator::{Options, Plan, Simulator};

use crate::TEST_TIMEOUT;
use crate::home::Home;
use crate::serve::Serve;

/// Waits for the log line about SIGHUP number `number`, counted from 1.
fn reloaded(serve: &Serve, number: usize) -> Value {
    let deadline = std::time::Instant::now() + TEST_TIMEOUT;
    loop {
        let text = serve.process.err.so_far();
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let is_reload = |event: &Value| event["message"] == "SIGHUP: secret files read again";
        if let Some(event) = events.filter(is_reload).nth(number - 1) {
            return event;
        }
        assert!(std::time::Instant::now() < deadline, "no log line about SIGHUP {number}:\n{text}");
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_applies_new_secrets_and_an_unusable_file_changes_nothing() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let Options { client_secret, access_token, client_uuid, .. } = simulator.options();
    let write = |name: &str, text: &str| fs::write(home.path(name), format!("{text}\n")).unwrap();
    write("client.secret", "the-old-secret");
    write("account.token", "the-old-token");
    write("admin.token", "the-old-admin");
    write("admin.read.token", "the-old-reader");
    write("store.key", &format!("{}=", "A".repeat(43)));
    let host = simulator.base_url();
    let text = format!(
        r#"server.listen = "127.0.0.1:0"
        admin = {{ listen = "127.0.0.1:0", token_file = "admin.token", read_token_file = "admin.read.token" }}
        store = {{ url = "sqlite:{store}", encryption_key_file = "store.key" }}
        integrations.main = {{ client_uuid = "{client_uuid}", client_secret_file = "client.secret" }}
        accounts.main = {{ base_url = "{host}", access_token_file = "account.token" }}
        handlers.echo = {{ kind = "echo" }}
        delivery = {{ allowed_hosts = ["{bare}"], insecure = true }}"#,
        store = home.path("bridge.db").display(),
        bare = host.trim_start_matches("http://"),
    );
    fs::write(home.config(), text).unwrap();
    let mut serve = home.serve();
    let admin = async |token: &str| {
        let url = format!("http://{}/metrics", serve.admin);
        serve.client.get(url).bearer_auth(token).send().await.unwrap().status()
    };
    let bot = || simulator.bot(Plan::with_data(json!({ "n": "1" })));
    assert_eq!(
        bot().call(&serve.url("echo")).await.unwrap().status,
        401,
        "the request is signed with the new secret"
    );

    // First change only the client secret. The account's token is still the old one, so its continue waits.
    write("client.secret", client_secret);
    serve.process.signal("HUP");
    let reload = reloaded(&serve, 1);
    assert_eq!(
        (&reload["changed"], &reload["unchanged"]),
        (&json!("integrations.main.client_secret"), &json!(4))
    );
    let waiting = bot();
    assert_eq!(waiting.call(&serve.url("echo")).await.unwrap().status, 200);
    serve
        .process
        .err
        .wait("the account waits", |line| line.contains("operator action required").then_some(()));

    write("account.token", access_token);
    write("admin.token", "the-new-admin");
    write("store.key", &format!("{}=", "B".repeat(42) + "A"));
    assert_eq!(admin("the-old-admin").await, StatusCode::OK);
    serve.process.signal("HUP");
    let reload = reloaded(&serve, 2);
    assert_eq!(reload["changed"], "admin.token, accounts.main.access_token");
    assert_eq!(reload["restart"], 1, "the key of the store needs a restart: {reload}");
    tokio::time::timeout(TEST_TIMEOUT, waiting.continued()).await.unwrap();
    assert_eq!(admin("the-old-admin").await, StatusCode::UNAUTHORIZED);
    assert_eq!(admin("the-new-admin").await, StatusCode::OK);

    // Both tokens change places at once. Then the read token becomes equal to the full one, and stays as it was.
    write("admin.token", "the-old-reader");
    write("admin.read.token", "the-new-admin");
    serve.process.signal("HUP");
    assert_eq!(reloaded(&serve, 3)["changed"], "admin.token, admin.read_token");
    let retry = async |token: &str| {
        let url = format!("http://{}/api/v1/jobs/retry", serve.admin);
        let request = serve.client.post(url).bearer_auth(token).body(r#"{"state":"dead"}"#);
        request.send().await.unwrap().status()
    };
    assert_eq!(retry("the-old-reader").await, StatusCode::OK);
    assert_eq!(retry("the-new-admin").await, StatusCode::FORBIDDEN);
    write("admin.read.token", "the-old-reader");
    serve.process.signal("HUP");
    let reload = reloaded(&serve, 4);
    assert_eq!((&reload["changed"], &reload["failed"]), (&json!(""), &json!(1)));
    assert_eq!(
        (admin("the-new-admin").await, retry("the-old-reader").await),
        (StatusCode::OK, StatusCode::OK)
    );
    write("admin.token", "the-new-admin");
    serve.process.signal("HUP");
    assert_eq!(reloaded(&serve, 5)["changed"], "admin.token, admin.read_token");

    // A file with a byte order mark, a missing file, and a token that no header can carry: the old secrets stay in effect.
    write("client.secret", &format!("\u{feff}{client_secret}"));
    fs::remove_file(home.path("account.token")).unwrap();
    write("admin.token", "two words");
    serve.process.signal("HUP");
    assert_eq!(reloaded(&serve, 6)["failed"], 3);
    let more = bot();
    assert_eq!(more.call(&serve.url("echo")).await.unwrap().status, 200);
    tokio::time::timeout(TEST_TIMEOUT, more.continued()).await.unwrap();
    assert_eq!(admin("the-new-admin").await, StatusCode::OK);

    serve.process.signal("TERM");
    let ended = serve.process.end().expect(0);
    for (key, file) in [
        ("integrations.main.client_secret", "client.secret"),
        ("accounts.main.access_token", "account.token"),
        ("admin.token", "admin.token"),
        ("admin.read_token", "admin.read.token"),
    ] {
        let named = |line: &&str| line.contains("\"ERROR\"") && line.contains(key) && line.contains(file);
        assert!(ended.err.lines().any(|line| named(&line)), "{key}: {}", ended.err);
    }
    for secret in ["the-old", "the-new", "two words", client_secret, access_token, "BBBB"] {
        assert!(!ended.err.contains(secret), "the log contains {secret}");
    }
}
