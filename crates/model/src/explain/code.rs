//! The closed list of reasons.

use std::borrow::Cow;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::WaitCause;

/// Why a job is in its state. `docs/operations.md` describes each one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// No bridge serves the store.
    Bridge,
    /// No handler of its name is registered.
    NoHandler,
    /// An earlier job of its conversation is not answered yet.
    Conversation,
    /// It waits for further messages of its conversation.
    Messages,
    /// Its handler's URL cannot be reached.
    HandlerUnreachable,
    /// As many jobs await a callback of its handler as its limit allows.
    MaxAwaiting,
    /// As many jobs of its handler run as its permits allow.
    HandlerBusy,
    /// It waits for a worker.
    Worker,
    /// Its handler runs.
    Handler,
    /// Its handler accepted it, and has not called back yet.
    Callback,
    /// An attempt of its handler failed, and the next one is not due yet.
    HandlerRetry,
    /// The deliveries of all accounts wait.
    AllAccounts,
    /// The deliveries of its account wait.
    Account(WaitCause),
    /// The calls per second of its account are used up.
    Pace,
    /// Other deliveries go first.
    Turn,
    /// Its continue is in flight.
    Response,
    /// A delivery failed, and the next one is not due yet.
    DeliveryRetry,
    /// The bot got the answer of its handler.
    Answered,
    /// The bot gets or got the fallback.
    Fallback,
    /// The continue came late.
    Late,
    /// No bot waited for the continue.
    NoBot,
    /// A newer job has its `return_url`.
    Superseded,
    /// Deliveries failed until the time was over.
    GaveUp,
    /// Kommo refused its completion.
    Refused,
    /// Its account was never connected.
    NeverConnected,
    /// It was cancelled.
    Cancelled,
    /// A later job of its conversation answers it too.
    Joined,
}

impl Code {
    /// The codes that are not a [`WaitCause`], in the order of a job's life.
    const OWN: [Self; 26] = [
        Self::Bridge,
        Self::NoHandler,
        Self::Conversation,
        Self::Messages,
        Self::HandlerUnreachable,
        Self::MaxAwaiting,
        Self::HandlerBusy,
        Self::Worker,
        Self::Handler,
        Self::Callback,
        Self::HandlerRetry,
        Self::AllAccounts,
        Self::Pace,
        Self::Turn,
        Self::Response,
        Self::DeliveryRetry,
        Self::Answered,
        Self::Fallback,
        Self::Late,
        Self::NoBot,
        Self::Superseded,
        Self::GaveUp,
        Self::Refused,
        Self::NeverConnected,
        Self::Cancelled,
        Self::Joined,
    ];

    /// All codes.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::OWN.into_iter().chain(WaitCause::ALL.map(Self::Account))
    }

    /// The name in results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::NoHandler => "no_handler",
            Self::Conversation => "conversation",
            Self::Messages => "messages",
            Self::HandlerUnreachable => "handler_unreachable",
            Self::MaxAwaiting => "max_awaiting",
            Self::HandlerBusy => "handler_busy",
            Self::Worker => "worker",
            Self::Handler => "handler",
            Self::Callback => "callback",
            Self::HandlerRetry => "handler_retry",
            Self::AllAccounts => "all_accounts",
            Self::Account(cause) => cause.as_str(),
            Self::Pace => "pace",
            Self::Turn => "turn",
            Self::Response => "response",
            Self::DeliveryRetry => "delivery_retry",
            Self::Answered => "answered",
            Self::Fallback => "fallback",
            Self::Late => "late",
            Self::NoBot => "no_bot",
            Self::Superseded => "superseded",
            Self::GaveUp => "gave_up",
            Self::Refused => "refused",
            Self::NeverConnected => "never_connected",
            Self::Cancelled => "cancelled",
            Self::Joined => "joined",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    /// Reads the name, as it is written.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let known = Self::all().find(|code| code.as_str() == text);
        known.ok_or_else(|| D::Error::custom(format!("unknown reason `{text}`")))
    }
}
