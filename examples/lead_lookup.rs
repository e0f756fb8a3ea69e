//! A handler that calls Kommo: it returns the name and the price of the customer's lead.
//!
//! The program has every command of the bridge:
//!
//! ```sh
//! cargo run --example lead_lookup -- serve --config bridge.toml
//! ```

use std::process::ExitCode;

use salesbot_bridge::cli::Program;
use salesbot_bridge::prelude::*;

struct LeadLookup;

/// The fields that the handler reads. Kommo sends many more.
#[derive(Debug, PartialEq, Deserialize)]
struct Lead {
    name: String,
    price: Option<i64>,
}

impl Handler for LeadLookup {
    type Input = Value; // this widget sends no data

    async fn handle(&self, request: Request<Value>, ctx: Context) -> Result<Completion, HandlerError> {
        let id = request.lead_id().ok_or("the bot does not talk about a lead").or_fail()?;
        // `kommo::Error` says whether to retry: yes after a 429 or a 503, no after a 404.
        let lead: Lead = ctx.kommo().get(&format!("/api/v4/leads/{id}")).await?;
        Ok(description(&lead))
    }
}

fn description(lead: &Lead) -> Completion {
    let price = lead.price.map_or_else(|| "not set yet".to_owned(), |price| price.to_string());
    Completion::success().data("lead", &lead.name).data("price", price)
}

fn main() -> ExitCode {
    let program = Program::new("lead-lookup", env!("CARGO_PKG_VERSION"));
    program.main(|bridge| bridge.handler("lead", LeadLookup))
}

#[cfg(test)]
mod tests {
    use super::*;
    use salesbot_bridge::testing::{AssertAnswer, AssertError, TestContext, TestKommo, TestRequest, run};

    #[tokio::test]
    async fn the_lead_is_read_from_kommo() {
        let kommo = TestKommo::start().await;
        kommo.respond("GET /api/v4/leads/5", json!({ "name": "Order 12", "price": 100 }));
        let request = TestRequest::new(json!({})).lead(5);
        let completion = run(&LeadLookup, request, TestContext::new().kommo(&kommo)).await.unwrap();
        completion.assert_data("lead", "Order 12").assert_data("price", "100");
    }

    #[tokio::test]
    async fn only_a_lead_can_be_looked_up() {
        let request = TestRequest::new(json!({})).contact(7);
        run(&LeadLookup, request, TestContext::new()).await.unwrap_err().assert_fail();
    }

    #[test]
    fn description_has_the_name_and_the_price() {
        for (json, price) in [
            (json!({ "id": 7, "name": "Order 12", "price": 100 }), "100"),
            (json!({ "id": 7, "name": "Order 12", "price": null }), "not set yet"),
        ] {
            let lead: Lead = serde_json::from_value(json).unwrap();
            let expected = Completion::success().data("lead", "Order 12").data("price", price);
            assert_eq!(description(&lead), expected);
        }
    }
}
