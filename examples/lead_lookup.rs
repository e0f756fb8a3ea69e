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
use salesbot_bridge::{Entity, EntityKind};

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
        let id = lead_id(request.entity).or_fail()?;
        // `kommo::Error` says whether to retry: yes after a 429 or a 503, no after a 404.
        let lead: Lead = ctx.kommo().get(&format!("/api/v4/leads/{id}")).await?;
        Ok(description(&lead))
    }
}

fn lead_id(entity: Option<Entity>) -> Result<i64, String> {
    match entity {
        Some(Entity { kind: EntityKind::Lead, id }) => Ok(id),
        Some(other) => Err(format!("the bot talks about {other}, not about a lead")),
        None => Err("the request names no lead".to_owned()),
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

    #[test]
    fn only_a_lead_can_be_looked_up() {
        let entity = |kind| Some(Entity { kind, id: 7 });
        assert_eq!(lead_id(entity(EntityKind::Lead)), Ok(7));
        assert_eq!(
            lead_id(entity(EntityKind::Contact)).unwrap_err(),
            "the bot talks about contact 7, not about a lead"
        );
        assert!(lead_id(None).is_err());
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
