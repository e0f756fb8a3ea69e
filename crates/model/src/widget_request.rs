//! What a bot asked, after its token was verified.

use std::fmt;

use serde_json::Value;

use super::{AccountId, ReturnUrl};

/// A verified `widget_request`: who asks, about what, and where the answer goes.
///
/// The token itself is not kept: it is verified at receipt and never needed again.
#[derive(Clone, PartialEq)]
pub struct WidgetRequest {
    /// The account whose bot asks (claim `account_id`).
    pub account_id: AccountId,
    /// The lead, contact or customer that the bot talks about (claims `entity_type`, `entity_id`), if the token names one.
    pub entity: Option<Entity>,
    /// Where the continue is posted; names bot and wait.
    pub return_url: ReturnUrl,
    /// What the widget put into its request. From a form, every value in it is a string.
    /// `Value::Null` if the request had no data.
    pub data: Value,
}

impl fmt::Debug for WidgetRequest {
    /// Without the data, which is a customer's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account_id, entity, return_url, data: _ } = self;
        f.debug_struct("WidgetRequest")
            .field("account_id", account_id)
            .field("entity", entity)
            .field("return_url", return_url)
            .finish_non_exhaustive()
    }
}

/// What a bot talks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entity {
    /// Lead, contact or customer.
    pub kind: EntityKind,
    /// Its number in the account.
    pub id: i64,
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id;
        match self.kind {
            EntityKind::Contact => write!(f, "contact {id}"),
            EntityKind::Lead => write!(f, "lead {id}"),
            EntityKind::Customer => write!(f, "customer {id}"),
            EntityKind::Other(code) => write!(f, "{id}, of Kommo's kind {code}"),
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
    /// The kind with Kommo's number `code`.
    pub const fn from_code(code: i64) -> Self {
        match code {
            1 => Self::Contact,
            2 => Self::Lead,
            12 => Self::Customer,
            other => Self::Other(other),
        }
    }

    /// Kommo's number of this kind.
    pub const fn code(self) -> i64 {
        match self {
            Self::Contact => 1,
            Self::Lead => 2,
            Self::Customer => 12,
            Self::Other(code) => code,
        }
    }
}
