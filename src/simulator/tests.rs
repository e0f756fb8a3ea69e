//! The simulator as its callers see it, over real connections.

mod continues;
mod control;
mod faults;
mod requests;
mod widgets;

use std::time::Duration;

use serde_json::{Value, json};

use super::{Bot, Options, Plan, Simulator};

/// A client of its own for each test, since connections of a shared one outlive their runtime.
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

/// A continue as a good bridge sends it.
fn to(simulator: &Simulator, bot: &Bot) -> reqwest::RequestBuilder {
    client().post(bot.return_url()).bearer_auth(&simulator.options().access_token)
}

/// Sends a continue and gives the status and the body.
async fn resume(simulator: &Simulator, bot: &Bot, body: Value) -> (u16, Value) {
    let response = to(simulator, bot).json(&body).send().await.unwrap();
    (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}
