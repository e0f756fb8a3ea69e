//! Responses that a test scripts: what the account answers to one call of the API instead of what the simulator plays.
//!
//! A test names the call by method and path, as in `GET /api/v4/leads/5`. Continues have no canned responses: they follow the
//! plan of their bot.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use http::request::Parts;
use serde_json::Value;

use super::account::lock;
use super::answer::{self, Answer};
use super::api::PREFIX;
use super::continues;
use super::fault::Fault;
use super::report::ApiCall;
use super::{Plan, Simulator};

/// What a call of the API gets. JSON becomes a response with status 200, a [`Fault`] a failure.
///
/// ```
/// use salesbot_bridge_simulator::{CannedResponse, Fault};
/// use serde_json::json;
///
/// let found = CannedResponse::from(json!({ "price": 100 }));
/// let missing = CannedResponse::status(404);
/// let lost = CannedResponse::from(Fault::Reset);
/// # assert!(found != missing && missing != lost);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CannedResponse(Kind);

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Json(u16, Value),
    Status(u16),
    Fault(Fault),
}

impl CannedResponse {
    /// JSON with this status.
    #[must_use]
    pub const fn json(status: u16, body: Value) -> Self {
        Self(Kind::Json(status, body))
    }

    /// This status: below 400 with an empty body, from 400 up with Kommo's problem document.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self(Kind::Status(status))
    }
}

impl From<Value> for CannedResponse {
    fn from(body: Value) -> Self {
        Self::json(200, body)
    }
}

impl From<Fault> for CannedResponse {
    fn from(fault: Fault) -> Self {
        Self(Kind::Fault(fault))
    }
}

/// What happens to a call that has a canned response.
#[derive(Debug)]
pub(super) enum Scripted {
    Answer(Answer),
    Fault(Fault),
}

/// The responses to one call. The first one was served already if `repeats`.
#[derive(Debug, Default)]
struct Responses {
    queue: VecDeque<CannedResponse>,
    repeats: bool,
}

/// The canned responses of an account, by call: `METHOD PATH`.
#[derive(Debug, Default)]
pub(super) struct Script(Mutex<HashMap<String, Responses>>);

impl Script {
    fn add(&self, call: &str, response: CannedResponse) {
        lock(&self.0).entry(call.to_owned()).or_default().queue.push_back(response);
    }

    /// The next response to this call; `None` if the test gave none. A response for the path with its query comes before one
    /// for the path alone.
    pub(super) fn next(&self, head: &Parts) -> Option<Scripted> {
        let method = &head.method;
        let whole = head.uri.path_and_query().map_or("", |whole| whole.as_str());
        let mut known = lock(&self.0);
        let call = [whole, head.uri.path()].map(|path| format!("{method} {path}"));
        let call = call.iter().find(|call| known.contains_key(*call))?;
        known.get_mut(call)?.next()
    }
}

impl Responses {
    fn next(&mut self) -> Option<Scripted> {
        if self.repeats && self.queue.len() > 1 {
            self.queue.pop_front();
        }
        self.repeats = true;
        Some(match self.queue.front()?.0.clone() {
            Kind::Json(status, body) => Scripted::Answer(answer::canned(status, &body)),
            Kind::Status(status @ 400..) => Scripted::Answer(answer::problem(status)),
            Kind::Status(status) => Scripted::Answer(answer::empty(status)),
            Kind::Fault(fault) => Scripted::Fault(fault),
        })
    }
}

/// Whether `call` is `METHOD PATH` of a call that a test may script.
fn is_call(call: &str) -> bool {
    call.split_once(' ').is_some_and(|(method, path)| {
        let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
        is_method && path.starts_with(PREFIX) && !continues::owns(path)
    })
}

impl Simulator {
    /// Answers each `call` with `response`, for example `GET /api/v4/leads/5` with JSON. A `call` without a query matches any
    /// query.
    ///
    /// Several responses to one call come in the order in which they were given, one a call; the last one repeats. A call gets
    /// its response only if it carries a valid bearer and no outage, rate limit or queued fault comes first.
    ///
    /// # Panics
    /// If `call` is not a method, a space and a path below `/api/v4/`, or if it continues a bot: see [`Plan::faults`].
    #[track_caller]
    pub fn respond(&self, call: &str, response: impl Into<CannedResponse>) {
        assert!(
            is_call(call),
            "`{call}` cannot have a canned response (expected METHOD {PREFIX}PATH, and not a continue)"
        );
        self.account.script.add(call, response.into());
    }

    /// The requests for `call`, for example `PATCH /api/v4/leads/5`, in order of arrival, whatever they got. A `call` without a
    /// query matches any query. Empty when [`Options::record`](super::Options::record) is off.
    #[must_use]
    pub fn calls_to(&self, call: &str) -> Vec<ApiCall> {
        let (method, path) = call.split_once(' ').unwrap_or_default();
        let is_it = |seen: &ApiCall| {
            let without_query = seen.path.split('?').next().unwrap_or_default();
            seen.method == method && (seen.path == path || without_query == path)
        };
        self.api_calls().into_iter().filter(is_it).collect()
    }
}

impl ApiCall {
    /// The body as JSON; `null` if it is empty or not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Plan {
    /// The same bot, which talks about this lead.
    #[must_use]
    pub fn lead(self, id: i64) -> Self {
        self.entity(2, id)
    }

    /// The same bot, which talks about this contact.
    #[must_use]
    pub fn contact(self, id: i64) -> Self {
        self.entity(1, id)
    }

    fn entity(mut self, kind: i64, id: i64) -> Self {
        self.token.claims.insert("entity_type".to_owned(), kind.to_string().into());
        self.token.claims.insert("entity_id".to_owned(), id.to_string().into());
        self
    }
}

impl From<Value> for Plan {
    /// An ordinary bot that sends this data.
    fn from(data: Value) -> Self {
        Self::with_data(data)
    }
}
