//! The endpoints that start and show bots from outside. The [room](super) documents them.

use bytes::Bytes;
use futures_util::StreamExt;
use http::Method;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::bot::Bot;
use super::fault::Fault;
use super::plan::{BodyStyle, Plan};
use super::serve::Shared;

const MAX_COUNT: usize = 10_000;
const CALLS_AT_ONCE: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    url: url::Url,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    faults: Vec<String>,
    #[serde(default = "one")]
    count: usize,
    #[serde(default)]
    body: BodyName,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BodyName {
    #[default]
    Form,
    FormPlain,
    FormJsonData,
    Json,
}

fn one() -> usize {
    1
}

/// Answers what is below `/simulator/bots`; `rest` is the path after that.
pub(super) fn handle(shared: &Shared, head: &Parts, rest: &str, body: &Bytes) -> Answer {
    match (rest, &head.method) {
        ("", &Method::GET) => {
            let bots: Vec<_> = shared.account.runs().iter().map(|run| run.report()).collect();
            answer::json_body(200, &json!({ "bots": bots }))
        }
        ("", &Method::POST) => start(shared, head, body),
        ("", _) => answer::method("GET, POST"),
        (_, &Method::GET) => show(shared, rest),
        _ => answer::method("GET"),
    }
}

fn show(shared: &Shared, rest: &str) -> Answer {
    let id = rest.strip_prefix('/').and_then(|id| id.parse().ok());
    let Some(run) = id.and_then(|id| shared.account.run(id)) else {
        return answer::refuse(404, "There is no bot of that id; GET /simulator/bots lists them.");
    };
    let mut report = json!(run.report());
    report["last_continue"] = json!(run.continues().last());
    answer::json_body(200, &report)
}

fn start(shared: &Shared, head: &Parts, body: &Bytes) -> Answer {
    // Asking for JSON keeps web pages out: a browser sends it to another origin only if allowed.
    let json =
        head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !json {
        return answer::refuse(415, "Send it as Content-Type: application/json.");
    }
    let (plan, order) = match plan(body) {
        Ok(found) => found,
        Err(detail) => return answer::refuse(400, &detail),
    };
    let bots: Vec<_> = (0..order.count).map(|_| Bot::create(&shared.account, plan.clone())).collect();
    let ids: Vec<_> = bots.iter().map(Bot::id).collect();
    let stop = shared.stop.clone();
    let calls = futures_util::stream::iter(bots).for_each_concurrent(CALLS_AT_ONCE, move |bot| {
        let url = order.url.clone();
        // What came of it is in the bot's report.
        async move { drop(bot.call(url.as_str()).await) }
    });
    shared.tasks.spawn(async move { stop.run_until_cancelled(calls).await });
    answer::json_body(202, &json!({ "bots": ids }))
}

fn plan(body: &[u8]) -> Result<(Plan, Order), String> {
    let mut order: Order = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if !(1..=MAX_COUNT).contains(&order.count) {
        return Err(format!("`count` is {}: use 1 to {MAX_COUNT}", order.count));
    }
    let faults = order.faults.iter().map(|name| name.parse::<Fault>()).collect::<Result<_, _>>();
    let body = match order.body {
        BodyName::Form => BodyStyle::Form,
        BodyName::FormPlain => BodyStyle::FormPlain,
        BodyName::FormJsonData => BodyStyle::FormJsonData,
        BodyName::Json => BodyStyle::Json,
    };
    let plan = Plan {
        data: std::mem::take(&mut order.data),
        body,
        faults: faults.map_err(|error| error.to_string())?,
        ..Plan::default()
    };
    Ok((plan, order))
}
