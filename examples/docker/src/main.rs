//! A program with every command of the bridge and its own handler, `greet`.

use std::process::ExitCode;

use salesbot_bridge::cli::Program;
use salesbot_bridge::prelude::*;

struct Greeter;

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

fn greeting(question: &Question) -> Completion {
    Completion::success().data("reply", format!("Hi {}", question.name))
}

fn main() -> ExitCode {
    let program = Program::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    program.main(|bridge| bridge.handler("greet", Greeter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greets_by_name() {
        let question = Question { name: "Ann".to_owned() };
        assert_eq!(greeting(&question), Completion::success().data("reply", "Hi Ann"));
    }
}
