//! What a bot got, as its customer and its designer see it.

use serde::Serialize;
use serde_json::Value;

use simulator::Continue;

/// The continue of a bot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Answer {
    /// `handler` or `fallback`.
    pub(super) outcome: String,
    /// The messages that the bot shows to the customer.
    pub(super) shown: Vec<Shown>,
    /// `data`: what the bot reads as `{{json.…}}`.
    pub(super) data: Value,
    /// Where the bot goes next, if the continue says so.
    pub(super) goto: Option<String>,
}

/// A message to the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) buttons: Vec<String>,
}

impl Answer {
    /// The answer in `with`. `said` are the texts of its messages, with all placeholders resolved.
    pub(super) fn new(with: &Continue, said: Vec<String>, outcome: &str) -> Self {
        let handlers = || with.execute_handlers.iter().flatten();
        let shows = handlers()
            .filter(|entry| entry["handler"] == "show" && entry["params"]["value"].is_string())
            .map(|entry| buttons(&entry["params"]["buttons"]));
        let shown = said.into_iter().zip(shows).map(|(text, buttons)| Shown { text, buttons });
        let goto = handlers().find(|entry| entry["handler"] == "goto").map(|entry| step(&entry["params"]));
        Self { outcome: outcome.to_owned(), shown: shown.collect(), data: with.data.clone(), goto }
    }

    /// Whether the bot got the handler's answer.
    pub(super) fn is_of_handler(&self) -> bool {
        self.outcome == "handler"
    }
}

fn buttons(list: &Value) -> Vec<String> {
    let text = |button: &Value| button.as_str().or(button["text"].as_str()).map(str::to_owned);
    list.as_array().into_iter().flatten().filter_map(text).collect()
}

/// `question 1`, or `finish`.
fn step(params: &Value) -> String {
    let kind = params["type"].as_str().unwrap_or_default();
    match &params["step"] {
        Value::Null => kind.to_owned(),
        step => format!("{kind} {step}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn messages_have_their_buttons() {
        let with = Continue {
            at: Duration::ZERO,
            data: json!({ "status": "success" }),
            execute_handlers: Some(vec![
                json!({ "handler": "show", "params": { "type": "text", "value": "Hi {{json.name}}" } }),
                json!({ "handler": "show", "params": { "type": "buttons", "value": "Sure?", "buttons": ["Yes", "No"] } }),
                json!({ "handler": "show", "params": { "type": "buttons_url", "value": "See", "buttons": [{ "text": "Shop", "url": "https://a.example" }] } }),
                json!({ "handler": "goto", "params": { "type": "question", "step": 2 } }),
            ]),
        };
        let said = ["Hi Ann", "Sure?", "See"].map(str::to_owned).to_vec();
        let answer = Answer::new(&with, said, "handler");
        let shown: Vec<(&str, Vec<&str>)> = answer
            .shown
            .iter()
            .map(|shown| (shown.text.as_str(), shown.buttons.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(shown, [("Hi Ann", vec![]), ("Sure?", vec!["Yes", "No"]), ("See", vec!["Shop"])]);
        assert_eq!(answer.goto.as_deref(), Some("question 2"));
    }

    #[test]
    fn data_alone_shows_nothing() {
        let with = Continue { at: Duration::ZERO, data: json!({ "reply": "Hi" }), execute_handlers: None };
        let answer = Answer::new(&with, Vec::new(), "fallback");
        assert_eq!((answer.shown.len(), answer.goto.as_deref()), (0, None));
        assert!(!answer.is_of_handler());
    }
}
