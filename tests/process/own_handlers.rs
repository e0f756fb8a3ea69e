//! A bridge with misbehaving handlers. It is this test binary, started as a child process.

use std::env;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use salesbot_bridge::prelude::*;
use serde_json::Value;

use crate::process::undisturbed;
use crate::rig::handlers;

const SERVE_VARIABLE: &str = "PROCESS_TESTS_SERVE";

/// A command that runs this test binary as a bridge with this configuration. Its handlers are `wait`, `block`, `abort`,
/// `panic`, `log`, and those of the crash rig.
pub fn program(config: &Path) -> Command {
    let mut command = undisturbed(Command::new(env::current_exe().unwrap()));
    command.args(["--exact", "own_handlers::serves_if_the_environment_asks_for_it", "--nocapture"]);
    command.env(SERVE_VARIABLE, "1").env("BRIDGE_CONFIG", config);
    command
}

/// Returns the request's data after `ms` milliseconds, like a handler that calls a slow service.
struct Wait;

impl Handler for Wait {
    type Input = serde_json::Map<String, Value>;

    async fn handle(&self, request: Request<Self::Input>, _: Context) -> Result<Completion, HandlerError> {
        let ms = request.data.get("ms").and_then(Value::as_str).unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(ms.parse().map_err(HandlerError::fail)?)).await;
        Ok(request.data.into_iter().fold(Completion::success(), |done, (key, value)| done.data(key, value)))
    }
}

/// Blocks its thread forever.
struct Block;

impl Handler for Block {
    type Input = Value;

    async fn handle(&self, _: Request<Value>, _: Context) -> Result<Completion, HandlerError> {
        loop {
            thread::park();
        }
    }
}

/// Panics. If the data has the key `quote`, the message contains the whole request.
struct Panic;

impl Handler for Panic {
    type Input = Value;

    async fn handle(&self, request: Request<Value>, _: Context) -> Result<Completion, HandlerError> {
        assert!(request.data.get("quote").is_none(), "{request:?}: {}", request.data);
        panic!("a handler that panics")
    }
}

/// Writes one line to the log.
struct Log;

impl Handler for Log {
    type Input = Value;

    async fn handle(&self, _: Request<Value>, _: Context) -> Result<Completion, HandlerError> {
        tracing::info!("a line of the handler");
        Ok(Completion::success())
    }
}

/// Aborts the whole process.
struct Abort;

impl Handler for Abort {
    type Input = Value;

    async fn handle(&self, _: Request<Value>, _: Context) -> Result<Completion, HandlerError> {
        std::process::abort()
    }
}

#[test]
fn serves_if_the_environment_asks_for_it() {
    if env::var_os(SERVE_VARIABLE).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let served = runtime.block_on(async {
        let bridge = Bridge::from_env()?;
        let bridge = bridge.handler("wait", Wait).handler("block", Block).handler("abort", Abort);
        let bridge = bridge.handler("panic", Panic).handler("log", Log);
        handlers::register(bridge).serve().await
    });
    runtime.shutdown_background();
    served.unwrap();
}
