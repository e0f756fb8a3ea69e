//! The events of a played bot. As JSON they are the lines of `dev --json`.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use model::{Timestamp, whole_millis};

use super::answer::Answer;

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Event {
    /// When it was seen.
    pub(super) at: Timestamp,
    /// The number of the request, from 1.
    pub(super) request: u32,
    /// Time since the request, in JSON in milliseconds.
    #[serde(rename = "after_ms", serialize_with = "millis")]
    pub(super) after: Duration,
    #[serde(flatten)]
    pub(super) what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum What {
    /// The bot sends its request.
    Request { lead: u32, data: Value, replay: bool },
    /// The bridge did not accept the request.
    Refused { status: Option<u16>, error: String },
    /// An attempt of the handler ended.
    Attempt(Attempt),
    /// Another attempt follows.
    Retry {
        in_ms: u64,
        /// Time until the bot gets the fallback; only with the first retry.
        fallback_in_ms: Option<u64>,
        advice: Option<&'static str>,
    },
    /// The handler answers later.
    Later { fallback_in_ms: u64 },
    /// The handler called back, with its answer or with an error.
    Callback { error: Option<String> },
    /// The handler, or the bridge, noted something.
    Note { text: String },
    /// The bot gets the fallback. `error` is `None` if it is that of the attempt before.
    Fallback { reason: String, error: Option<String>, advice: Option<&'static str> },
    /// The bot continued.
    Answer(Answer),
    /// The bot will not be continued.
    Unanswered { state: String, error: Option<String> },
}

/// An attempt of the handler.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Attempt {
    pub(super) number: u32,
    /// The HTTP status of the handler at a URL; `None` if there was no response.
    pub(super) status: Option<u16>,
    pub(super) duration_ms: u64,
    pub(super) result: String,
    pub(super) error: Option<String>,
}

fn millis<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(whole_millis(*duration))
}
