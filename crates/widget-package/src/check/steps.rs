//! Checks the steps of a block: they must call the bridge first, and always leave by a declared exit. With a wrong step
//! number a bot loops endlessly; with a step that ends without an exit it hangs.

use serde_json::Value as Json;

use crate::script::MAX_BYTES;

/// The mistakes in `source`, the JSON of a block that declares the exits `codes`.
pub(super) fn complaints(source: &str, codes: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    if source.len() > MAX_BYTES {
        wrong.push(format!("returns {} bytes (limit: {MAX_BYTES})", source.len()));
    }
    let Ok(Json::Array(steps)) = serde_json::from_str::<Json>(source) else {
        wrong.push("must return a JSON array of steps".to_owned());
        return wrong;
    };
    if !steps.iter().all(|step| step["question"].is_array() && step["require"].is_array()) {
        wrong.push("must return steps of the form {\"question\": [handlers], \"require\": []}".to_owned());
    }
    request(&steps, &mut wrong);
    handlers(&Json::Array(steps.clone()), &mut |handler, params| match handler {
        "goto" => {
            let there = params["step"].as_u64().is_some_and(|step| step < steps.len() as u64);
            if params["type"] != "question" || !there {
                wrong.push(format!("has a goto to a step that does not exist: {params}"));
            }
        }
        "exits" if !params["value"].as_str().is_some_and(|code| codes.iter().any(|known| known == code)) => {
            wrong.push(format!("leaves by the exit {}, which is not declared", params["value"]));
        }
        _ => {}
    });
    let last = steps.last().and_then(|step| step["question"].as_array()).and_then(|question| question.last());
    if last.is_none_or(|handler| handler["handler"] != "exits") {
        wrong.push("must end with an exit for every other status".to_owned());
    }
    wrong
}

/// Checks that the first step calls the bridge and then goes to the step that evaluates the completion.
fn request(steps: &[Json], wrong: &mut Vec<String>) {
    let Some(first) = steps.first() else { return };
    let (ask, next) = (&first["question"][0], &first["question"][1]);
    let url = ask["params"]["url"].as_str().unwrap_or_default();
    let calls = url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
    if ask["handler"] != "widget_request" || !calls || !ask["params"]["data"].is_object() {
        wrong.push("must begin with a widget_request that has a url and data".to_owned());
    }
    if next["handler"] != "goto" || next["params"]["step"] != 1 {
        wrong.push("must go to step 1 right after the widget_request".to_owned());
    }
}

/// Calls `visit` for every handler with its parameters, including those within conditions.
fn handlers(value: &Json, visit: &mut impl FnMut(&str, &Json)) {
    match value {
        Json::Array(list) => list.iter().for_each(|value| handlers(value, visit)),
        Json::Object(map) => {
            if let Some(handler) = map.get("handler").and_then(Json::as_str) {
                visit(handler, &value["params"]);
            }
            map.values().for_each(|value| handlers(value, visit));
        }
        _ => {}
    }
}
