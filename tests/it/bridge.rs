//! The test kit's bridge, and what only these tests need: raw requests and operator actions.

use std::ops::Deref;
use std::time::Instant;

use reqwest::{Client, Response};
use salesbot_bridge::testing;
use salesbot_bridge::testing::{TestBridgeBuilder, TestFolder};
use serde_json::{Value, json};

pub use salesbot_bridge::testing::TEST_TIMEOUT;

/// A running bridge.
pub struct TestBridge {
    bridge: testing::TestBridge,
    address: String,
    pub client: Client,
}

impl TestBridge {
    pub fn builder() -> TestBridgeBuilder {
        testing::TestBridge::builder()
    }

    pub fn new(bridge: testing::TestBridge) -> Self {
        let url = bridge.url("");
        let address = url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
        Self { bridge, address, client: client() }
    }

    /// Allows unfinished jobs at the end of this bridge.
    pub fn leaves_jobs(self) -> Self {
        Self { bridge: self.bridge.allow_unfinished_jobs(), ..self }
    }

    /// `127.0.0.1:PORT` of the public listener.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub async fn post(&self, handler: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self.client.post(self.url(handler)).header("content-type", content_type);
        request.body(body).send().await.unwrap()
    }

    /// `POST` to the admin listener: status and JSON.
    pub async fn admin_post(&self, path: &str, body: &Value) -> (u16, Value) {
        let response = self.client.post(self.admin_url(path)).json(body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    pub async fn ready(&self) -> (u16, Value) {
        self.get("/health/ready").await
    }

    /// Changes a job as an operator does: `retry` or `cancel`.
    pub async fn operator(&self, id: &str, action: &str) -> (u16, Value) {
        self.admin_post(&format!("/api/v1/jobs/{id}/{action}"), &json!({})).await
    }

    /// Waits until `/health/ready` says that this account waits for an operator. Returns the reason.
    pub async fn waiting(&self, host: &str) -> String {
        let limit = Instant::now() + TEST_TIMEOUT;
        loop {
            let (_, ready) = self.ready().await;
            let entry =
                ready["waiting"].as_array().and_then(|all| all.iter().find(|one| one["account"] == host));
            if let Some(entry) = entry {
                return entry["why"].as_str().unwrap().to_owned();
            }
            assert!(Instant::now() < limit, "the account does not wait: {ready}");
        }
    }

    /// Stops the bridge. Returns its folder, for the next one.
    pub async fn stop(self) -> TestFolder {
        self.bridge.stop().await
    }
}

impl Deref for TestBridge {
    type Target = testing::TestBridge;

    fn deref(&self) -> &testing::TestBridge {
        &self.bridge
    }
}

/// A client without redirects, proxies and retries.
pub fn client() -> Client {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .tls_certs_only([])
        .timeout(TEST_TIMEOUT)
        .build()
        .unwrap()
}
