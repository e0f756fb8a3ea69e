//! Reports of the account and of each bot. Plain data, for tests and tables.
//!
//! Each time is a duration since the simulator started, in JSON in milliseconds.

use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::Value;
use tokio::time::Instant;

/// One request to the continue endpoint.
#[derive(Debug, Clone)]
pub struct Call {
    /// When the whole request had arrived.
    pub instant: Instant,
    /// The same, since the simulator started.
    pub at: Duration,
    /// The bot in the path, if it exists.
    pub bot: Option<i64>,
    /// The path.
    pub path: String,
    /// Whether the request had a bearer that is valid for the account.
    pub authorized: bool,
    /// The status of the response; `None` if there is none yet, or a fault suppressed it.
    pub status: Option<u16>,
    /// The `User-Agent`; empty if there was none.
    pub user_agent: String,
    /// The body as received.
    pub body: Bytes,
}

/// One request below `/api/v4/`, a continue or any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiCall {
    /// When the whole request had arrived, since the simulator started.
    pub at: Duration,
    /// The method, like `GET`.
    pub method: String,
    /// The path, with the query if there is one.
    pub path: String,
    /// Whether the request had a bearer that is valid for the account.
    pub authorized: bool,
    /// The status of the response; `None` if there is none yet, or a fault suppressed it.
    pub status: Option<u16>,
    /// The body as received.
    pub body: Bytes,
}

/// One request below `/oauth2/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthCall {
    /// When the whole request had arrived, since the simulator started.
    pub at: Duration,
    /// The path.
    pub path: String,
    /// `grant_type` in the body, if it has one.
    pub grant_type: Option<String>,
    /// The status of the response; `None` if there is none yet, or a fault suppressed it.
    pub status: Option<u16>,
}

/// A continue that a bot accepted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Continue {
    /// When it was accepted.
    #[serde(rename = "at_ms", serialize_with = "millis")]
    pub at: Duration,
    /// `data`; `null` if the key was absent.
    pub data: Value,
    /// `execute_handlers`; `None` if the key was absent.
    pub execute_handlers: Option<Vec<Value>>,
}

/// The state and history of one bot.
#[derive(Debug, Clone, Serialize)]
pub struct BotReport {
    /// The bot's id.
    pub id: i64,
    /// The number of waits that it has begun, at least 1.
    pub waits: u32,
    /// The number of waits that were continued, at most `waits`.
    pub continued: u32,
    /// The number of continues received for it, answered or not, accepted or not.
    pub attempts: u32,
    /// The messages that it has shown to the customer, with placeholders resolved. If
    /// [`record`](super::Options::record) is off, only those since its last continue.
    pub said: Vec<String>,
    /// The exit by which it left its widget. Only bots of an uploaded widget have exits.
    pub exit: Option<String>,
    /// Why a bot of an uploaded widget is stuck; `None` if it is not.
    pub stuck: Option<String>,
    /// Its events, in order. Empty if [`record`](super::Options::record) is off.
    pub events: Vec<Event>,
}

impl BotReport {
    /// Whether every wait was continued.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.continued == self.waits
    }
}

/// One event of a bot.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// When it happened.
    #[serde(rename = "at_ms", serialize_with = "millis")]
    pub at: Duration,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// The bot posted its `widget_request`.
    Asked,
    /// The bridge responded, with any status.
    Acknowledged {
        /// The status.
        status: u16,
        /// From sending the request to receiving the whole response.
        #[serde(rename = "elapsed_ms", serialize_with = "millis")]
        elapsed: Duration,
    },
    /// The bridge did not respond.
    Unanswered {
        /// Why.
        reason: String,
    },
    /// The simulator handled a continue. If the bot accepted it, `Continued` comes before this event.
    Continue {
        /// The status of the response; `None` if there was none.
        status: Option<u16>,
        /// The name of the fault that was played, if any.
        fault: Option<String>,
    },
    /// The bot accepted a continue.
    Continued,
}

/// The bridge's response to a `widget_request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The status.
    pub status: u16,
    /// The body, as text.
    pub body: String,
    /// From sending the request to receiving the whole response.
    pub elapsed: Duration,
}

impl Ack {
    /// The body as JSON; `null` if it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// Why a `widget_request` got no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The bridge took longer than Kommo waits.
    #[error("the bridge did not respond within {0:?}: Kommo would give up, and its bot would hang")]
    Timeout(Duration),
    /// The address is invalid, nothing listens there, or the connection broke.
    #[error("cannot reach the bridge: {0}; check its address and that it is running")]
    Unreachable(String),
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Rounded to microseconds: more digits mean nothing for a call on loopback.
    serializer.serialize_f64((duration.as_secs_f64() * 1e6).round() / 1e3)
}
