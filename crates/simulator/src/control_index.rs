//! `GET /simulator/`: an overview of the control endpoints, for a first look.

use http::Method;
use http::request::Parts;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::fault::FAULTS;

/// The control endpoints: method, path, and what each does.
const ENDPOINTS: [(&str, &str, &str); 7] = [
    ("GET", "/simulator/", "this list"),
    ("POST", "/simulator/bots", "starts bots; the body is an order, see `order_of_bots` below"),
    ("GET", "/simulator/bots", "all bots, and what happened to each"),
    ("GET", "/simulator/bots/{id}", "one bot, with its last continue"),
    ("POST", "/simulator/widgets", "uploads a widget.zip (Content-Type: application/zip)"),
    ("POST", "/simulator/widgets/{code}", "uploads a newer version of that widget"),
    ("GET", "/simulator/widgets", "the uploaded widgets"),
];

/// The keys of an order for bots.
const ORDER: [(&str, &str); 9] = [
    ("url", "the address that the bots call, like http://127.0.0.1:8080/widget_request/echo; or `widget`"),
    ("data", "with `url`: the JSON that the bots send"),
    ("widget", "the code of an uploaded widget: the bots run its steps; or `url`"),
    ("handler", "with `widget`: the code of a handler (default: the first)"),
    ("settings", "with `widget`: settings of the block (default: those of the widget)"),
    ("variables", "with `widget`: values of placeholders, like {\"message_text\":\"hi\",\"lead.id\":\"5\"}"),
    ("faults", "a list of names, one for each attempt to continue the bot: see `faults` below"),
    ("count", "the number of bots (default 1, at most 10000)"),
    ("body", "the format of the requests: form (default), form-plain, form-json-data or json"),
];

/// Handles requests below `/simulator` that no other endpoint handles; `rest` is the path after that.
pub(super) fn handle(head: &Parts, rest: &str) -> Answer {
    match (rest, &head.method) {
        ("" | "/", &Method::GET) => answer::json_body(200, &index()),
        ("" | "/", _) => answer::method("GET"),
        _ => answer::refuse(404, "Nothing is served at this path; GET /simulator/ lists the endpoints."),
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
