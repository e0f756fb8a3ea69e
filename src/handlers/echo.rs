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
    use kommo::ClientFactory;
    use model::clock::Clock;
    use model::{AccountId, BotType, JobId, Timestamp};

    async fn echoed(data: Value) -> Value {
        let now = Timestamp::default();
        let request = Request {
            data,
            account_id: AccountId(1),
            account_url: "https://a.kommo.com".into(),
            entity: None,
            bot_type: BotType::Salesbot,
            bot_id: 1,
            received_at: now,
        };
        let context = Context {
            job_id: JobId::new(now, 0),
            attempt: 1,
            deadline: now,
            remaining: std::time::Duration::ZERO,
            cancelled: tokio_util::sync::CancellationToken::new(),
            kommo: ClientFactory::offline(Clock::system()).client_at("https://a.kommo.com"),
        };
        let completion = Echo.handle(request, context).await.unwrap().check().unwrap();
        serde_json::from_str::<Value>(completion.as_json()).unwrap()["data"].clone()
    }

    #[tokio::test]
    async fn sends_the_data_back() {
        assert_eq!(echoed(json!({"a": {"b": "c"}})).await, json!({"status": "success", "a": {"b": "c"}}));
        assert_eq!(echoed(json!({"status": "mine"})).await, json!({"status": "mine"}));
        assert_eq!(echoed(json!(null)).await, json!({"status": "success"}));
        assert_eq!(echoed(json!("x")).await, json!({"status": "success", "data": "x"}));
    }
}
