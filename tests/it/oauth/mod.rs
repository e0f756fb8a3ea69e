//! Accounts that an operator connects: the whole way from a link, or from the installation of a widget, to deliveries that
//! go out, and back to an account that is disconnected.

mod connects;
mod evil;
mod refuses;
mod revokes;

use std::process::{Command, Output};

use salesbot_bridge::simulator::{Bot, Simulator};
use serde_json::Value;
use url::Url;

use crate::bridge::{TestBridge, client};
use crate::played::{bot, continued};
use crate::setup::Setup;

/// As it stands in Kommo. A test's bridge learns its port late, so the tests lead from there to it.
const REDIRECT_URI: &str = "http://bridge.test/oauth/callback";
const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// A bridge whose accounts are connected by OAuth alone.
fn setup(simulators: &[&Simulator]) -> Setup {
    let setup = Setup::with(simulators).config(&format!(
        "store.encryption_key = \"{KEY}\"\nintegrations.main.redirect_uri = \"{REDIRECT_URI}\""
    ));
    simulators.iter().fold(setup, |setup, simulator| {
        simulator.set_redirect_uri(REDIRECT_URI);
        setup.without_token(simulator)
    })
}

/// `accounts …`, run beside the bridge as an operator runs it.
fn accounts(bridge: &TestBridge, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_salesbot-bridge"))
        .env_clear()
        .env("BRIDGE_CONFIG", bridge.folder().path().join("bridge.toml"))
        .arg("accounts")
        .args(arguments)
        .output()
        .unwrap()
}

/// The link of `accounts authorize`.
fn link(bridge: &TestBridge, kommo: &Simulator) -> String {
    let told = accounts(bridge, &["authorize", "--json", "--site", kommo.base_url()]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    told["link"].as_str().unwrap().to_owned()
}

/// Where Kommo sends the browser of an operator who opens the link.
async fn follow(link: &str) -> String {
    let response = client().get(link).send().await.unwrap();
    assert_eq!(response.status(), 302);
    response.headers()["location"].to_str().unwrap().to_owned()
}

/// The same call at the bridge: where the redirect URI leads.
fn at(bridge: &TestBridge, callback: &str) -> Url {
    let mut url: Url = callback.parse().unwrap();
    let (host, port) = bridge.address().split_once(':').unwrap();
    url.set_host(Some(host)).unwrap();
    url.set_port(Some(port.parse().unwrap())).unwrap();
    url
}

/// What the bridge answers to a callback.
async fn call_back(bridge: &TestBridge, callback: &str) -> (u16, Value) {
    let response = bridge.client.get(at(bridge, callback)).send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

/// An operator connects the account by a link.
async fn connect(bridge: &TestBridge, kommo: &Simulator) {
    let (status, body) = call_back(bridge, &follow(&link(bridge, kommo)).await).await;
    assert_eq!(status, 200, "{body}");
}

/// The account's bots are continued.
async fn goes_on(bridge: &TestBridge, kommo: &Simulator) {
    let bot: Bot = bot(kommo);
    bridge.ask(&bot, "echo").await;
    continued(&bot).await;
}

/// `callback` with `value` for `key`; without the key if the value is empty.
fn changed(callback: &str, key: &str, value: &str) -> String {
    let mut url: Url = callback.parse().unwrap();
    let kept: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(known, _)| known != key).collect();
    let more = Some((key.to_owned(), value.to_owned())).filter(|(_, value)| !value.is_empty());
    url.query_pairs_mut().clear().extend_pairs(kept.into_iter().chain(more));
    url.into()
}
