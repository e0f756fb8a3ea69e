//! OAuth from end to end: from a link, or from the installation of a widget, to deliveries that go out, and to
//! disconnected accounts.

mod connects;
mod evil;
mod refuses;
mod revokes;

use std::process::{Command, Output};

use serde_json::Value;
use simulator::{Bot, Simulator};
use url::Url;

use crate::bridge::{TestBridge, client};
use crate::played::{bot, continued};
use crate::setup::Setup;

/// The redirect URI that is registered in Kommo. A test's bridge gets its port late, so tests redirect calls of this URI
/// to it.
const REDIRECT_URI: &str = "http://bridge.test/oauth/callback";
const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// A bridge whose accounts are connected only by OAuth.
fn setup(simulators: &[&Simulator]) -> Setup {
    let setup = Setup::with(simulators).config(&format!(
        "store.encryption_key = \"{KEY}\"\nintegrations.main.redirect_uri = \"{REDIRECT_URI}\""
    ));
    simulators.iter().fold(setup, |setup, simulator| {
        simulator.set_redirect_uri(REDIRECT_URI);
        setup.without_token(simulator)
    })
}

/// Runs the command `accounts …` beside the bridge, as an operator would.
fn accounts(bridge: &TestBridge, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_salesbot-bridge"))
        .env_clear()
        .env("BRIDGE_CONFIG", bridge.folder().path().join("bridge.toml"))
        .arg("accounts")
        .args(arguments)
        .output()
        .unwrap()
}

/// The link from `accounts authorize`.
fn link(bridge: &TestBridge, kommo: &Simulator) -> String {
    let output = accounts(bridge, &["authorize", "--json", "--site", kommo.base_url()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    printed["link"].as_str().unwrap().to_owned()
}

/// The address to which Kommo redirects the browser of an operator who opens the link.
async fn follow(link: &str) -> String {
    let response = client().get(link).send().await.unwrap();
    assert_eq!(response.status(), 302);
    response.headers()["location"].to_str().unwrap().to_owned()
}

/// The callback with the bridge's address instead of the redirect URI's.
fn at(bridge: &TestBridge, callback: &str) -> Url {
    let mut url: Url = callback.parse().unwrap();
    let (host, port) = bridge.address().split_once(':').unwrap();
    url.set_host(Some(host)).unwrap();
    url.set_port(Some(port.parse().unwrap())).unwrap();
    url
}

/// Sends a callback to the bridge. Returns the status and the JSON of its answer.
async fn call_back(bridge: &TestBridge, callback: &str) -> (u16, Value) {
    let response = bridge.client.get(at(bridge, callback)).send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

/// Connects the account by a link, as an operator would.
async fn connect(bridge: &TestBridge, kommo: &Simulator) {
    let (status, body) = call_back(bridge, &follow(&link(bridge, kommo)).await).await;
    assert_eq!(status, 200, "{body}");
}

/// Checks that a bot of the account is continued.
async fn check_continue(bridge: &TestBridge, kommo: &Simulator) {
    let bot: Bot = bot(kommo);
    bridge.ask(&bot, "echo").await;
    continued(&bot).await;
}

/// `callback` with `value` for `key`, or without the key if the value is empty.
fn changed(callback: &str, key: &str, value: &str) -> String {
    let mut url: Url = callback.parse().unwrap();
    let kept: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(known, _)| known != key).collect();
    let more = Some((key.to_owned(), value.to_owned())).filter(|(_, value)| !value.is_empty());
    url.query_pairs_mut().clear().extend_pairs(kept.into_iter().chain(more));
    url.into()
}
