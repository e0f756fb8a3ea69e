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
        Ok(greeting(&request.data))
    }
}

/// The bot reads the reply as `{{json.reply}}`, and continues at the question of step 1.
fn greeting(question: &Question) -> Completion {
    Completion::success().data("reply", format!("Hi {}", question.name)).goto(Step::question(1))
}

#[tokio::main]
async fn main() -> Result<(), bridge::Error> {
    Bridge::from_env()?.handler("greet", Greeter).serve().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greets_by_name() {
        let question = Question { name: "Ann".to_owned() };
        let expected = Completion::success().data("reply", "Hi Ann").goto(Step::question(1));
        assert_eq!(greeting(&question), expected);
    }
}
