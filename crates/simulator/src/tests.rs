//! Tests of the simulator over real connections.

mod canned;
mod continues;
mod control;
mod faults;
mod moved;
mod oauth;
mod package;
mod refresh;
mod requests;
mod widget_bots;
mod widgets;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{Bot, Options, Plan, Simulator, TimeSource};

/// Creates a client for one test: the connections of a shared client would outlive the test's runtime.
fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    builder
        .retry(reqwest::retry::never())
        .tls_certs_only([])
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap()
}

async fn simulator() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

fn ordinary() -> Plan {
    Plan::with_data(json!({ "message": "hi" }))
}

/// A continue as a correct bridge sends it.
fn to(simulator: &Simulator, bot: &Bot) -> reqwest::RequestBuilder {
    client().post(bot.return_url()).bearer_auth(&simulator.options().access_token)
}

/// Sends a continue and returns the status and body of the response.
async fn resume(simulator: &Simulator, bot: &Bot, body: Value) -> (u16, Value) {
    let response = to(simulator, bot).json(&body).send().await.unwrap();
    (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}

/// A clock that reads whole seconds, and the number of seconds, which the test can advance.
fn adjustable_clock() -> (TimeSource, Arc<AtomicU64>) {
    let seconds = Arc::new(AtomicU64::new(1_700_000_000));
    let read = seconds.clone();
    let read_clock = move || UNIX_EPOCH + Duration::from_secs(read.load(Ordering::Relaxed));
    (TimeSource::new(read_clock), seconds)
}

/// Sends a token request with the right client id and secret, overridden by the keys of `with`.
async fn tokens(simulator: &Simulator, with: Value) -> (u16, Value) {
    let options = simulator.options();
    let mut body = json!({ "client_id": options.client_uuid, "client_secret": options.client_secret,
        "redirect_uri": options.redirect_uri });
    for (key, value) in with.as_object().unwrap() {
        body[key] = value.clone();
    }
    let url = format!("{}/oauth2/access_token", simulator.base_url());
    let response = client().post(url).json(&body).send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}

async fn refresh(simulator: &Simulator, token: &str) -> (u16, Value) {
    tokens(simulator, json!({ "grant_type": "refresh_token", "refresh_token": token })).await
}

/// The status of an API call with this bearer.
async fn status_with(simulator: &Simulator, bearer: &str) -> u16 {
    let url = format!("{}/api/v4/account", simulator.base_url());
    client().get(url).bearer_auth(bearer).send().await.unwrap().status().as_u16()
}
