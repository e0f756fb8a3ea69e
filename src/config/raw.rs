//! The sections as written: every key is optional, and secrets also have an `x_file` key.
//!
//! The schema is generated from this file. `config schema` prints its comments and editors show them, so they address
//! the operator. A key that is missing here is unknown.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::http_handler::{Mode, Preset};
use super::ordering::Ordering;
use super::sections::LogFormat;
use super::values::{Size, Span, Text};
use model::{CheckedCompletion, HostPattern, RedirectUri, RequestRate, ShowData, Step};

/// The configuration of salesbot-bridge.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "salesbot-bridge")]
pub(super) struct Raw {
    /// The public listener.
    pub(super) server: Server,
    /// The listener for health, metrics and the API.
    pub(super) admin: Admin,
    /// Where jobs are stored.
    pub(super) store: Store,
    /// What one account may use.
    pub(super) budget: Budget,
    /// The Kommo integrations whose tokens are accepted, each under a name of your choice; at least one.
    pub(super) integrations: BTreeMap<String, Integration>,
    /// Accounts with a long-lived token, each under a name of your choice.
    pub(super) accounts: BTreeMap<String, Account>,
    /// Handlers, each under its name in the URL that a widget block calls.
    pub(super) handlers: BTreeMap<String, Handler>,
    /// The pool that runs handlers.
    pub(super) workers: Workers,
    /// The sender of continues.
    pub(super) delivery: Delivery,
    /// What to log, and how.
    pub(super) log: Log,
}

/// The public listener.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Server {
    /// Address and port that Kommo's calls reach.
    pub(super) listen: Option<Text<SocketAddr>>,
    /// The URL that Kommo calls, without `/widget_request/NAME`. If set, a token's `aud` must have the same scheme
    /// and host. May contain a path: requests are served with and without it. Must be https, unless the address is
    /// loopback or `delivery.insecure` is set.
    pub(super) public_url: Option<Text<Url>>,
    /// The URL, without `/callback/…`, at which handlers answer later. May be loopback for a handler on this machine.
    /// Default: `public_url`.
    pub(super) callback_url: Option<Text<Url>>,
    /// Larger bodies get 413. From 1KiB to 64MiB.
    pub(super) max_body: Option<Text<Size>>,
    /// If the job is not on disk within this time, the caller gets 503. Kommo waits 2s. From 1ms to 1m.
    pub(super) ack_deadline: Option<Text<Span>>,
    /// Maximum number of open connections. At the limit, a new one replaces the one that has waited longest for its
    /// caller to send or to read.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) max_connections: Option<u32>,
    /// Time limit for a request's head, and again for its body; a slower connection is closed. From 1ms to 5m.
    pub(super) read_timeout: Option<Text<Span>>,
}

/// The listener for health, metrics and the API.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Admin {
    /// Address and port. Do not expose it to the Internet.
    pub(super) listen: Option<Text<SocketAddr>>,
    /// The bearer token for everything except health. Required unless `listen` is a loopback address.
    #[schemars(schema_with = "secret")]
    pub(super) token: Option<SecretString>,
    /// The path of a file that contains `token`.
    pub(super) token_file: Option<String>,
    /// A second bearer token, which may read but change nothing. Requires `token`, and must differ from it.
    #[schemars(schema_with = "secret")]
    pub(super) read_token: Option<SecretString>,
    /// The path of a file that contains `read_token`.
    pub(super) read_token_file: Option<String>,
    /// How `data` and `completion` are shown: `never`, `masked` (keys, and the length of texts) or `full`. With `masked`,
    /// `token` may reveal them. `read_token` never gets more than `masked`.
    #[schemars(schema_with = "show_data")]
    pub(super) show_data: Option<ShowData>,
}

/// Where jobs are stored.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Store {
    /// `sqlite:PATH` or `sqlite://PATH`. The file and its folder are created if missing. A relative path is relative
    /// to the folder of the configuration file; neither `~` nor `$HOME` is expanded. Or a PostgreSQL database of its own:
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full`.
    pub(super) url: Option<String>,
    /// The path of a file that contains `url`.
    pub(super) url_file: Option<String>,
    /// 32 bytes in base64. Encrypts stored account tokens. Required if any integration has a `redirect_uri`.
    #[schemars(schema_with = "secret")]
    pub(super) encryption_key: Option<SecretString>,
    /// The path of a file that contains `encryption_key`.
    pub(super) encryption_key_file: Option<String>,
    /// The previous encryption key. While it is set, tokens that it encrypted can still be read.
    #[schemars(schema_with = "secret")]
    pub(super) previous_encryption_key: Option<SecretString>,
    /// The path of a file that contains `previous_encryption_key`.
    pub(super) previous_encryption_key_file: Option<String>,
    /// Finished jobs older than this are deleted. Only time while the bridge runs counts. From 1s to 3650d.
    pub(super) retention: Option<Text<Span>>,
    /// Delivered and cancelled jobs older than this lose `data` and `completion`. Default: the same as `retention`.
    /// From 1s to 3650d.
    pub(super) body_retention: Option<Text<Span>>,
    /// The folder into which `serve` writes backups of the store. A relative path is relative to the folder of
    /// the configuration file. Default: no scheduled backups.
    pub(super) backup_folder: Option<String>,
    /// The time between two scheduled backups. From 1m to 365d.
    pub(super) backup_every: Option<Text<Span>>,
    /// How many scheduled backups are kept; older ones are deleted.
    #[schemars(range(min = 1, max = 10_000))]
    pub(super) backup_keep: Option<u32>,
}

/// What one account may use, so that it leaves disk space for the others.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Budget {
    /// Maximum bytes of `data` and `completion` in an account's unfinished jobs; over it, the account gets 429. From
    /// 1KiB to 65536GiB.
    pub(super) unfinished: Option<Text<Size>>,
    /// Maximum bytes of `data` and `completion` in all of an account's jobs; over it, its oldest delivered and
    /// cancelled jobs lose them. From 1KiB to 65536GiB.
    pub(super) stored: Option<Text<Size>>,
    /// Maximum number of new requests from one account per period, like `600/1m`; more get 429. Default: no limit.
    pub(super) requests: Option<Text<RequestRate>>,
}

/// A Kommo integration.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Integration {
    /// The integration's id, a UUID, from its page in Kommo.
    pub(super) client_uuid: Option<String>,
    /// The integration's secret key, which signs its tokens.
    #[schemars(schema_with = "secret")]
    pub(super) client_secret: Option<SecretString>,
    /// The path of a file that contains `client_secret`.
    pub(super) client_secret_file: Option<String>,
    /// The previous secret key, after it was changed in Kommo. Both keys are accepted while this is set.
    #[schemars(schema_with = "secret")]
    pub(super) previous_client_secret: Option<SecretString>,
    /// The path of a file that contains `previous_client_secret`.
    pub(super) previous_client_secret_file: Option<String>,
    /// Where Kommo sends the OAuth code. It is sent exactly as written: copy it character for character from the
    /// integration's page.
    pub(super) redirect_uri: Option<Text<RedirectUri>>,
    /// Whether an account may connect by installing the widget, without a link from `accounts authorize`. Default:
    /// false.
    pub(super) install_without_link: Option<bool>,
}

/// An account with a long-lived token.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Account {
    /// The account's URL, like `https://example.kommo.com`. `delivery.allowed_hosts` must allow its host.
    pub(super) base_url: Option<Text<Url>>,
    /// The account's long-lived token, the bearer token of its continues.
    #[schemars(schema_with = "secret")]
    pub(super) access_token: Option<SecretString>,
    /// The path of a file that contains `access_token`.
    pub(super) access_token_file: Option<String>,
}

/// How the jobs of one handler are attempted.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Handler {
    /// A built-in handler under this name. Omit it for a handler registered in Rust.
    #[schemars(schema_with = "kind")]
    pub(super) kind: Option<String>,
    /// Maximum number of attempts before the fallback is sent. The delay between them starts at 250ms to 500ms and
    /// doubles, up to 8s or a sixth of `answer_within`, whichever is longer.
    #[schemars(range(min = 1, max = 1_000))]
    pub(super) max_attempts: Option<u32>,
    /// Time limit for one attempt. From 1ms to 1d.
    pub(super) attempt_timeout: Option<Text<Span>>,
    /// Time limit for the handler's answer, counted from receipt of the request; then the fallback is sent. In its
    /// last second, only a first attempt may start. From 1ms to 30d.
    pub(super) answer_within: Option<Text<Span>>,
    /// What the bot gets if the handler has no answer: the body of a continue.
    #[schemars(schema_with = "fallback")]
    pub(super) fallback: Option<CheckedCompletion>,
    /// Where the bot continues if Kommo does not accept a completion that has only data. A wrong step makes the bot
    /// loop.
    #[schemars(schema_with = "goto")]
    pub(super) goto: Option<Step>,
    /// Whether the jobs of a conversation, that is of one account and entity, run one at a time in order of receipt
    /// (`conversation`), or side by side (`none`). Default: none.
    #[schemars(schema_with = "ordering")]
    pub(super) ordering: Option<Ordering>,
    /// With `ordering = "conversation"`: messages that come within this time after another one are answered together, at
    /// the latest after three times this long. 0s, the default, answers each alone. From 0s to 1h.
    pub(super) coalesce: Option<Text<Span>>,
    /// Integrations whose tokens may call this handler, by their names in `[integrations.NAME]`. Default: all.
    pub(super) integrations: Option<Vec<String>>,
    /// With `kind = "http"`: the URL that gets the requests. http is only for loopback and private addresses.
    pub(super) url: Option<Text<Url>>,
    /// With `kind = "http"`: signs the requests, as Standard Webhooks defines it. `whsec_` followed by 24 to 64 bytes in
    /// base64. Required unless `auth` is set.
    #[schemars(schema_with = "secret")]
    pub(super) secret: Option<SecretString>,
    /// The path of a file that contains `secret`.
    pub(super) secret_file: Option<String>,
    /// With `kind = "http"`: the previous secret. While it is set, each request has the signatures of both.
    #[schemars(schema_with = "secret")]
    pub(super) previous_secret: Option<SecretString>,
    /// The path of a file that contains `previous_secret`.
    pub(super) previous_secret_file: Option<String>,
    /// With `kind = "http"`: the value of the header `Authorization`, for a tool that cannot verify signatures. Without
    /// `secret`, requests are not signed.
    #[schemars(schema_with = "secret")]
    pub(super) auth: Option<SecretString>,
    /// The path of a file that contains `auth`.
    pub(super) auth_file: Option<String>,
    /// With `kind = "http"`: the tool whose requests and responses these are. Default: bridge.
    #[schemars(schema_with = "preset")]
    pub(super) preset: Option<Preset>,
    /// With `kind = "http"`: whether answers come with the response (`sync`), later by a callback (`async`), or as the
    /// response says (`auto`). Default: auto.
    #[schemars(schema_with = "mode")]
    pub(super) mode: Option<Mode>,
    /// With `kind = "http"`: maximum number of calls in flight. Does not count towards `workers.concurrency`. Default: 64.
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) concurrency: Option<u32>,
    /// With `kind = "http"`: maximum number of jobs that wait for a callback; beyond it, the response 202 counts as a retry.
    /// Default: 10000.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(super) max_awaiting: Option<u32>,
    /// With `kind = "http"`: the proxy for calls to this handler, in the form of `delivery.proxy`. Default: none.
    #[schemars(schema_with = "secret")]
    pub(super) proxy: Option<SecretString>,
    /// The path of a file that contains `proxy`.
    pub(super) proxy_file: Option<String>,
    /// With `kind = "http"`: the path of a PEM file of CA certificates to trust in addition to the system's.
    pub(super) ca_file: Option<String>,
}

/// The pool that runs handlers.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Workers {
    /// Maximum number of handlers running at once.
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) concurrency: Option<u32>,
    /// On shutdown, how long running handlers and deliveries may take to finish, counted from the signal. From 0s to
    /// 1h.
    pub(super) grace: Option<Text<Span>>,
}

/// The sender of continues.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Delivery {
    /// Hosts that may receive a bearer token and, with OAuth, an integration's secret key. `*.` matches any
    /// subdomain; an entry may include a port. List only hosts that Kommo controls.
    pub(super) allowed_hosts: Option<Vec<Text<HostPattern>>>,
    /// Allows http, IP addresses in URLs, and private addresses. For tests only.
    pub(super) insecure: Option<bool>,
    /// The proxy for all calls to Kommo, like `http://proxy.example:3128` (http, https, socks5, socks5h), with an
    /// optional `user:password@`. `env` uses HTTPS_PROXY (else ALL_PROXY), except for NO_PROXY. Default: none, even
    /// if those variables are set.
    #[schemars(schema_with = "secret")]
    pub(super) proxy: Option<SecretString>,
    /// The path of a file that contains `proxy`.
    pub(super) proxy_file: Option<String>,
    /// The path of a PEM file of CA certificates to trust in addition to the system's.
    pub(super) ca_file: Option<String>,
    /// Allows a host in `allowed_hosts` to resolve to a private address, still over https, for a gateway in your own
    /// network.
    pub(super) allow_private_addresses: Option<bool>,
    /// Time limit for one continue call. From 1ms to 10m.
    pub(super) request_timeout: Option<Text<Span>>,
    /// How long a continue is retried, counted from its first failed attempt; then the job is dead. Waiting for the
    /// account does not count. From 1ms to 30d.
    pub(super) give_up_after: Option<Text<Span>>,
    /// Maximum number of continues in flight at once, over all accounts.
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) concurrency: Option<u32>,
    /// Maximum requests per second to one account.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) rate_per_account: Option<u32>,
    /// Maximum requests per second of the whole bridge. Default: no limit.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) rate_total: Option<u32>,
}

/// What to log, and how.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    /// `text` for people, `json` for machines. Default: text on a terminal, otherwise JSON.
    #[schemars(schema_with = "log_format")]
    pub(super) format: Option<LogFormat>,
    /// What to log, like `info` or `info,salesbot_bridge=debug`.
    pub(super) filter: Option<String>,
}

fn secret(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "writeOnly": true })
}

fn kind(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": super::BUILT_IN_KINDS })
}

fn show_data(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ShowData::NAMES })
}

fn ordering(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": Ordering::NAMES })
}

fn preset(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": Preset::NAMES })
}

fn mode(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": Mode::NAMES })
}

fn log_format(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["text", "json"] })
}

fn fallback(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "data": { "description": "What the bot reads as {{json.KEY}}: a table or a list." },
            "execute_handlers": { "type": "array", "maxItems": 10, "items": { "type": "object" } },
        },
    })
}

fn goto(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": false,
        "required": ["type", "step"],
        "properties": {
            "type": { "type": "string", "enum": ["question", "answer", "finish"] },
            "step": { "type": "integer", "minimum": 0, "maximum": u32::MAX },
        },
    })
}
