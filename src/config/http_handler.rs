//! The keys of a handler with `kind = "http"`, in their final types.

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use model::Outgoing;

/// `[handlers.NAME]` with `kind = "http"`: a handler at a URL.
#[derive(Clone, Debug)]
pub struct HttpHandlerConfig {
    /// The URL that gets the requests.
    pub url: Url,
    /// Signs the requests: `whsec_` and base64. `None`: they are not signed, but have `auth`.
    pub secret: Option<SecretString>,
    /// The previous secret, which signs too.
    pub previous_secret: Option<SecretString>,
    /// The value of the header `Authorization`.
    pub auth: Option<SecretString>,
    /// What the requests look like, and how responses are read.
    pub preset: Preset,
    /// Whether an answer comes with the response or later.
    pub mode: Mode,
    /// Maximum number of calls in flight.
    pub concurrency: usize,
    /// Maximum number of jobs that wait for a callback.
    pub max_awaiting: usize,
    /// `proxy` and `ca_file`. Private addresses are allowed.
    pub outgoing: Outgoing,
}

/// What the requests to a URL look like, and how its responses are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The bridge's own request.
    #[default]
    Bridge,
    /// Only the widget's data.
    Data,
    /// The chat trigger of n8n.
    N8nChat,
    /// The prediction API of Flowise.
    Flowise,
    /// The chat API of Dify.
    Dify,
    /// The chat API of Typebot.
    Typebot,
}

impl Preset {
    /// The values of the key `preset`.
    pub const NAMES: [&'static str; 6] = ["bridge", "data", "n8n-chat", "flowise", "dify", "typebot"];

    /// The value of the key `preset`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Data => "data",
            Self::N8nChat => "n8n-chat",
            Self::Flowise => "flowise",
            Self::Dify => "dify",
            Self::Typebot => "typebot",
        }
    }
}

/// Whether an answer comes with the response or later, by a callback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The response decides.
    #[default]
    Auto,
    /// Always with the response.
    Sync,
    /// Later, unless the response has a completion.
    Async,
}

impl Mode {
    /// The values of the key `mode`.
    pub const NAMES: [&'static str; 3] = ["auto", "sync", "async"];

    /// The value of the key `mode`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Sync => "sync",
            Self::Async => "async",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_and_mode_is_read_by_its_name() {
        for name in Preset::NAMES {
            let preset: Preset = serde_json::from_value(name.into()).unwrap();
            assert_eq!(preset.as_str(), name);
        }
        for name in Mode::NAMES {
            let mode: Mode = serde_json::from_value(name.into()).unwrap();
            assert_eq!(mode.as_str(), name);
        }
    }
}
