//! The plan of one bot: the data that it sends, the format, and the faults.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::fault::Fault;

/// The plan of one bot. The default is an ordinary bot: form body, HS512, no faults.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// `data` of the `widget_request`; `null` leaves the key out.
    pub data: Value,
    /// The format of the body.
    pub body: BodyStyle,
    /// Overrides the `Content-Type` of the body style. A bridge cannot rely on Kommo's.
    pub content_type: Option<String>,
    /// Faults of the bot's continues, one for each attempt. Later attempts are accepted.
    pub faults: Vec<Fault>,
    /// How the token is made.
    pub token: TokenStyle,
    /// Overrides the `return_url` in the request, with a hostile one or that of another bot.
    pub return_url: Option<String>,
    /// Which of Kommo's two bots this is.
    pub bot_type: BotType,
}

impl Plan {
    /// An ordinary bot that sends this data.
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

/// The format of a bot's request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyStyle {
    /// A PHP-style form with percent-encoded brackets: `data%5Blead%5D%5Bid%5D=1`.
    #[default]
    Form,
    /// The same with plain brackets: `data[lead][id]=1`.
    FormPlain,
    /// A form with `data` as a string of JSON.
    FormJsonData,
    /// JSON, as in Kommo's documentation.
    Json,
}

/// How a bot's token is made. The default is a valid token; tests change parts of it.
#[derive(Debug, Clone, Default)]
pub struct TokenStyle {
    /// The algorithm of the signature.
    pub algorithm: Algorithm,
    /// Overrides the account's client secret.
    pub secret: Option<String>,
    /// Overrides claims; `null` removes a claim.
    pub claims: Map<String, Value>,
    /// Overrides keys of the header; `null` removes a key. `alg` here does not change the signature.
    pub header: Map<String, Value>,
}

/// The signature algorithm of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// HMAC with SHA-512, as Kommo signs bot tokens.
    #[default]
    Hs512,
    /// HMAC with SHA-256, as Kommo signs its other one-time tokens.
    Hs256,
    /// No signature, `alg` is `none`. The bridge must refuse such a token.
    None,
}

/// Which of Kommo's two bots runs. Part of the `return_url`, and a claim of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BotType {
    /// `salesbot`
    #[default]
    Salesbot,
    /// `marketingbot`
    Marketingbot,
}

impl BotType {
    /// The name in URLs and claims.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Salesbot => "salesbot",
            Self::Marketingbot => "marketingbot",
        }
    }
}

/// A request that is ready to post to a bridge.
#[derive(Debug, Clone)]
pub struct WidgetRequest {
    /// The value of the header `Content-Type`.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
    /// The signed token in the body.
    pub token: String,
    /// The token's `jti` before overrides.
    pub jti: String,
    /// The `return_url` in the body.
    pub return_url: String,
}
