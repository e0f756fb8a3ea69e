//! The conditions of a filter, with their values.

use std::fmt;
use std::str::FromStr;

use super::{FilterKey, NumberRange};
use crate::{
    AccountId, Entity, EntityKind, HandlerName, JobPrefix, OutcomeName, ReturnUrl, StateName, Timestamp,
    WaitCause,
};

/// One condition on a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The job is in this state.
    State(StateName),
    /// The job belongs to this handler.
    Handler(HandlerName),
    /// The job belongs to this account.
    Account(FilteredAccount),
    /// The job is about this lead, contact or customer.
    Entity(Entity),
    /// The bot has this number.
    Bot(i64),
    /// The job belongs to this conversation.
    Conversation(Conversation),
    /// The id begins with these digits.
    Id(JobPrefix),
    /// The bot waits at this URL.
    ReturnUrl(ReturnUrl),
    /// The request was received at this moment or later.
    Since(Timestamp),
    /// The request was received before this moment.
    Until(Timestamp),
    /// The last error contains this text; the case of ASCII letters does not matter.
    Error(String),
    /// An attempt ended with an HTTP status in this range, or the last error begins with one.
    Status(NumberRange),
    /// The number of charged attempts, of the handler and of deliveries together, is in this range.
    Attempts(NumberRange),
    /// The completion has this origin.
    Outcome(OutcomeName),
    /// The job waits for this.
    Waiting(WaitingFor),
    /// The job has this property.
    Is(JobTrait),
    /// The `return_url`, the data or the last error contains this text; or it is the number of the job's entity or account,
    /// or the beginning of its id.
    Text(String),
}

impl Condition {
    /// The key under which people write the condition; `None` for a text.
    pub const fn key(&self) -> Option<FilterKey> {
        Some(match self {
            Self::State(_) => FilterKey::State,
            Self::Handler(_) => FilterKey::Handler,
            Self::Account(_) => FilterKey::Account,
            Self::Entity(Entity { kind: EntityKind::Contact, .. }) => FilterKey::Contact,
            Self::Entity(Entity { kind: EntityKind::Customer, .. }) => FilterKey::Customer,
            Self::Entity(_) => FilterKey::Lead,
            Self::Bot(_) => FilterKey::Bot,
            Self::Conversation(_) => FilterKey::Conversation,
            Self::Id(_) => FilterKey::Id,
            Self::ReturnUrl(_) => FilterKey::ReturnUrl,
            Self::Since(_) => FilterKey::Since,
            Self::Until(_) => FilterKey::Until,
            Self::Error(_) => FilterKey::Error,
            Self::Status(_) => FilterKey::Status,
            Self::Attempts(_) => FilterKey::Attempts,
            Self::Outcome(_) => FilterKey::Outcome,
            Self::Waiting(_) => FilterKey::Waiting,
            Self::Is(_) => FilterKey::Is,
            Self::Text(_) => return None,
        })
    }
}

/// Writes the value, without the key.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(state) => state.fmt(f),
            Self::Handler(handler) => handler.fmt(f),
            Self::Account(FilteredAccount::Number(AccountId(number))) | Self::Bot(number) => number.fmt(f),
            Self::Account(FilteredAccount::Host(host)) => f.write_str(host),
            Self::Entity(entity) => entity.id.fmt(f),
            Self::Conversation(conversation) => conversation.fmt(f),
            Self::Id(prefix) => prefix.fmt(f),
            Self::ReturnUrl(url) => f.write_str(url.as_str()),
            Self::Since(moment) | Self::Until(moment) => moment.fmt(f),
            Self::Status(range) | Self::Attempts(range) => range.fmt(f),
            Self::Outcome(outcome) => f.write_str(outcome.as_str()),
            Self::Waiting(waiting) => f.write_str(waiting.as_str()),
            Self::Is(job_trait) => f.write_str(job_trait.as_str()),
            Self::Error(text) | Self::Text(text) => {
                write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
            }
        }
    }
}

/// An account, as a filter names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilteredAccount {
    /// By its number at Kommo.
    Number(AccountId),
    /// By its host, with the port unless it is the default.
    Host(String),
}

/// A conversation: an account and one of its entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// The account.
    pub account_id: AccountId,
    /// The entity.
    pub entity: Entity,
}

/// The text is not the name of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAConversation;

impl FromStr for Conversation {
    type Err = NotAConversation;

    fn from_str(text: &str) -> Result<Self, NotAConversation> {
        let mut parts = text.split(':');
        let (Some(account), Some(kind), Some(id), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NotAConversation);
        };
        let kind = match kind {
            "contact" => EntityKind::Contact,
            "lead" => EntityKind::Lead,
            "customer" => EntityKind::Customer,
            code => EntityKind::from_code(code.parse().map_err(|_| NotAConversation)?),
        };
        let id = id.parse().map_err(|_| NotAConversation)?;
        let account_id = AccountId(account.parse().map_err(|_| NotAConversation)?);
        Ok(Self { account_id, entity: Entity { kind, id } })
    }
}

/// `31764961:lead:345`, as handlers at a URL get it.
impl fmt::Display for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account_id, entity: Entity { kind, id } } = self;
        match kind {
            EntityKind::Contact => write!(f, "{account_id}:contact:{id}"),
            EntityKind::Lead => write!(f, "{account_id}:lead:{id}"),
            EntityKind::Customer => write!(f, "{account_id}:customer:{id}"),
            EntityKind::Other(code) => write!(f, "{account_id}:{code}:{id}"),
        }
    }
}

/// Defines an enum whose variants have one name each.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$of])* $variant),+
        }

        impl $name {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name, as people write it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }

            /// The value with this name.
            pub fn of(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == name)
            }
        }
    };
}

named! {
    /// What an unfinished job waits for, if a bridge serves the store. The names are those of
    /// [`WaitsFor::cause`](crate::WaitsFor::cause), and groups of them.
    WaitingFor {
        /// A free worker.
        Worker = "worker",
        /// The answer to an earlier job of its conversation.
        Conversation = "conversation",
        /// Further messages of its conversation.
        Messages = "messages",
        /// Its handler, which runs.
        Handler = "handler",
        /// The callback of its handler.
        Callback = "callback",
        /// The next attempt of its handler.
        HandlerRetry = "handler_retry",
        /// Its turn to be delivered.
        Turn = "turn",
        /// Kommo's response.
        Response = "response",
        /// The next delivery after a failed one.
        DeliveryRetry = "delivery_retry",
        /// A retry, of its handler or of its delivery.
        Retry = "retry",
        /// Its account, for whatever reason.
        Account = "account",
        /// The end of the pause of all accounts.
        AllAccounts = "all_accounts",
        /// Its account, to which Kommo answered 401.
        Unauthorized = "unauthorized",
        /// Its account, to which Kommo answered 402.
        PaymentRequired = "payment_required",
        /// Its account, to which Kommo answered 403.
        Forbidden = "forbidden",
        /// Its account, to which Kommo answered 403 without JSON.
        Blocked = "blocked",
        /// Its account, to which Kommo answered 429.
        TooMany = "too_many",
        /// Its account, which has no token.
        NotConnected = "not_connected",
        /// Its account, whose token could not be renewed.
        NotRenewed = "not_renewed",
    }
}

impl WaitingFor {
    /// The cause of the account's wait; `None` if the job does not wait for its account, or for whatever reason.
    pub fn account_cause(self) -> Option<WaitCause> {
        self.as_str().parse().ok()
    }
}

named! {
    /// A property of a job.
    JobTrait {
        /// Not finished 20 seconds after it was received.
        Late = "late",
        /// Not finished.
        Unfinished = "unfinished",
        /// Finished.
        Finished = "finished",
        /// A later job has its `return_url`.
        Superseded = "superseded",
        /// A later job of its conversation answers for it too.
        Joined = "joined",
    }
}
