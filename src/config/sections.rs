//! The sections as the rest of the program sees them: read, checked and in their final types.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::secret::SecretFile;
use model::{Budget, HandlerName, HandlerPolicy, HostRules, Outgoing, RedirectUri};

/// The whole configuration, validated: see [`Config::load`].
#[derive(Clone, Debug)]
pub struct Config {
    /// `[server]`
    pub(crate) server: ServerConfig,
    /// `[admin]`
    pub(crate) admin: AdminConfig,
    /// `[store]`
    pub(crate) store: StoreConfig,
    /// `[budget]`
    pub(crate) budget: Budget,
    /// `[integrations.NAME]`; at least one.
    pub(crate) integrations: BTreeMap<String, IntegrationConfig>,
    /// `[accounts.NAME]`
    pub(crate) accounts: BTreeMap<String, AccountConfig>,
    /// `[handlers.NAME]`
    pub(crate) handlers: BTreeMap<HandlerName, HandlerConfig>,
    /// `[workers]`
    pub(crate) workers: WorkersConfig,
    /// `[delivery]`
    pub(crate) delivery: DeliveryConfig,
    /// `[log]`
    pub(crate) log: LogConfig,
    /// The absolute path of the file that was read; `None` if there was none: see [`Config::read_from`].
    pub(crate) file: Option<PathBuf>,
    /// Whether [`Config::from_toml`] read it.
    pub(crate) from_text: bool,
    /// The files that secrets were read from, by `x_file` keys.
    pub(crate) secret_files: Vec<SecretFile>,
}

/// `[server]`: the public listener.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// What Kommo calls.
    pub listen: SocketAddr,
    /// When set, a token's `aud` must be its scheme and host.
    pub public_url: Option<Url>,
    /// Larger bodies get 413, in bytes.
    pub max_body: usize,
    /// Past it the caller gets 503.
    pub ack_deadline: Duration,
    /// Connections open at once; at the cap, a further one takes the place of the one that has waited longest for its caller.
    pub max_connections: usize,
    /// A request whose head, and then whose body, takes longer is cut.
    pub read_timeout: Duration,
}

/// `[admin]`: the admin listener.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// Health, metrics, API.
    pub listen: SocketAddr,
    /// Bearer for all but health; required unless `listen` is a loopback address.
    pub token: Option<SecretString>,
}

/// `[store]`: where jobs are kept.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// `sqlite:PATH`.
    pub url: String,
    /// 32 bytes, base64: encrypts stored account tokens.
    pub encryption_key: Option<SecretString>,
    /// The key that is being replaced: it still decrypts.
    pub previous_encryption_key: Option<SecretString>,
    /// Finished jobs older than this are deleted.
    pub retention: Duration,
    /// Delivered and cancelled jobs older than this lose their bodies.
    pub body_retention: Duration,
}

/// `[integrations.NAME]`: a Kommo integration, whose secret signs tokens.
#[derive(Clone, Debug)]
pub struct IntegrationConfig {
    /// Its id, the token's `client_uuid`.
    pub client_uuid: String,
    /// Signs its tokens.
    pub client_secret: SecretString,
    /// Also accepted, while the secret is being changed.
    pub previous_client_secret: Option<SecretString>,
    /// Where Kommo sends the OAuth code, as written.
    pub redirect_uri: Option<RedirectUri>,
    /// Whether an installation may connect an account without a link.
    pub install_without_link: bool,
}

/// `[accounts.NAME]`: an account with a long-lived token.
#[derive(Clone, Debug)]
pub struct AccountConfig {
    /// `https://example.kommo.com`
    pub base_url: Url,
    /// The bearer of its continues.
    pub access_token: SecretString,
}

/// `[handlers.NAME]`
#[derive(Clone, Debug, Default)]
pub struct HandlerConfig {
    /// A built-in handler under that name; none for a handler registered in Rust.
    pub kind: Option<String>,
    /// How its jobs are tried.
    pub policy: HandlerPolicy,
    /// The names of the integrations whose tokens may call it; `None`: all.
    pub integrations: Option<BTreeSet<String>>,
    /// Where it was written, `FILE:LINE` or `environment variable NAME`.
    pub place: Option<String>,
}

/// `[workers]`: the pool that runs handlers.
#[derive(Clone, Debug)]
pub struct WorkersConfig {
    /// Handlers running at once.
    pub concurrency: usize,
    /// On shutdown running handlers and deliveries may take this long to finish.
    pub grace: Duration,
}

/// `[delivery]`: the sender.
#[derive(Clone, Debug)]
pub struct DeliveryConfig {
    /// `allowed_hosts` and `insecure`: which hosts may get a bearer.
    pub hosts: HostRules,
    /// `proxy`, `ca_file` and `allow_private_addresses`: how calls leave this machine.
    pub outgoing: Outgoing,
    /// The variable that names a proxy which is not used, because `proxy` is not set.
    pub ignored_proxy: Option<String>,
    /// One continue.
    pub request_timeout: Duration,
    /// All of them.
    pub give_up_after: Duration,
    /// Continues in flight at once, over all accounts.
    pub concurrency: usize,
    /// Requests per second and account.
    pub rate_per_account: u32,
    /// Requests per second of the whole bridge, if Kommo counts by address; none for no limit.
    pub rate_total: Option<u32>,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// None: text on a terminal, else JSON.
    pub format: Option<LogFormat>,
    /// A filter like `info,salesbot_bridge=debug`.
    pub filter: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}
