//! `GET /simulator/`: what can be asked of the simulator, for who looks at it for the first time.

use http::Method;
use http::request::Parts;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::fault::FAULTS;

/// The control endpoints: method, path, and what each does.
const ENDPOINTS: [(&str, &str, &str); 7] = [
    ("GET", "/simulator/", "this list"),
    ("POST", "/simulator/bots", "starts bots; the body is an order, as `order_of_bots` below"),
    ("GET", "/simulator/bots", "all bots, and what happened to each"),
    ("GET", "/simulator/bots/{id}", "one bot, with the last continue that it took"),
    ("POST", "/simulator/widgets", "takes a widget.zip (Content-Type: application/zip)"),
    ("POST", "/simulator/widgets/{code}", "takes a newer version of that widget"),
    ("GET", "/simulator/widgets", "the widgets that were uploaded"),
];

/// The keys of an order of bots.
const ORDER: [(&str, &str); 9] = [
    ("url", "what the bots ask, as http://127.0.0.1:8080/widget_request/echo; or `widget`"),
    ("data", "with `url`: what they send, any JSON"),
    ("widget", "the code of an uploaded widget, whose steps the bots go through; or `url`"),
    ("handler", "with `widget`: which of its handlers; the first one if absent"),
    ("settings", "with `widget`: the settings of the block; their defaults if absent"),
    ("variables", "with `widget`: values of placeholders, as {\"message_text\":\"hi\",\"lead.id\":\"5\"}"),
    ("faults", "a list of names, one for each attempt to continue the bot: see `faults` below"),
    ("count", "how many bots; 1 if absent, at most 10000"),
    ("body", "how they ask: form (if absent), form-plain, form-json-data or json"),
];

/// Answers what is below `/simulator` and has no endpoint of its own; `rest` is the path after that.
pub(super) fn handle(head: &Parts, rest: &str) -> Answer {
    match (rest, &head.method) {
        ("" | "/", &Method::GET) => answer::json_body(200, &index()),
        ("" | "/", _) => answer::method("GET"),
        _ => answer::refuse(404, "There is nothing at this path; GET /simulator/ lists what there is."),
    }
}

fn index() -> Value {
    let endpoints =
        ENDPOINTS.map(|(method, path, what)| json!({ "method": method, "path": path, "what": what }));
    let named = |(name, what): &(&str, &str)| json!({ "name": name, "what": what });
    let faults: Vec<Value> = FAULTS.iter().map(named).collect();
    let order: Vec<Value> = ORDER.iter().map(named).collect();
    json!({
        "endpoints": endpoints,
        "order_of_bots": order,
        "faults": faults,
        "other_faults": "any other status from 200 to 599",
    })
}
