//! The sections as the rest of the program sees them: read, checked and in their final types.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::http_handler::HttpHandlerConfig;
use super::secret::SecretFile;
use crate::listed_setting::ListedSetting;
use model::{Budget, HandlerName, HandlerPolicy, HostRules, Outgoing, RedirectUri, ShowData};
use store::StoreUrl;

/// The whole validated configuration: see [`Config::load`].
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
    /// The absolute path of the file that was read; `None` if none was: see [`Config::read_from`].
    pub(crate) file: Option<PathBuf>,
    /// Whether [`Config::from_toml`] read it.
    pub(crate) from_text: bool,
    /// The files that secrets were read from, through `x_file` keys.
    pub(crate) secret_files: Vec<SecretFile>,
    /// All values with their origins, ordered by key. Secrets are masked.
    pub(crate) settings: Arc<[ListedSetting]>,
}

/// `[server]`: the public listener.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The address that Kommo calls.
    pub listen: SocketAddr,
    /// If set, a token's `aud` must have the same scheme and host.
    pub public_url: Option<Url>,
    /// The base of callback URLs: `callback_url`, or else `public_url`.
    pub callback_url: Option<Url>,
    /// The largest body, in bytes; larger ones get 413.
    pub max_body: usize,
    /// The time within which a job must be stored; otherwise the caller gets 503.
    pub ack_deadline: Duration,
    /// Maximum number of open connections. At the limit, a new one replaces the one that has waited longest for its
    /// caller to send or to read.
    pub max_connections: usize,
    /// Time limit for a request's head, and again for its body.
    pub read_timeout: Duration,
}

/// `[admin]`: the admin listener.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// The address of health, metrics and API.
    pub listen: SocketAddr,
    /// Bearer token for everything except health; required unless `listen` is a loopback address.
    pub token: Option<SecretString>,
    /// A token that may only read. Set only together with `token`, from which it differs.
    pub read_token: Option<SecretString>,
    /// How the bodies of jobs are shown.
    pub show_data: ShowData,
}

/// `[store]`: where jobs are stored.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// `sqlite:PATH` or `postgres://…`.
    pub url: StoreUrl,
    /// 32 bytes in base64; encrypts stored account tokens.
    pub encryption_key: Option<SecretString>,
    /// The previous key, which still decrypts.
    pub previous_encryption_key: Option<SecretString>,
    /// Finished jobs older than this are deleted.
    pub retention: Duration,
    /// Delivered and cancelled jobs older than this lose their bodies.
    pub body_retention: Duration,
    /// The folder for scheduled backups; `None` for none.
    pub backup_folder: Option<PathBuf>,
    /// The time between two scheduled backups.
    pub backup_every: Duration,
    /// How many scheduled backups are kept; at least 1.
    pub backup_keep: usize,
}

/// `[integrations.NAME]`: a Kommo integration, whose secret signs tokens.
#[derive(Clone, Debug)]
pub struct IntegrationConfig {
    /// Its id, which its tokens contain as `client_uuid`.
    pub client_uuid: String,
    /// The key that signs its tokens.
    pub client_secret: SecretString,
    /// The previous key, accepted as well.
    pub previous_client_secret: Option<SecretString>,
    /// Where Kommo sends the OAuth code, exactly as written.
    pub redirect_uri: Option<RedirectUri>,
    /// Whether an account may connect by installing the widget, without a link.
    pub install_without_link: bool,
}

/// `[accounts.NAME]`: an account with a long-lived token.
#[derive(Clone, Debug)]
pub struct AccountConfig {
    /// `https://example.kommo.com`
    pub base_url: Url,
    /// The bearer token of its continues.
    pub access_token: SecretString,
}

/// `[handlers.NAME]`
#[derive(Clone, Debug, Default)]
pub struct HandlerConfig {
    /// The built-in handler under that name; `None` for a handler registered in Rust.
    pub kind: Option<String>,
    /// How its jobs are attempted.
    pub policy: HandlerPolicy,
    /// Where it is, if its kind is `http`.
    pub http: Option<HttpHandlerConfig>,
    /// The names of the integrations whose tokens may call it; `None` for all.
    pub integrations: Option<BTreeSet<String>>,
    /// Where it was written, `FILE:LINE` or `environment variable NAME`.
    pub place: Option<String>,
}

/// `[workers]`: the pool that runs handlers.
#[derive(Clone, Debug)]
pub struct WorkersConfig {
    /// Maximum number of handlers running at once.
    pub concurrency: usize,
    /// How long running handlers and deliveries may take to finish on shutdown.
    pub grace: Duration,
}

/// `[delivery]`: the sender.
#[derive(Clone, Debug)]
pub struct DeliveryConfig {
    /// `allowed_hosts` and `insecure`: which hosts may receive a bearer token.
    pub hosts: HostRules,
    /// `proxy`, `ca_file` and `allow_private_addresses`: how calls leave this machine.
    pub outgoing: Outgoing,
    /// The variable that names a proxy which is not used, because `proxy` is not set.
    pub ignored_proxy: Option<String>,
    /// Time limit for one continue call.
    pub request_timeout: Duration,
    /// How long a continue is retried, counted from its first failed attempt.
    pub give_up_after: Duration,
    /// Maximum number of continues in flight at once, over all accounts.
    pub concurrency: usize,
    /// Maximum requests per second to one account.
    pub rate_per_account: u32,
    /// Maximum requests per second of the whole bridge, in case Kommo limits by IP address; `None` for no limit.
    pub rate_total: Option<u32>,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// `None`: text on a terminal, otherwise JSON.
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
