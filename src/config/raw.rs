//! The sections as they are written: every key optional, secrets also as `x_file`.
//!
//! The schema is made from this file: its comments are what `config schema` prints and what an editor
//! shows, so they are written for the person who configures. A key that is missing here is unknown.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::sections::LogFormat;
use super::values::{Size, Span, Text};
use model::{CheckedCompletion, HostPattern, RedirectUri, RequestRate, Step};

/// The configuration of salesbot-bridge.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "salesbot-bridge")]
pub(super) struct Raw {
    /// The public listener.
    pub(super) server: Server,
    /// The listener for health, metrics and the API.
    pub(super) admin: Admin,
    /// Where jobs are kept.
    pub(super) store: Store,
    /// What each account may use.
    pub(super) budget: Budget,
    /// The Kommo integrations whose tokens are accepted, by a name of your choice; at least one.
    pub(super) integrations: BTreeMap<String, Integration>,
    /// Accounts with a long-lived token, by a name of your choice.
    pub(super) accounts: BTreeMap<String, Account>,
    /// Handlers by their name in the URL that a widget block calls.
    pub(super) handlers: BTreeMap<String, Handler>,
    /// The pool that runs handlers.
    pub(super) workers: Workers,
    /// The sender of continues.
    pub(super) delivery: Delivery,
    /// What is logged, and how.
    pub(super) log: Log,
}

/// The public listener.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Server {
    /// The address that Kommo's calls reach, with its port.
    pub(super) listen: Option<Text<SocketAddr>>,
    /// What Kommo calls, before `/widget_request/NAME`; when set, a token's `aud` must have its scheme and host. May have a path:
    /// requests are served with and without it. https, unless it is a loopback address or under `delivery.insecure`.
    pub(super) public_url: Option<Text<Url>>,
    /// Larger bodies get 413. 1KiB to 64MiB.
    pub(super) max_body: Option<Text<Size>>,
    /// When storing takes longer the caller gets 503. Kommo itself waits 2s. 1ms to 1m.
    pub(super) ack_deadline: Option<Text<Span>>,
    /// Connections open at once; at the cap, a further one takes the place of the one that has waited longest for its caller.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) max_connections: Option<u32>,
    /// A request whose head, and then whose body, takes longer is cut. 1ms to 5m.
    pub(super) read_timeout: Option<Text<Span>>,
}

/// The listener for health, metrics and the API.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Admin {
    /// Its address and port; keep it away from the Internet.
    pub(super) listen: Option<Text<SocketAddr>>,
    /// The bearer of everything but health; required unless `listen` is a loopback address.
    #[schemars(schema_with = "secret")]
    pub(super) token: Option<SecretString>,
    /// The path of a file that holds `token`.
    pub(super) token_file: Option<String>,
}

/// Where jobs are kept.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Store {
    /// `sqlite:PATH` or `sqlite://PATH`; the file and its folder are made. A relative path starts at the working directory;
    /// neither `~` nor `$HOME` is expanded.
    pub(super) url: Option<String>,
    /// 32 bytes in base64; encrypts stored account tokens. Required as soon as an integration has a `redirect_uri`.
    #[schemars(schema_with = "secret")]
    pub(super) encryption_key: Option<SecretString>,
    /// The path of a file that holds `encryption_key`.
    pub(super) encryption_key_file: Option<String>,
    /// The key before it was changed; tokens that it encrypted can still be read while it is set.
    #[schemars(schema_with = "secret")]
    pub(super) previous_encryption_key: Option<SecretString>,
    /// The path of a file that holds `previous_encryption_key`.
    pub(super) previous_encryption_key_file: Option<String>,
    /// Finished jobs older than this are deleted; only time in which the bridge runs counts. 1s to 3650d.
    pub(super) retention: Option<Text<Span>>,
    /// Delivered and cancelled jobs older than this lose `data` and `completion`; by default as `retention`. 1s to 3650d.
    pub(super) body_retention: Option<Text<Span>>,
}

/// What each account may use, so that it cannot take the disk from the others.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Budget {
    /// Bytes of `data` and `completion` of an account's unfinished jobs; beyond it the account gets 429. 1KiB to 65536GiB.
    pub(super) unfinished: Option<Text<Size>>,
    /// The same of all its jobs; beyond it the bodies of its oldest delivered and cancelled jobs are dropped. 1KiB to 65536GiB.
    pub(super) stored: Option<Text<Size>>,
    /// New requests of an account in a span of time; further ones get 429. No limit where it is left out.
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
    /// The path of a file that holds `client_secret`.
    pub(super) client_secret_file: Option<String>,
    /// The secret key before it was changed in Kommo, accepted as well while it is set.
    #[schemars(schema_with = "secret")]
    pub(super) previous_client_secret: Option<SecretString>,
    /// The path of a file that holds `previous_client_secret`.
    pub(super) previous_client_secret_file: Option<String>,
    /// Where Kommo sends the OAuth code, character for character as on the integration's page: it is sent as written.
    pub(super) redirect_uri: Option<Text<RedirectUri>>,
    /// Whether the installation of the widget may connect an account without a link of `accounts authorize`. Left out: false.
    pub(super) install_without_link: Option<bool>,
}

/// An account with a long-lived token.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Account {
    /// The account's address, like `https://example.kommo.com`. Its host must be in `delivery.allowed_hosts`.
    pub(super) base_url: Option<Text<Url>>,
    /// The account's long-lived token: the bearer of its continues.
    #[schemars(schema_with = "secret")]
    pub(super) access_token: Option<SecretString>,
    /// The path of a file that holds `access_token`.
    pub(super) access_token_file: Option<String>,
}

/// How the jobs of one handler are tried.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Handler {
    /// A built-in handler under this name; left out for a handler that is registered in Rust.
    #[schemars(schema_with = "kind")]
    pub(super) kind: Option<String>,
    /// Attempts before the fallback goes out. The delay between them begins at 250ms to 500ms and doubles, up to 8s or a sixth of
    /// `answer_within`, whichever is longer.
    #[schemars(range(min = 1, max = 1_000))]
    pub(super) max_attempts: Option<u32>,
    /// The longest that one attempt may take. 1ms to 1d.
    pub(super) attempt_timeout: Option<Text<Span>>,
    /// Counted from receipt: then the fallback goes out. Only a first attempt may begin in the last second of it. 1ms to 30d.
    pub(super) answer_within: Option<Text<Span>>,
    /// What the bot gets when the handler has no answer: the body of a continue.
    #[schemars(schema_with = "fallback")]
    pub(super) fallback: Option<CheckedCompletion>,
    /// Sent with a completion that has data alone, if Kommo insists on a handler. A wrong step loops the bot.
    #[schemars(schema_with = "goto")]
    pub(super) goto: Option<Step>,
    /// Only tokens of these integrations may call the handler, by their names in `[integrations.NAME]`; left out: all.
    pub(super) integrations: Option<Vec<String>>,
}

/// The pool that runs handlers.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Workers {
    /// Handlers running at once.
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) concurrency: Option<u32>,
    /// On shutdown running handlers and deliveries may take this long to finish, counted from the signal. 0s to 1h.
    pub(super) grace: Option<Text<Span>>,
}

/// The sender of continues.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Delivery {
    /// Hosts that may get a bearer token and, with OAuth, an integration's secret key; `*.` matches any subdomain, an entry
    /// may name a port. Only hosts that Kommo answers for.
    pub(super) allowed_hosts: Option<Vec<Text<HostPattern>>>,
    /// Allows http, IP literals and private addresses. For tests only.
    pub(super) insecure: Option<bool>,
    /// The proxy for all calls to Kommo, like `http://proxy.example:3128` (http, https, socks5, socks5h), perhaps with
    /// `user:password@`; or `env`: the one of HTTPS_PROXY (else ALL_PROXY), except for NO_PROXY. Left out: none, whatever the environment says.
    #[schemars(schema_with = "secret")]
    pub(super) proxy: Option<SecretString>,
    /// The path of a file that holds `proxy`.
    pub(super) proxy_file: Option<String>,
    /// The path of a file with certificates of CAs in PEM, trusted besides those of the system.
    pub(super) ca_file: Option<String>,
    /// Allows a host of `allowed_hosts` to lead to a private address, still over https: for a gateway in your own network.
    pub(super) allow_private_addresses: Option<bool>,
    /// The longest that one continue may take. 1ms to 10m.
    pub(super) request_timeout: Option<Text<Span>>,
    /// The longest that all attempts of one continue may take. 1ms to 30d.
    pub(super) give_up_after: Option<Text<Span>>,
    /// Continues in flight at once, over all accounts.
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) concurrency: Option<u32>,
    /// Requests per second to one account.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) rate_per_account: Option<u32>,
    /// Requests per second of the whole bridge; no limit where it is left out.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) rate_total: Option<u32>,
}

/// What is logged, and how.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    /// `text` for people, `json` for machines; left out: text on a terminal, else JSON.
    #[schemars(schema_with = "log_format")]
    pub(super) format: Option<LogFormat>,
    /// What is logged, like `info` or `info,salesbot_bridge=debug`.
    pub(super) filter: Option<String>,
}

fn secret(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "writeOnly": true })
}

fn kind(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": super::BUILT_IN_KINDS })
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
