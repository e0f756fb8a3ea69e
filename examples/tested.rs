//! A handler with both kinds of test: `cargo test --example tested`.
//!
//! The unit test makes one attempt of the handler, the integration test starts a bridge. Both get a Kommo that is played.

use salesbot_bridge::prelude::*;

/// Tells a customer the price of the lead that the bot talks about.
struct Price;

/// What the widget puts into `data`.
#[derive(Deserialize)]
struct Question {
    currency: String,
}

/// What the handler needs of a lead.
#[derive(Deserialize)]
struct Lead {
    price: i64,
}

impl Handler for Price {
    type Input = Question;

    async fn handle(&self, request: Request<Question>, context: Context) -> Result<Completion, HandlerError> {
        let Some(entity) = request.entity else {
            return Err(HandlerError::fail("the bot talks about no lead"));
        };
        let path = format!("/api/v4/leads/{}", entity.id);
        let lead: Lead = context.kommo().get(&path).await?;
        let text = format!("{} {}", lead.price, request.data.currency);
        Ok(Completion::success().data("price", text).goto(Step::question(1)))
    }
}

#[tokio::main]
async fn main() -> Result<(), bridge::Error> {
    Bridge::from_env()?.handler("price", Price).serve().await
}

#[cfg(test)]
mod tests {
    use salesbot_bridge::testing::{
        AssertAnswer, AssertCalls, AssertError, Fault, Plan, TestBridge, TestContext, TestKommo, TestRequest,
        run,
    };

    use super::*;

    #[tokio::test]
    async fn the_price_has_the_currency_of_the_question() {
        let kommo = TestKommo::start().await;
        kommo.respond("GET /api/v4/leads/5", json!({ "price": 100 }));
        let request = TestRequest::new(json!({ "currency": "EUR" })).lead(5);
        let completion = run(&Price, request, TestContext::new().kommo(&kommo)).await.unwrap();
        completion.assert_data("price", "100 EUR").assert_goto(Step::question(1));
    }

    #[tokio::test]
    async fn a_kommo_that_cannot_be_reached_is_worth_a_retry() {
        let kommo = TestKommo::start().await;
        kommo.respond("GET /api/v4/leads/5", Fault::Reset);
        let request = TestRequest::new(json!({ "currency": "EUR" })).lead(5);
        run(&Price, request, TestContext::new().kommo(&kommo)).await.unwrap_err().assert_retry();
    }

    #[tokio::test]
    async fn a_question_without_a_currency_cannot_be_answered() {
        run(&Price, json!({}), TestContext::new()).await.unwrap_err().assert_fail();
    }

    #[tokio::test]
    async fn a_bot_that_asks_for_the_price_gets_it() {
        let bridge = TestBridge::start(|bridge| bridge.handler("price", Price)).await;
        bridge.kommo().respond("GET /api/v4/leads/5", json!({ "price": 100 }));
        let bot = Plan::with_data(json!({ "currency": "EUR" })).lead(5);
        bridge.answer_to("price", bot).await.assert_data("price", "100 EUR");
        bridge.kommo().assert_called("GET /api/v4/leads/5");
        bridge.stop().await;
    }
}
