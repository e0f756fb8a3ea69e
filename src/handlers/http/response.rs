//! What a response of the URL means: the table of `docs/http-handlers.md`, as a pure function.

use std::time::Duration;

use serde_json::Value;

use crate::config::{Mode, Preset};
use crate::handler::completion_json;
use kommo::{BodyEnd, Response};
use model::{Completion, HandlerName};

use super::presets::{self, Reply, ToolId};

mod acknowledgement;
mod content;
mod error_text;

pub(super) use acknowledgement::Acknowledged;
use content::Content;

/// The maximum size of a response's body.
pub(super) const MAX_BODY_BYTES: usize = 256 << 10;

/// A response, as far as it was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Received {
    pub(super) response: Response,
    /// The header `Bridge-Retry`.
    pub(super) bridge_retry: Option<BridgeRetry>,
    /// Whether the body is `application/problem+json`.
    pub(super) is_problem: bool,
}

/// The header `Bridge-Retry`, with which a handler overrides the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BridgeRetry {
    No,
    After(Duration),
}

impl BridgeRetry {
    /// Reads the header's value: `no`, or a whole number of seconds; `None` if it is something else.
    pub(super) fn read(value: &str) -> Option<Self> {
        let value = value.trim();
        if value.eq_ignore_ascii_case("no") {
            return Some(Self::No);
        }
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        let seconds: u32 = value.parse().ok().filter(|_| digits)?;
        Some(Self::After(Duration::from_secs(seconds.into())))
    }
}

/// The handler, as far as the meaning of a response depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) handler: &'a HandlerName,
    pub(super) mode: Mode,
    pub(super) preset: Preset,
    /// Whether the request had a callback URL.
    pub(super) has_callback: bool,
}

/// What follows a response.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// The bot gets this.
    Completion(Completion, ToolId),
    /// The answer comes by a callback. Names the tool that only acknowledged the request although it could answer.
    Later(Option<Acknowledged>),
    /// Another attempt, not before this time if it is known.
    Retry(Option<Duration>, String),
    /// The fallback.
    Fail(String),
}

/// Decides what follows a response.
pub(super) fn decide(received: &Received, rules: Rules<'_>) -> Verdict {
    let verdict = by_status(received, rules);
    match (received.bridge_retry, verdict) {
        (None, verdict) => verdict,
        (Some(BridgeRetry::No), Verdict::Retry(_, why)) => Verdict::Fail(format!("{why} (Bridge-Retry: no)")),
        (Some(BridgeRetry::No), verdict) => verdict,
        (Some(BridgeRetry::After(delay)), Verdict::Retry(_, why) | Verdict::Fail(why)) => {
            Verdict::Retry(Some(delay), why)
        }
        (Some(BridgeRetry::After(delay)), Verdict::Completion(..) | Verdict::Later(_)) => {
            let status = received.response.status;
            Verdict::Retry(
                Some(delay),
                format!("the handler answered {status} and asked for a retry (Bridge-Retry)"),
            )
        }
    }
}

fn by_status(received: &Received, rules: Rules<'_>) -> Verdict {
    let response = &received.response;
    let status = response.status;
    match status {
        200..=299 if rules.mode == Mode::Async => later_unless_complete(response, rules),
        202 if rules.mode == Mode::Sync => Verdict::Fail(format!(
            "the handler answered 202, but handlers.{0}.mode is \"sync\": let it answer with its result, or set the mode to \
             \"auto\"",
            rules.handler
        )),
        202 => later(None, rules),
        204 | 205 => success(),
        200..=299 => answered(response, rules),
        404 | 408 | 425 | 429 | 500..=599 => {
            Verdict::Retry(response.retry_after, error_text::of(received, rules.handler))
        }
        _ => Verdict::Fail(error_text::of(received, rules.handler)),
    }
}

/// Success without data.
fn success() -> Verdict {
    Verdict::Completion(Completion::success(), ToolId::Unchanged)
}

/// The answer comes by a callback, if the handler knows where to call.
fn later(acknowledged: Option<Acknowledged>, rules: Rules<'_>) -> Verdict {
    if rules.has_callback {
        return Verdict::Later(acknowledged);
    }
    let (what, advice) = match acknowledged {
        Some(tool) => ("only acknowledged the request", format!("{}; or ", tool.advice())),
        None => ("wants to answer later", String::new()),
    };
    let missing = match rules.preset {
        Preset::Bridge => {
            "set server.callback_url to the address at which the handler reaches the bridge".to_owned()
        }
        other => format!(
            "use the preset \"bridge\", because requests of the preset \"{}\" have no callback URL",
            other.as_str()
        ),
    };
    Verdict::Fail(format!("the handler {what}, but does not know a callback URL: {advice}{missing}"))
}

/// With `mode = "async"`, every success is an acknowledgement unless it contains a completion.
fn later_unless_complete(response: &Response, rules: Rules<'_>) -> Verdict {
    if response.body_end == BodyEnd::Complete
        && let Ok(Content::Json(value)) = content::content(response)
        && completion_json::is_completion(&value)
    {
        return completed(completion_json::completion(&value), ToolId::Unchanged);
    }
    later(None, rules)
}

/// A 200 or 201, and any other success that the table does not name.
fn answered(response: &Response, rules: Rules<'_>) -> Verdict {
    match response.body_end {
        BodyEnd::Complete => {}
        BodyEnd::TooLong => {
            return Verdict::Fail(format!(
                "the response is over {} KiB: return only what the bot needs",
                MAX_BODY_BYTES >> 10
            ));
        }
        BodyEnd::BrokeOff => {
            return Verdict::Retry(None, "the response broke off before its end".to_owned());
        }
    }
    let content = match content::content(response) {
        Ok(content) => content,
        Err(why) => return Verdict::Fail(why.to_owned()),
    };
    match (Acknowledged::by(&content), rules.mode, content) {
        (Some(tool), Mode::Sync, _) => Verdict::Fail(format!(
            "the handler only acknowledged the request, but handlers.{}.mode is \"sync\": {}",
            rules.handler,
            tool.advice()
        )),
        (Some(tool), ..) => later(Some(tool), rules),
        (None, _, Content::Nothing) => success(),
        (None, _, Content::Text(text)) => {
            completed(completion_json::valid(completion_json::reply(&text)), ToolId::Unchanged)
        }
        (None, _, Content::Json(value)) => replied(value, rules.preset),
    }
}

fn replied(value: Value, preset: Preset) -> Verdict {
    match presets::reply(preset, value) {
        Ok((Reply::Text(text), id)) => {
            completed(completion_json::valid(Completion::success().data("reply", text)), id)
        }
        Ok((Reply::Unspecific(value), id)) => completed(completion_json::completion(&value), id),
        Err(why) => Verdict::Fail(why),
    }
}

fn completed(read: Result<Completion, String>, id: ToolId) -> Verdict {
    match read {
        Ok(completion) => Verdict::Completion(completion, id),
        Err(why) => Verdict::Fail(why),
    }
}

#[cfg(test)]
mod tests;
