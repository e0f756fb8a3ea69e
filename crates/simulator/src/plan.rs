//! What one bot does: the data that it sends, how it writes them, and what goes wrong with it.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::fault::Fault;

/// The script of one bot. The default is an ordinary bot: form body, HS512, no faults.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// `data` of the `widget_request`; `null` leaves the key out.
    pub data: Value,
    /// How the body is written.
    pub body: BodyStyle,
    /// Replaces the `Content-Type` that goes with the body style: Kommo's is not to be trusted.
    pub content_type: Option<String>,
    /// What happens to the bot's continues, one entry an attempt; afterwards they are accepted.
    pub faults: Vec<Fault>,
    /// How the token is made.
    pub token: TokenStyle,
    /// Replaces the `return_url` in the request: a hostile one, or that of another bot.
    pub return_url: Option<String>,
    /// Which of Kommo's two bots it is.
    pub bot_type: BotType,
}

impl Plan {
    /// An ordinary bot that sends these data.
    #[must_use]
    pub fn with_data(data: Value) -> Self {
        Self { data, ..Self::default() }
    }

    /// The same bot with these faults, one for each attempt to continue it.
    #[must_use]
    pub fn faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.faults = faults.into_iter().collect();
        self
    }
}

/// How a bot writes the body of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyStyle {
    /// A PHP-style form, brackets percent-encoded: `data%5Blead%5D%5Bid%5D=1`.
    #[default]
    Form,
    /// The same with plain brackets: `data[lead][id]=1`.
    FormPlain,
    /// A form whose `data` is a string of JSON.
    FormJsonData,
    /// JSON, as the documentation has it.
    Json,
}

/// How a bot's token is made, right by default and wrong where a test wants it.
#[derive(Debug, Clone, Default)]
pub struct TokenStyle {
    /// What the token is signed with.
    pub algorithm: Algorithm,
    /// Replaces the account's client secret.
    pub secret: Option<String>,
    /// Laid over the claims; `null` takes a claim away.
    pub claims: Map<String, Value>,
    /// Laid over the header, after the signature was chosen; `null` takes a key away.
    pub header: Map<String, Value>,
}

/// The signature of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// HMAC with SHA-512, as Kommo signs bot tokens.
    #[default]
    Hs512,
    /// HMAC with SHA-256, as Kommo signs its other one-time tokens.
    Hs256,
    /// No signature at all, `alg` is `none`: for refusals.
    None,
}

/// Which of Kommo's two bots runs; part of the `return_url` and a claim of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BotType {
    /// `salesbot`
    #[default]
    Salesbot,
    /// `marketingbot`
    Marketingbot,
}

impl BotType {
    /// Its name in URLs and claims.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Salesbot => "salesbot",
            Self::Marketingbot => "marketingbot",
        }
    }
}

/// A request that is ready to be posted to a bridge.
#[derive(Debug, Clone)]
pub struct WidgetRequest {
    /// For the header `Content-Type`.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
    /// The signed token in the body.
    pub token: String,
    /// The token's `jti`, before any override of claims.
    pub jti: String,
    /// The `return_url` in the body.
    pub return_url: String,
}
