//! Builds the request of a handler.

use serde_json::Value;

use crate::handler::{ReceivedAt, Request, request_with};
use model::{AccountId, BotType, Entity, EntityKind, ReturnUrl, Timestamp, WidgetRequest};

/// 2026-01-01T00:00:00Z.
const RECEIVED_AT: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// Builds a [`Request`].
///
/// Unless the test says otherwise, bot 1, a salesbot, asks for account 1 at `https://example.kommo.com`, about no entity, at
/// 2026-01-01T00:00:00Z.
///
/// ```
/// use salesbot_bridge::testing::TestRequest;
///
/// let request = TestRequest::new("Ann").account_id(7).lead(5).build();
/// assert_eq!((request.data, request.account_id.0), ("Ann", 7));
/// assert_eq!(request.entity.map(|entity| entity.id), Some(5));
/// ```
#[derive(Clone, Debug)]
pub struct TestRequest<T = Value> {
    data: T,
    earlier: Vec<T>,
    account_id: AccountId,
    account_url: String,
    entity: Option<Entity>,
    bot_type: BotType,
    bot_id: i64,
    received_at: Timestamp,
}

impl<T> TestRequest<T> {
    /// A request with this data.
    pub fn new(data: T) -> Self {
        Self {
            data,
            earlier: Vec::new(),
            account_id: AccountId(1),
            account_url: "https://example.kommo.com".to_owned(),
            entity: None,
            bot_type: BotType::Salesbot,
            bot_id: 1,
            received_at: RECEIVED_AT,
        }
    }

    /// Adds the data of earlier messages that were joined into this one, oldest first, as `handlers.NAME.coalesce` does.
    #[must_use]
    pub fn earlier(self, messages: impl IntoIterator<Item = T>) -> Self {
        Self { earlier: Vec::from_iter(messages), ..self }
    }

    /// Sets the number of the account whose bot asks.
    #[must_use]
    pub fn account_id(self, id: i64) -> Self {
        Self { account_id: AccountId(id), ..self }
    }

    /// Sets the account's address: scheme and host, as in `https://example.kommo.com`.
    #[must_use]
    pub fn account_url(self, url: impl Into<String>) -> Self {
        Self { account_url: url.into(), ..self }
    }

    /// Makes the bot talk about this lead.
    #[must_use]
    pub fn lead(self, id: i64) -> Self {
        self.entity(EntityKind::Lead, id)
    }

    /// Makes the bot talk about this contact.
    #[must_use]
    pub fn contact(self, id: i64) -> Self {
        self.entity(EntityKind::Contact, id)
    }

    /// Makes the bot talk about this customer.
    #[must_use]
    pub fn customer(self, id: i64) -> Self {
        self.entity(EntityKind::Customer, id)
    }

    /// Makes the bot talk about an entity of any kind.
    #[must_use]
    pub fn entity(self, kind: EntityKind, id: i64) -> Self {
        Self { entity: Some(Entity { kind, id }), ..self }
    }

    /// Sets the kind of the bot and its number.
    ///
    /// # Panics
    /// If the number is negative: Kommo has no such bot.
    #[must_use]
    #[track_caller]
    pub fn bot(self, bot_type: BotType, id: i64) -> Self {
        assert!(id >= 0, "a bot cannot have the number {id} (expected 0 or more)");
        Self { bot_type, bot_id: id, ..self }
    }

    /// Sets when the request came in.
    #[must_use]
    pub fn received_at(self, moment: Timestamp) -> Self {
        Self { received_at: moment, ..self }
    }

    /// The request as a handler gets it.
    ///
    /// # Panics
    /// If the address of the account is not one.
    #[track_caller]
    pub fn build(self) -> Request<T> {
        let (request, received) = self.parts(Value::Null, Vec::new());
        request_with(self.data, self.earlier, &request, received)
    }

    /// The request as the bridge stores it, with `data` and `earlier`.
    #[track_caller]
    fn parts(&self, data: Value, earlier: Vec<Value>) -> (WidgetRequest, ReceivedAt) {
        let Self { account_url, bot_type, bot_id, .. } = self;
        let url = format!("{account_url}/api/v4/{}/{bot_id}/continue/1", bot_type.as_str());
        let return_url: ReturnUrl = url.parse().unwrap_or_else(|_| {
            panic!("`{account_url}` is not the address of an account (expected one like https://example.kommo.com)")
        });
        let (account_id, entity) = (self.account_id, self.entity);
        (WidgetRequest { account_id, entity, return_url, data, earlier }, ReceivedAt(self.received_at))
    }
}

impl TestRequest {
    /// The request as the bridge stores it.
    #[track_caller]
    pub(super) fn into_stored(mut self) -> (WidgetRequest, ReceivedAt) {
        let (data, earlier) = (self.data.take(), std::mem::take(&mut self.earlier));
        self.parts(data, earlier)
    }
}

impl From<Value> for TestRequest {
    /// A request with this data.
    fn from(data: Value) -> Self {
        Self::new(data)
    }
}
