//! The Kommo client as a separate program uses it, against the simulator: each method and each status of the Widgets
//! API, which calls are retried, and the page `docs/kommo-api.md` that lists all of it.

mod continues;
mod handler;
mod hostile;
mod page;
mod tries;
mod widgets;

use std::time::Duration;

use model::HostRules;
use salesbot_bridge::kommo::{Client, ClientOptions};
use simulator::{ApiCall, Simulator};

use crate::bridge::TEST_TIMEOUT;
use crate::setup::host;

/// A client with the account's long-lived token and a rate so high that it never waits.
fn client(simulator: &Simulator) -> Client {
    with_token(simulator, &simulator.options().access_token)
}

fn with_token(simulator: &Simulator, token: &str) -> Client {
    Client::new(simulator.base_url(), token.into(), options(&[host(simulator)])).unwrap()
}

fn options(hosts: &[&str]) -> ClientOptions {
    ClientOptions {
        rate_per_second: 1_000,
        hosts: HostRules {
            allowed: hosts.iter().map(|host| host.parse().unwrap()).collect(),
            insecure: true,
        },
        timeout: Duration::from_secs(5),
        patience: TEST_TIMEOUT,
        ..ClientOptions::default()
    }
}

/// Method, path and status of each call.
fn calls(simulator: &Simulator) -> Vec<(String, String, Option<u16>)> {
    let summary = |call: ApiCall| (call.method, call.path, call.status);
    simulator.api_calls().into_iter().map(summary).collect()
}

fn call(method: &str, path: &str, status: u16) -> (String, String, Option<u16>) {
    (method.to_owned(), path.to_owned(), Some(status))
}
