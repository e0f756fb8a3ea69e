//! The endpoints that start and show bots from outside. The [crate](super) documents them.

use bytes::Bytes;
use futures_util::StreamExt;
use http::Method;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{self, Answer};
use super::bot::Bot;
use super::control_widgets;
use super::fault::Fault;
use super::plan::{BodyStyle, Plan};
use super::serve::Shared;

const MAX_COUNT: usize = 10_000;
const MAX_PARALLEL_CALLS: usize = 64;

/// An order for bots, either of an uploaded `widget` or calling a `url`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    url: Option<url::Url>,
    #[serde(default)]
    data: Value,
    pub(super) widget: Option<String>,
    pub(super) handler: Option<String>,
    #[serde(default)]
    pub(super) settings: Map<String, Value>,
    #[serde(default)]
    pub(super) variables: Map<String, Value>,
    #[serde(default)]
    faults: Vec<String>,
    #[serde(default = "one")]
    pub(super) count: usize,
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

/// Handles requests below `/simulator/bots`; `rest` is the path after that.
pub(super) async fn handle(shared: &Shared, head: &Parts, rest: &str, body: &Bytes) -> Answer {
    match (rest, &head.method) {
        ("", &Method::GET) => {
            let bots: Vec<_> = shared.account.runs().iter().map(|run| run.report()).collect();
            answer::json_body(200, &json!({ "bots": bots }))
        }
        ("", &Method::POST) => start(shared, head, body).await,
        ("", _) => answer::method("GET, POST"),
        (_, &Method::GET) => show(shared, rest),
        _ => answer::method("GET"),
    }
}

fn show(shared: &Shared, rest: &str) -> Answer {
    let id = rest.strip_prefix('/').and_then(|id| id.parse().ok());
    let Some(run) = id.and_then(|id| shared.account.run(id)) else {
        return answer::refuse(404, "Unknown bot; GET /simulator/bots lists them.");
    };
    let mut report = json!(run.report());
    report["last_continue"] = json!(run.continues().last());
    answer::json_body(200, &report)
}

async fn start(shared: &Shared, head: &Parts, body: &Bytes) -> Answer {
    // Requiring JSON keeps web pages out: a browser sends it to another origin only with permission.
    if !content_type_is(head, "application/json") {
        return answer::refuse(415, "The order must be sent as Content-Type: application/json.");
    }
    let order = serde_json::from_slice::<Order>(body).map_err(|error| error.to_string());
    let (order, plan) = match order.and_then(|order| order.plan().map(|plan| (order, plan))) {
        Ok(found) => found,
        Err(detail) => return answer::refuse(400, &detail),
    };
    let (url, count) = match order {
        Order { widget: Some(_), .. } => return control_widgets::start(shared, order, plan).await,
        Order { url: Some(url), count, .. } => (url, count),
        Order { url: None, .. } => return answer::refuse(400, "missing field `url` or `widget`"),
    };
    let bots: Vec<_> = (0..count).map(|_| Bot::create(&shared.account, plan.clone())).collect();
    let ids: Vec<_> = bots.iter().map(Bot::id).collect();
    let stop = shared.stop.clone();
    let calls = futures_util::stream::iter(bots).for_each_concurrent(MAX_PARALLEL_CALLS, move |bot| {
        let url = url.clone();
        // The bot's report has the result.
        async move { drop(bot.call(url.as_str()).await) }
    });
    shared.tasks.spawn(async move { stop.run_until_cancelled(calls).await });
    answer::json_body(202, &json!({ "bots": ids }))
}

pub(super) fn content_type_is(head: &Parts, kind: &str) -> bool {
    head.headers.get(CONTENT_TYPE).is_some_and(|given| given.as_bytes().starts_with(kind.as_bytes()))
}

impl Order {
    fn plan(&self) -> Result<Plan, String> {
        if !(1..=MAX_COUNT).contains(&self.count) {
            return Err(format!("`count` is {}: must be 1 to {MAX_COUNT}", self.count));
        }
        if self.widget.is_some() && (self.url.is_some() || !self.data.is_null()) {
            return Err("`url` and `data` cannot be combined with `widget`: leave them out".to_owned());
        }
        let only_with_widget =
            self.handler.is_some() || !self.settings.is_empty() || !self.variables.is_empty();
        if self.widget.is_none() && only_with_widget {
            return Err("`handler`, `settings` and `variables` require `widget`".to_owned());
        }
        let faults = self.faults.iter().map(|name| name.parse::<Fault>()).collect::<Result<_, _>>();
        let body = match self.body {
            BodyName::Form => BodyStyle::Form,
            BodyName::FormPlain => BodyStyle::FormPlain,
            BodyName::FormJsonData => BodyStyle::FormJsonData,
            BodyName::Json => BodyStyle::Json,
        };
        let faults = faults.map_err(|error| error.to_string())?;
        Ok(Plan { data: self.data.clone(), body, faults, ..Plan::default() })
    }
}
