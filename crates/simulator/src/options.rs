//! The options of a simulated account: names, secrets, limits.
//!
//! The default `client_uuid`, secret and token are hashes of fixed labels: they look random, are the same in
//! every run, and keep literal secrets out of the source.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::language::Language;
use super::time::TimeSource;

/// The options of one simulated account. Start from [`Options::default`].
#[derive(Debug, Clone)]
pub struct Options {
    /// The address to listen on. Port 0, the default, takes a free port of the loopback interface.
    pub listen: SocketAddr,
    /// The account's id, claim `account_id` of its tokens.
    pub account_id: i64,
    /// The account's name, claim `subdomain` of its tokens.
    pub subdomain: String,
    /// The integration's id, claim `client_uuid` of its tokens.
    pub client_uuid: String,
    /// The integration's secret: the account signs bot tokens with it, and the token endpoint requires it.
    pub client_secret: String,
    /// The long-lived token: a bearer that is always valid, besides OAuth access tokens.
    pub access_token: String,
    /// Where a user returns after granting access. If a test learns the bridge's port only later:
    /// [`Simulator::set_redirect_uri`](super::Simulator::set_redirect_uri).
    pub redirect_uri: String,
    /// The lifetime of an OAuth access token, in whole seconds. Default: a day.
    pub access_token_lifetime: Duration,
    /// The latency of the token endpoint. A second refresh with the same token within this time is
    /// refused. Default: 20 ms.
    pub token_latency: Duration,
    /// Whether the user behind the tokens is an administrator. Only an administrator may continue bots
    /// and install or uninstall widgets. Default: yes.
    /// [`Simulator::set_administrator`](super::Simulator::set_administrator) changes it later.
    pub administrator: bool,
    /// The number of made-up widgets, in addition to those that every account has. Default: 3.
    pub more_widgets: usize,
    /// The number of API calls allowed in any one second; further calls get 429. Kommo allows 7. Default:
    /// `None`, no limit.
    pub rate_limit: Option<u32>,
    /// The delay before an API call takes effect and gets its response. Default: zero.
    pub latency: Duration,
    /// The language of the account's problem documents. Default: English.
    pub language: Language,
    /// The response to a continue that has `data` but no `execute_handlers`.
    pub data_alone: DataAlone,
    /// Whether to keep every call and every event. If off, the simulator keeps only counts and each bot's
    /// last continue, so that a long load test does not exhaust the memory. Default: on.
    pub record: bool,
    /// How long a bot waits for the response to its `widget_request`. Default: 2 seconds, as Kommo's bots do.
    pub answer_timeout: Duration,
    /// A program that has the command [`SCRIPT_COMMAND`](super::SCRIPT_COMMAND). It runs each script of an
    /// uploaded widget in its own process, which the simulator kills at the time limit. Default: `None`. Scripts
    /// then run on threads, and a script that cannot be interrupted keeps its thread.
    pub script_program: Option<PathBuf>,
    /// The seed of generated ids. Default: `None`, a new seed at each start, because repeated ids would
    /// look like duplicates to a bridge that remembers them.
    pub seed: Option<u64>,
    /// The wall clock for `iat`, `nbf` and `exp` and for every expiry.
    pub clock: TimeSource,
}

/// Kommo's response to `data` without the key `execute_handlers`. Real accounts show both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DataAlone {
    /// 202: the bot continues.
    #[default]
    Accept202,
    /// 400 with code `TooFew`: the bot keeps waiting.
    TooFew400,
}

impl Default for Options {
    fn default() -> Self {
        Self::numbered(1)
    }
}

impl Options {
    /// The defaults of the account with this number. Accounts with different numbers share the
    /// integration (`client_uuid`, `client_secret`) but have their own id, name and token.
    #[must_use]
    pub fn numbered(number: u32) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            account_id: 31_000_000 + i64::from(number),
            subdomain: if number == 1 { "simulator".to_owned() } else { format!("simulator{number}") },
            client_uuid: uuid_from(&derived("client uuid", 0)),
            client_secret: hex(&derived("client secret", 0)),
            access_token: hex(&derived("access token", number)),
            redirect_uri: "http://127.0.0.1:8080/oauth/callback".to_owned(),
            access_token_lifetime: Duration::from_secs(86_400),
            token_latency: Duration::from_millis(20),
            administrator: true,
            more_widgets: 3,
            rate_limit: None,
            latency: Duration::ZERO,
            language: Language::default(),
            data_alone: DataAlone::default(),
            record: true,
            answer_timeout: Duration::from_secs(2),
            script_program: None,
            seed: None,
            clock: TimeSource::default(),
        }
    }
}

fn derived(label: &str, number: u32) -> [u8; 32] {
    Sha256::digest(format!("salesbot simulator, {label}, {number}")).into()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn uuid_from(bytes: &[u8; 32]) -> String {
    let mut half = [0; 16];
    half.copy_from_slice(&bytes[..16]);
    uuid::Builder::from_random_bytes(half).into_uuid().to_string()
}
