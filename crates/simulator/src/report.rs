//! What was seen: by the account as a whole and by each bot. Data only, for tests and tables.
//!
//! Times are durations since the simulator started; in JSON they are milliseconds.

use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::Value;
use tokio::time::Instant;

/// One request at the continue endpoint.
#[derive(Debug, Clone)]
pub struct Call {
    /// When its body had arrived.
    pub instant: Instant,
    /// The same, since the simulator started.
    pub at: Duration,
    /// The bot in its path, if there is such a bot.
    pub bot: Option<i64>,
    /// Its path.
    pub path: String,
    /// Whether it carried a bearer that is valid for the account.
    pub authorized: bool,
    /// The answered status. `None`: not answered yet, or never (a fault).
    pub status: Option<u16>,
    /// Its `User-Agent`; empty if there was none.
    pub user_agent: String,
    /// Its body as it came.
    pub body: Bytes,
}

/// One request below `/api/v4/`, a continue or any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiCall {
    /// When its body had arrived, since the simulator started.
    pub at: Duration,
    /// Its method, as in `GET`.
    pub method: String,
    /// Its path, with the query if it has one.
    pub path: String,
    /// Whether it carried a bearer that is valid for the account.
    pub authorized: bool,
    /// The answered status. `None`: not answered yet, or never (a fault).
    pub status: Option<u16>,
    /// Its body as it came.
    pub body: Bytes,
}

/// One request below `/oauth2/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthCall {
    /// When its body had arrived, since the simulator started.
    pub at: Duration,
    /// Its path.
    pub path: String,
    /// `grant_type` of its body, if there is one.
    pub grant_type: Option<String>,
    /// The answered status. `None`: not answered yet, or never (a fault).
    pub status: Option<u16>,
}

/// What a bot was continued with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Continue {
    /// When.
    #[serde(rename = "at_ms", serialize_with = "millis")]
    pub at: Duration,
    /// `data`; `null` if the key was absent.
    pub data: Value,
    /// `execute_handlers`; `None` if the key was absent.
    pub execute_handlers: Option<Vec<Value>>,
}

/// One bot's story.
#[derive(Debug, Clone, Serialize)]
pub struct BotReport {
    /// The bot's id.
    pub id: i64,
    /// How often it has begun to wait: 1, and 1 for each further wait of its session.
    pub waits: u32,
    /// How often it was continued; never more than `waits`.
    pub continued: u32,
    /// How many continues were received for it, answered or not, accepted or not.
    pub attempts: u32,
    /// What it has said to the customer, its placeholders resolved.
    pub said: Vec<String>,
    /// The exit by which it left its widget; only bots of an uploaded widget have exits.
    pub exit: Option<String>,
    /// Why a bot of an uploaded widget cannot go on.
    pub stuck: Option<String>,
    /// What happened, in order. Empty when [`record`](super::Options::record) is off.
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
    /// When.
    #[serde(rename = "at_ms", serialize_with = "millis")]
    pub at: Duration,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What can happen to a bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// It posted its `widget_request`.
    Asked,
    /// The bridge answered, with whatever status.
    Acknowledged {
        /// The status.
        status: u16,
        /// From the first byte sent to the whole answer.
        #[serde(rename = "elapsed_ms", serialize_with = "millis")]
        elapsed: Duration,
    },
    /// The bridge gave no answer.
    Unanswered {
        /// Why.
        reason: String,
    },
    /// A continue was received and is answered now; noted after the `Continued` that it caused.
    Continue {
        /// The answered status; `None` if it got no answer.
        status: Option<u16>,
        /// The name of the fault that was played, if one was.
        fault: Option<String>,
    },
    /// It went on.
    Continued,
}

/// The bridge's answer to a `widget_request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The status, whatever it is.
    pub status: u16,
    /// The body, as text.
    pub body: String,
    /// From the first byte sent to the whole answer.
    pub elapsed: Duration,
}

impl Ack {
    /// The body as JSON; `null` if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// Why a `widget_request` got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The bridge took longer than Kommo waits.
    #[error("no answer within {0:?}; Kommo gives up then, and its bot hangs")]
    Timeout(Duration),
    /// The address is none, nobody listens there, or the connection broke.
    #[error("the bridge could not be reached: {0}; check its address and that it runs")]
    Unreachable(String),
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Tenths of a microsecond say nothing about a loopback call.
    serializer.serialize_f64((duration.as_secs_f64() * 1e6).round() / 1e3)
}
