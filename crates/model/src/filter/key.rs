//! The keys of the filter language: a closed list.

use std::fmt;

/// The name before the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterKey {
    /// The state.
    State,
    /// The name of the handler.
    Handler,
    /// The account, by number, host or name.
    Account,
    /// The number of the lead.
    Lead,
    /// The number of the contact.
    Contact,
    /// The number of the customer.
    Customer,
    /// The number of the bot.
    Bot,
    /// The conversation, as handlers get it.
    Conversation,
    /// The id, or its first digits.
    Id,
    /// The trace id, which is the id without hyphens, or a `traceparent`.
    Trace,
    /// The whole `return_url`.
    ReturnUrl,
    /// Received at or after a moment.
    Since,
    /// Received before a moment.
    Until,
    /// A text in the last error.
    Error,
    /// The HTTP status of an attempt, or of the last error.
    Status,
    /// The number of attempts.
    Attempts,
    /// The origin of the completion.
    Outcome,
    /// The reason why the job waits.
    Waiting,
    /// A property of the job.
    Is,
}

impl FilterKey {
    /// All keys, as errors and help list them.
    pub const ALL: [Self; 19] = [
        Self::State,
        Self::Handler,
        Self::Account,
        Self::Lead,
        Self::Contact,
        Self::Customer,
        Self::Bot,
        Self::Conversation,
        Self::Id,
        Self::Trace,
        Self::ReturnUrl,
        Self::Since,
        Self::Until,
        Self::Error,
        Self::Status,
        Self::Attempts,
        Self::Outcome,
        Self::Waiting,
        Self::Is,
    ];

    /// The name, as people write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Handler => "handler",
            Self::Account => "account",
            Self::Lead => "lead",
            Self::Contact => "contact",
            Self::Customer => "customer",
            Self::Bot => "bot",
            Self::Conversation => "conversation",
            Self::Id => "id",
            Self::Trace => "trace",
            Self::ReturnUrl => "return_url",
            Self::Since => "since",
            Self::Until => "until",
            Self::Error => "error",
            Self::Status => "status",
            Self::Attempts => "attempts",
            Self::Outcome => "outcome",
            Self::Waiting => "waiting",
            Self::Is => "is",
        }
    }

    /// The key with this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == name)
    }
}

impl fmt::Display for FilterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
