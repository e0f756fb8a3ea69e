//! The smallest bridge with its own handler: it answers `POST /widget_request/greet` with a greeting.
//!
//! The configuration is the file that `BRIDGE_CONFIG` names, or `bridge.toml` in the working directory:
//!
//! ```sh
//! BRIDGE_CONFIG=bridge.toml cargo run --example greeter
//! ```

use salesbot_bridge::prelude::*;

struct Greeter;

/// The request's `data`, as the widget sends it.
#[derive(Deserialize)]
struct Question {
    name: String,
}

impl Handler for Greeter {
    type Input = Question;

    async fn handle(&self, request: Request<Question>, _: Context) -> Result<Completion, HandlerError> {
        // The bot reads the reply as `{{json.reply}}`, and continues at the question of step 1.
        let reply = format!("Hi {}", request.data.name);
        Ok(Completion::success().data("reply", reply).goto(Step::question(1)))
    }
}

#[tokio::main]
async fn main() -> Result<(), bridge::Error> {
    Bridge::from_env()?.handler("greet", Greeter).serve().await
}
