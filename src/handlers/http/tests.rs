//! The whole handler, with a tool on this machine.

mod conversations;
mod reach;
mod requests;
mod responses;
mod tool;
mod trial;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::handler::{CallbackUrls, Notes};
use crate::testing::TestContext;
use model::clock::ManualClock;
use model::{AccountId, Entity, EntityKind, Outgoing};
use tool::Tool;

/// The secret of the handlers in these tests.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A configuration without secrets.
fn config(url: &str) -> HttpHandlerConfig {
    HttpHandlerConfig {
        url: url.parse().unwrap(),
        secret: None,
        previous_secret: None,
        auth: None,
        preset: Preset::Bridge,
        mode: Mode::Auto,
        concurrency: 64,
        max_awaiting: 10_000,
        outgoing: Outgoing::default(),
    }
}

/// A handler with a clock that does not move.
struct Fixture {
    handler: HttpHandler,
    secrets: HttpSecrets,
    time: ManualClock,
    notes: Arc<Mutex<Vec<String>>>,
    has_callbacks: bool,
}

impl Fixture {
    fn new(config: &HttpHandlerConfig) -> Self {
        Self::watched(config, None)
    }

    fn watched(config: &HttpHandlerConfig, watch: Option<CallWatch>) -> Self {
        test_log::prepare();
        let time = ManualClock::new(Timestamp::from_millis(1_796_000_000_500));
        let secrets = HttpSecrets::new(config);
        let name = "assistant".parse().unwrap();
        let policy = HandlerPolicy::default();
        let handler =
            HttpHandler::new(name, config, secrets.clone(), &policy, time.clock(), None, watch).unwrap();
        Self { handler, secrets, time, notes: Arc::default(), has_callbacks: true }
    }

    /// The handler of `tool`, with callbacks.
    fn of(tool: &Tool) -> Self {
        Self::new(&config(&tool.url))
    }

    fn with_preset(tool: &Tool, preset: Preset) -> Self {
        Self::new(&HttpHandlerConfig { preset, ..config(&tool.url) })
    }

    fn context(&self, attempt: u32) -> Context {
        let context = TestContext::new().attempt(attempt).clock(self.time.clock());
        let mut context = context.time_limit(Duration::from_secs(20)).build();
        let base = self.has_callbacks.then(|| "https://bots.example.com/bridge".parse().unwrap());
        context.callbacks = Arc::new(CallbackUrls::new(base, [7; 32]));
        let notes = self.notes.clone();
        context.notes = Notes::new(move |_, text| notes.lock().unwrap().push(text));
        context
    }

    async fn run(&self) -> Result<Completion, HandlerError> {
        self.attempt(1).await
    }

    async fn attempt(&self, number: u32) -> Result<Completion, HandlerError> {
        let request = request(json!({ "message": "Hi" }));
        self.handler.run(&request, ReceivedAt(self.time.now()), self.context(number)).await
    }

    fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }
}

fn request(data: Value) -> WidgetRequest {
    WidgetRequest {
        account_id: AccountId(31_764_961),
        entity: Some(Entity { kind: EntityKind::Lead, id: 345 }),
        return_url: "https://example.kommo.com/api/v4/salesbot/12/continue/99".parse().unwrap(),
        data,
        earlier: Vec::new(),
    }
}

/// The data that the bot gets.
fn data_of(result: Result<Completion, HandlerError>) -> Value {
    let checked = result.unwrap().check().unwrap();
    let body: Value = serde_json::from_str(checked.as_json()).unwrap();
    body["data"].clone()
}
