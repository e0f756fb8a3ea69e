//! The URL where a bot waits for its continue.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use url::Url;

/// A `return_url`: `{origin}/api/v4/{salesbot|marketingbot}/{bot_id}/continue/{continue_id}`.
///
/// Parsing checks only the form. [`HostRules`](super::HostRules) decide whether its host may get a bearer token, and the
/// bridge checks at receipt whether it belongs to the caller's account.
///
/// A bot session uses the same `return_url` for all of its requests, so it does not identify a request.
#[derive(Clone, PartialEq, Eq)]
pub struct ReturnUrl {
    url: Url,
    bot_type: BotType,
    bot_id: i64,
}

impl ReturnUrl {
    /// The whole URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The URL as text, in normalized form.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Scheme, host, and port if it is not the default: `https://example.kommo.com`.
    pub fn origin(&self) -> &str {
        let text = self.url.as_str();
        // A checked URL consists of an origin and a path.
        text.split_at(text.len() - self.url.path().len()).0
    }

    /// The same URL at the new origin of an account that has moved: `https://new.kommo.com`.
    ///
    /// # Errors
    /// `origin` is not an origin.
    pub fn at(&self, origin: &str) -> Result<Self, ReturnUrlError> {
        format!("{origin}{}", self.url.path()).parse()
    }

    /// The kind of bot that waits.
    pub const fn bot_type(&self) -> BotType {
        self.bot_type
    }

    /// The number of the bot that waits.
    pub const fn bot_id(&self) -> i64 {
        self.bot_id
    }

    /// The id of this wait. Kommo documents it as a number, but also sends letters, `_` and `-`.
    pub fn continue_id(&self) -> &str {
        self.url.path().rsplit('/').next().unwrap_or_default()
    }
}

impl FromStr for ReturnUrl {
    type Err = ReturnUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(ReturnUrlError::Url)?;
        if url.cannot_be_a_base() || url.query().is_some() || url.fragment().is_some() {
            return Err(ReturnUrlError::Shape);
        }
        let mut parts = url.path().strip_prefix("/api/v4/").ok_or(ReturnUrlError::Shape)?.split('/');
        let [Some(bot_type), Some(bot_id), Some("continue"), Some(continue_id), None] =
            std::array::from_fn(|_| parts.next())
        else {
            return Err(ReturnUrlError::Shape);
        };
        let bot_type = bot_type.parse().map_err(|_| ReturnUrlError::Shape)?;
        let plain_number = bot_id.bytes().all(|byte| byte.is_ascii_digit());
        let bot_id = bot_id.parse().ok().filter(|_| plain_number).ok_or(ReturnUrlError::Shape)?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !(1..=128).contains(&continue_id.len()) || !continue_id.bytes().all(legal) {
            return Err(ReturnUrlError::Shape);
        }
        Ok(Self { bot_type, bot_id, url })
    }
}

impl fmt::Display for ReturnUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ReturnUrl {
    /// Omits the continue id, because anyone with the whole URL and a token of the account can answer the bot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/api/v4/{}/{}/continue/…", self.origin(), self.bot_type.as_str(), self.bot_id)
    }
}

impl Serialize for ReturnUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The text is not a [`ReturnUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReturnUrlError {
    /// It is not a URL.
    #[error("it is not a URL: {0}")]
    Url(url::ParseError),
    /// It is a URL of another form.
    #[error("it is not of the form https://HOST/api/v4/(salesbot|marketingbot)/BOT_ID/continue/CONTINUE_ID")]
    Shape,
}

/// Kommo's two kinds of bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BotType {
    /// A bot that talks in chats.
    Salesbot,
    /// A bot that sends marketing messages.
    Marketingbot,
}

impl BotType {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Salesbot, Self::Marketingbot];

    /// The name that Kommo uses in paths and tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Salesbot => "salesbot",
            Self::Marketingbot => "marketingbot",
        }
    }
}

impl FromStr for BotType {
    type Err = ReturnUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(ReturnUrlError::Shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_urls_that_kommo_sends() {
        let url: ReturnUrl = "https://Example.kommo.com/api/v4/salesbot/12/continue/34".parse().unwrap();
        assert_eq!(url.as_str(), "https://example.kommo.com/api/v4/salesbot/12/continue/34");
        assert_eq!(url.origin(), "https://example.kommo.com");
        assert_eq!((url.bot_type(), url.bot_id(), url.continue_id()), (BotType::Salesbot, 12, "34"));

        let url: ReturnUrl = "http://127.0.0.1:81/api/v4/marketingbot/1/continue/aB_3-x".parse().unwrap();
        assert_eq!(url.origin(), "http://127.0.0.1:81");
        assert_eq!((url.bot_type(), url.continue_id()), (BotType::Marketingbot, "aB_3-x"));
    }

    #[test]
    fn refuses_any_other_form() {
        for path in [
            "/",
            "",
            "/api/v4/salesbot/1/continue/",
            "/api/v4/salesbot/1/continue",
            "/api/v4/salesbot//continue/1",
            "/api/v4/otherbot/1/continue/1",
            "/api/v4/salesbot/x/continue/1",
            "/api/v4/salesbot/+1/continue/1",
            "/api/v4/salesbot/1/continue/1/",
            "/api/v4/salesbot/1/continue/1?x=1",
            "/api/v4/salesbot/1/continue/1#x",
            "/api/v4/salesbot/1/continue/a%2fb",
            "/api/v4/salesbot/1/continue/../1",
            "/v4/salesbot/1/continue/1",
            "/api/v4/salesbot/99999999999999999999/continue/1",
        ] {
            let text = format!("https://example.kommo.com{path}");
            assert_eq!(text.parse::<ReturnUrl>(), Err(ReturnUrlError::Shape), "{path}");
        }
        for text in ["", "nonsense", "//a.kommo.com/api/v4/salesbot/1/continue/1", "https://"] {
            assert!(matches!(text.parse::<ReturnUrl>(), Err(ReturnUrlError::Url(_))), "{text}");
        }
        assert_eq!("mailto:a@b.c".parse::<ReturnUrl>(), Err(ReturnUrlError::Shape));
    }
}
