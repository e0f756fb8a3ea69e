//! The answers of `init`: the form of each, whether it comes from an option, a question or an earlier `bridge.toml`.
//!
//! An answer is tried in a small configuration, so `init` accepts and refuses what `serve` would, in the same words.

use clap::ValueEnum;
use secrecy::SecretString;
use url::Url;

use crate::config::Config;
use model::HandlerName;

/// What answers the bots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Kind {
    /// The built-in handler, which sends the bot's data back: to try the way to Kommo and back
    Echo,
    /// A program at a URL, in any language
    Http,
    /// A workflow in n8n
    N8n,
    /// A handler in Rust: a new Cargo package beside the configuration
    Rust,
}

/// How the bridge gets the token of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Connect {
    /// One account, with a long-lived token from Kommo
    Token,
    /// Accounts that a person connects by OAuth
    Oauth,
}

/// All answers, checked.
pub(super) struct Answers {
    pub(super) public_url: Url,
    pub(super) handler: HandlerName,
    pub(super) kind: HandlerKind,
    pub(super) client_uuid: String,
    pub(super) client_secret: SecretString,
    pub(super) access: Access,
}

/// What answers the bots, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HandlerKind {
    Echo,
    Http(Url),
    N8n(Url),
    Rust,
}

/// How the bridge gets the token of an account.
pub(super) enum Access {
    Token(Account),
    Oauth,
}

/// An account with a long-lived token.
pub(super) struct Account {
    /// Its name in the configuration.
    pub(super) name: String,
    pub(super) base_url: Url,
    pub(super) token: SecretString,
}

impl Account {
    pub(super) fn new(base_url: Url, token: SecretString) -> Self {
        let host = base_url.host_str().unwrap_or_default();
        let first = host.split('.').next().unwrap_or_default();
        let is_key = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let name = if !is_on_this_machine(&base_url) && is_key(first) { first } else { "simulator" };
        Self { name: name.to_owned(), base_url, token }
    }

    /// The host, with the port if the URL has one.
    pub(super) fn authority(&self) -> String {
        let host = self.base_url.host_str().unwrap_or_default();
        self.base_url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

/// Whether the URL is one of this machine's loopback addresses over http, so that nothing leaves the machine.
pub(super) fn is_on_this_machine(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && is_loopback
}

/// An integration for configurations in which only one other value is tried.
const SOME_ID: &str = "11111111-0c1e-4d57-8c6e-2f6f3f1f0d11";
const SOME_SECRET: &str = "5c1a8e";

/// The text as a value in TOML.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Tries `toml` beside an integration that is accepted. The error is about the only value that can be wrong.
fn try_beside_integration(toml: &str) -> Result<(), String> {
    try_integration(SOME_ID, SOME_SECRET, toml)
}

fn try_integration(id: &str, secret: &str, toml: &str) -> Result<(), String> {
    let (id, secret) = (quoted(id), quoted(secret));
    let text = format!("[integrations.main]\nclient_uuid = {id}\nclient_secret = {secret}\n{toml}");
    let Err(error) = Config::from_toml(&text) else { return Ok(()) };
    Err(error.problems().first().map_or_else(|| error.to_string(), |problem| problem.message.clone()))
}

/// The text as a URL. A host alone gets `https://`.
fn url(text: &str) -> String {
    let text = text.trim().trim_end_matches('/');
    if text.contains("://") { text.to_owned() } else { format!("https://{text}") }
}

fn parsed(text: &str) -> Result<Url, String> {
    text.parse().map_err(|_| "must be a URL like https://bots.example.com".to_owned())
}

/// The address at which Kommo reaches the bridge.
///
/// # Errors
/// `server.public_url` would be refused.
pub(super) fn public_url(text: &str) -> Result<Url, String> {
    let text = url(text);
    try_beside_integration(&format!("[server]\npublic_url = {}\n", quoted(&text)))?;
    parsed(&text)
}

/// The name of the handler, which ends the URL that the widget block calls.
///
/// # Errors
/// It cannot be a handler's name.
pub(super) fn handler(text: &str) -> Result<HandlerName, String> {
    text.trim().parse().map_err(|error| format!("{error}"))
}

/// The URL that gets the requests of a handler.
///
/// # Errors
/// `handlers.NAME.url` would be refused.
pub(super) fn handler_url(text: &str) -> Result<Url, String> {
    let text = text.trim();
    let tried = format!("[handlers.a]\nkind = \"http\"\nauth = \"Bearer a\"\nurl = {}\n", quoted(text));
    try_beside_integration(&tried)?;
    parsed(text)
}

/// The id of the integration.
///
/// # Errors
/// `integrations.NAME.client_uuid` would be refused.
pub(super) fn client_uuid(text: &str) -> Result<String, String> {
    let text = text.trim();
    try_integration(text, SOME_SECRET, "").map(|()| text.to_owned())
}

/// The secret key of the integration.
///
/// # Errors
/// `integrations.NAME.client_secret` would be refused. The error does not repeat the text.
pub(super) fn client_secret(text: &str) -> Result<SecretString, String> {
    let text = text.trim();
    try_integration(SOME_ID, text, "").map(|()| SecretString::from(text))
}

/// The URL of the account: only scheme and host, whatever follows them.
///
/// # Errors
/// `accounts.NAME.base_url` would be refused.
pub(super) fn account_url(text: &str) -> Result<Url, String> {
    let whole = parsed(&url(text))?;
    let text = whole.origin().ascii_serialization();
    let secret = SecretString::from("unused");
    let delivery = delivery(&Account::new(whole, secret));
    try_beside_integration(&format!(
        "[accounts.a]\naccess_token = \"5c1a8e\"\nbase_url = {}\n{delivery}",
        quoted(&text)
    ))?;
    parsed(&text)
}

/// The long-lived token of the account.
///
/// # Errors
/// `accounts.NAME.access_token` would be refused. The error does not repeat the text.
pub(super) fn access_token(text: &str) -> Result<SecretString, String> {
    let text = text.trim();
    let tried =
        format!("[accounts.a]\nbase_url = \"https://a.kommo.com\"\naccess_token = {}\n", quoted(text));
    try_beside_integration(&tried).map(|()| SecretString::from(text))
}

/// The section `[delivery]` if the account is simulated on this machine, else nothing.
pub(super) fn delivery(account: &Account) -> String {
    if !is_on_this_machine(&account.base_url) {
        return String::new();
    }
    let host = quoted(&account.authority());
    format!("[delivery]\nallowed_hosts = [{host}]\ninsecure = true\n")
}

/// The answers that an earlier `bridge.toml` holds. They are the defaults when `init` runs again.
#[derive(Default)]
pub(super) struct Earlier {
    pub(super) public_url: Option<String>,
    pub(super) kind: Option<Kind>,
    pub(super) handler: Option<String>,
    pub(super) handler_url: Option<String>,
    pub(super) client_uuid: Option<String>,
    pub(super) client_secret: Option<SecretString>,
    pub(super) connect: Option<Connect>,
    pub(super) account: Option<String>,
    pub(super) access_token: Option<SecretString>,
}

impl Earlier {
    /// Takes the first integration, account and handler of the configuration.
    pub(super) fn of(config: &Config) -> Self {
        let integration = config.integrations.values().next();
        let account = config.accounts.values().next();
        let handler = config.handlers.iter().next();
        let http = handler.and_then(|(_, handler)| handler.http.as_ref());
        let kind = handler.map(|(_, handler)| match (handler.kind.as_deref(), http) {
            (None, _) => Kind::Rust,
            (_, Some(http)) if http.secret.is_none() => Kind::N8n,
            (_, Some(_)) => Kind::Http,
            _ => Kind::Echo,
        });
        let connects = integration.is_some_and(|integration| integration.redirect_uri.is_some());
        let connect = match account {
            Some(_) => Some(Connect::Token),
            None => connects.then_some(Connect::Oauth),
        };
        Self {
            public_url: config.server.public_url.as_ref().map(written),
            kind,
            handler: handler.map(|(name, _)| name.as_str().to_owned()),
            handler_url: http.map(|http| http.url.to_string()),
            client_uuid: integration.map(|integration| integration.client_uuid.clone()),
            client_secret: integration.map(|integration| integration.client_secret.clone()),
            connect,
            account: account.map(|account| written(&account.base_url)),
            access_token: account.map(|account| account.access_token.clone()),
        }
    }
}

/// The URL without a slash at its end.
pub(super) fn written(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests;
