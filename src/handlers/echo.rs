//! `echo`: sends the request's data back to the bot.

use serde_json::Value;

use crate::handler::{Context, Handler, HandlerError, Request};
use model::Completion;

/// Sends the request's data back, with `status = "success"` unless the data has its own `status`. Data that is not an
/// object comes back under the key `data`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl Handler for Echo {
    type Input = Value;

    async fn handle(&self, request: Request<Value>, _: Context) -> Result<Completion, HandlerError> {
        let success = Completion::success();
        Ok(match request.data {
            Value::Null => success,
            Value::Object(map) => {
                map.into_iter().fold(success, |answer, (key, value)| answer.data(key, value))
            }
            other => success.data("data", other),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{AssertAnswer, TestContext, run};

    async fn assert_echo(data: Value, expected: Value) {
        let completion = run(&Echo, data, TestContext::new()).await.unwrap();
        completion.assert_all_data(expected).assert_no_instructions();
    }

    #[tokio::test]
    async fn sends_the_data_back() {
        assert_echo(json!({ "a": { "b": "c" } }), json!({ "status": "success", "a": { "b": "c" } })).await;
        assert_echo(json!({ "status": "mine" }), json!({ "status": "mine" })).await;
        assert_echo(json!(null), json!({ "status": "success" })).await;
        assert_echo(json!("x"), json!({ "status": "success", "data": "x" })).await;
    }
}
