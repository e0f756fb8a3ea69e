//! The verified request of a bot.

use std::fmt;

use serde_json::Value;

use super::{AccountId, ReturnUrl};

/// A verified `widget_request`: the account, the entity, the data, and the URL for the answer.
///
/// It does not contain the token, which the bridge verifies at receipt and does not need again.
#[derive(Clone, PartialEq)]
pub struct WidgetRequest {
    /// The account of the bot (claim `account_id`).
    pub account_id: AccountId,
    /// The lead, contact or customer that the bot talks about (claims `entity_type`, `entity_id`), if the token names one.
    pub entity: Option<Entity>,
    /// The URL of the continue; it identifies the bot and the wait.
    pub return_url: ReturnUrl,
    /// The data from the widget; `Value::Null` if there is none. If the request was a form, all values are strings.
    pub data: Value,
    /// The data of earlier requests of the same conversation that this job answers too, oldest first. Empty unless the
    /// handler's `coalesce` joined them.
    pub earlier: Vec<Value>,
}

impl fmt::Debug for WidgetRequest {
    /// Omits the data, because it belongs to the customer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account_id, entity, return_url, data: _, earlier: _ } = self;
        f.debug_struct("WidgetRequest")
            .field("account_id", account_id)
            .field("entity", entity)
            .field("return_url", return_url)
            .finish_non_exhaustive()
    }
}

/// The lead, contact or customer that a bot talks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entity {
    /// The kind of entity.
    pub kind: EntityKind,
    /// The id within the account.
    pub id: i64,
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id;
        match self.kind {
            EntityKind::Contact => write!(f, "contact {id}"),
            EntityKind::Lead => write!(f, "lead {id}"),
            EntityKind::Customer => write!(f, "customer {id}"),
            EntityKind::Other(code) => write!(f, "entity {id} of kind {code}"),
        }
    }
}

/// Kommo's kinds of entity, by Kommo's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntityKind {
    /// `1`
    Contact,
    /// `2`
    Lead,
    /// `12`
    Customer,
    /// A kind that Kommo's documentation does not name.
    Other(i64),
}

impl EntityKind {
    /// The kind for Kommo's number.
    pub const fn from_code(code: i64) -> Self {
        match code {
            1 => Self::Contact,
            2 => Self::Lead,
            12 => Self::Customer,
            other => Self::Other(other),
        }
    }

    /// Kommo's number for this kind.
    pub const fn code(self) -> i64 {
        match self {
            Self::Contact => 1,
            Self::Lead => 2,
            Self::Customer => 12,
            Self::Other(code) => code,
        }
    }
}
