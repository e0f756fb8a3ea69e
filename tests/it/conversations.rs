//! Handlers in Rust whose conversations are in order.

use std::sync::{Arc, Mutex};

use salesbot_bridge::prelude::*;
use simulator::Bot;

use crate::handlers::Does;
use crate::played::{continued, kommo, plan};
use crate::setup::Setup;

fn text(data: &Value) -> &str {
    data["message"].as_str().unwrap()
}

/// A bot that talks about lead 5.
fn bot(kommo: &simulator::Simulator, message: &str) -> Bot {
    let mut plan = plan();
    plan.data = json!({ "message": message });
    plan.token.claims.insert("entity_id".to_owned(), json!("5"));
    kommo.bot(plan)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_in_rust_gets_the_messages_of_one_pause_together() {
    let kommo = kommo().await;
    let handler = Does(|request: Request<Value>, _: Context| async move {
        let texts: Vec<&str> = request.inputs().map(text).collect();
        Ok(Completion::success().data("reply", texts.join(" ")).data("earlier", request.earlier.len()))
    });
    let config = "[handlers.talk]\nordering = \"conversation\"\ncoalesce = \"500ms\"";
    let bridge = Setup::with(&[&kommo]).config(config).handler("talk", handler).start().await;
    let bots = ["Hi", "are you", "there?"].map(|message| bot(&kommo, message));
    let mut ids = Vec::new();
    for bot in &bots {
        ids.push(bridge.ask(bot, "talk").await);
    }
    assert_eq!(
        continued(&bots[2]).await.data,
        json!({ "status": "success", "reply": "Hi are you there?", "earlier": 2 })
    );
    for (bot, id) in bots.iter().zip(&ids).take(2) {
        assert_eq!(continued(bot).await.data, json!({ "status": "superseded" }));
        let job = bridge.in_state(id, "delivered").await;
        assert_eq!((&job["joined_into"], &job["outcome"]), (&json!(ids[2]), &json!("handler")));
    }
    let job = bridge.in_state(&ids[2], "delivered").await;
    assert_eq!(job["earlier_data"], json!([{ "message": "Hi" }, { "message": "are you" }]));
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_in_rust_runs_once_at_a_time_for_a_conversation() {
    let kommo = kommo().await;
    let (running, order) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(Vec::new())));
    let handler = {
        let (running, order) = (running.clone(), order.clone());
        Does(move |request: Request<Value>, _: Context| {
            let (running, order) = (running.clone(), order.clone());
            async move {
                *running.lock().unwrap() += 1;
                tokio::task::yield_now().await;
                assert_eq!(std::mem::take(&mut *running.lock().unwrap()), 1);
                order.lock().unwrap().push(text(&request.data).to_owned());
                Ok(Completion::success())
            }
        })
    };
    let config = "handlers.talk.ordering = \"conversation\"";
    let bridge = Setup::with(&[&kommo]).config(config).handler("talk", handler).start().await;
    let bots: Vec<Bot> = (0..10).map(|number| bot(&kommo, &number.to_string())).collect();
    for bot in &bots {
        bridge.ask(bot, "talk").await;
    }
    for bot in &bots {
        continued(bot).await;
    }
    let expected: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    assert_eq!(*order.lock().unwrap(), expected);
    bridge.stop().await;
}
