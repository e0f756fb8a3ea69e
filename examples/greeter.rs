//! A bridge with a handler of its own: it answers `POST /widget_request/greet`.
//!
//! It is configured like the program, with the file that `BRIDGE_CONFIG` names, else
//! `bridge.toml` in the working directory:
//!
//! ```sh
//! BRIDGE_CONFIG=bridge.toml cargo run --example greeter
//! ```

use salesbot_bridge::prelude::*;

struct Greeter;

/// What the widget puts into `data`.
#[derive(Deserialize)]
struct Question {
    name: String,
}

impl Handler for Greeter {
    type Input = Question;

    async fn handle(&self, request: Request<Question>, _: Context) -> Result<Completion, HandlerError> {
        let reply = format!("Hi {}", request.data.name);
        Ok(Completion::success().data("reply", reply).goto(Step::question(1)))
    }
}

#[tokio::main]
async fn main() -> Result<(), bridge::Error> {
    Bridge::from_env()?.handler("greet", Greeter).serve().await
}
