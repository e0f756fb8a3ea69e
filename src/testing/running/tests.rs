//! Bridges whose start or stop goes wrong.

use std::path::Path;
use std::sync::mpsc;

use futures_util::FutureExt;

use super::*;
use crate::config::Config;
use crate::handler::{Context, Handler, HandlerError, Request};
use crate::testing::{Plan, TEST_TIMEOUT, TestBridge, manual_clock};
use model::Completion;

/// Reports its first run, and never answers.
struct Hangs(mpsc::SyncSender<()>);

impl Handler for Hangs {
    type Input = serde_json::Value;

    async fn handle(&self, _: Request<Self::Input>, _: Context) -> Result<Completion, HandlerError> {
        self.0.try_send(()).ok();
        std::future::pending().await
    }
}

/// The handler, and what receives its first run and is disconnected when the handler is dropped.
fn hangs() -> (Hangs, mpsc::Receiver<()>) {
    let (runs, has_run) = mpsc::sync_channel(1);
    (Hangs(runs), has_run)
}

/// A bridge in `folder` with this handler.
fn bridge(folder: &Path, handler: Hangs) -> Bridge {
    let store = format!("sqlite:{}", folder.join("bridge.db").display());
    let config = Config::from_toml(&format!(
        r#"
        store.url = {store:?}
        server.listen = "127.0.0.1:0"
        admin.listen = "127.0.0.1:0"
        integrations.main = {{ client_uuid = "9b2cf3a5-0c1e-4d57-8c6e-2f6f3f1f0d11", client_secret = "kX2vZb7Qm4tR9wYc" }}
        "#
    ));
    Bridge::new(config.unwrap()).handler("hangs", handler)
}

#[tokio::test]
async fn bridge_ends_if_the_test_does_not_wait_for_its_start() {
    let folder = tempfile::tempdir().unwrap();
    let dropped = loop {
        let (handler, dropped) = hangs();
        match Running::start(bridge(folder.path(), handler), TEST_TIMEOUT).now_or_never() {
            None => break dropped,
            // The thread was so fast that there was nothing to wait for.
            Some(mut running) => {
                running.shutdown.force();
                running.join().expect("the bridge panicked");
            }
        }
    };
    assert_eq!(
        dropped.recv_timeout(TEST_TIMEOUT),
        Err(RecvTimeoutError::Disconnected),
        "the bridge still runs"
    );
}

#[tokio::test]
async fn bridge_that_does_not_stop_in_time_is_forced_to() {
    let (handler, has_run) = hangs();
    let builder = TestBridge::builder().handlers(|bridge| bridge.handler("hangs", handler));
    let mut bridge = builder.clock(manual_clock().clock()).start().await;
    bridge.ask(&bridge.kommo().bot(Plan::from(serde_json::json!({}))), "hangs").await;
    has_run.recv_timeout(TEST_TIMEOUT).unwrap();
    // Nothing advances the clock, so the grace never ends.
    bridge.ask_to_stop();
    let mut running = bridge.running.take();
    running.limit = Duration::from_millis(50);
    let problems = running.join().expect("the bridge panicked").problems();
    for part in ["has not stopped within 50ms", "With a manual clock", "is queued: handler hangs"] {
        assert!(problems.contains(part), "{part}: {problems}");
    }
}
