//! What a simulated account is like: its names, its secrets, its limits.
//!
//! The defaults are derived from fixed labels, so that they look random, are the same in every
//! run, and no literal secret stands in the source.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::language::Language;
use super::time::TimeSource;

/// Everything about one simulated account. Take [`Options::default`] and change what matters.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen. Port 0, the default, takes a free port of the loopback interface.
    pub listen: SocketAddr,
    /// The account's number, claim `account_id` of its tokens.
    pub account_id: i64,
    /// The account's name, claim `subdomain` of its tokens.
    pub subdomain: String,
    /// The integration's id, claim `client_uuid` of its tokens.
    pub client_uuid: String,
    /// The integration's secret: signs the bots' tokens, and is shown for OAuth tokens.
    pub client_secret: String,
    /// The long-lived token: a bearer that is always accepted. OAuth tokens come beside it.
    pub access_token: String,
    /// Where a person comes back to after granting access. Bridges in tests learn their port late:
    /// [`Simulator::set_redirect_uri`](super::Simulator::set_redirect_uri).
    pub redirect_uri: String,
    /// How long an OAuth access token lives, in whole seconds. Default: a day.
    pub access_token_lifetime: Duration,
    /// How long the token endpoint takes. A refresh token that comes again within it is refused: two
    /// refreshes at once. Default: 20 ms.
    pub token_latency: Duration,
    /// Whether the user behind the tokens is an administrator, who alone may continue bots, install
    /// and uninstall. Default: yes. [`Simulator::set_administrator`](super::Simulator::set_administrator)
    /// changes it later.
    pub administrator: bool,
    /// Widgets that are made up, beside the ones always there. Default: 3.
    pub more_widgets: usize,
    /// Calls of the API in any one second before Kommo answers 429 (its real limit is 7). `None`,
    /// the default: no limit.
    pub rate_limit: Option<u32>,
    /// How long a call of the API takes before it is judged and answered. Default: nothing.
    pub latency: Duration,
    /// In which language the account's problems are written. Default: English.
    pub language: Language,
    /// What a continue with `data` and no `execute_handlers` gets.
    pub data_alone: DataAlone,
    /// Keep every call and every event. When off, only counts and each bot's last continue are
    /// kept, so that a long load test does not fill the memory. Default: on.
    pub record: bool,
    /// How long a bot waits for the answer to its `widget_request`. Kommo waits 2 seconds.
    pub answer_timeout: Duration,
    /// A program with the command line of this crate, which runs the scripts of uploaded widgets in processes of their own
    /// and so can end each at its time. `None`, the default: on threads, of which those are left behind that cannot be
    /// interrupted.
    pub script_program: Option<PathBuf>,
    /// Decides the ids that are made up. `None`, the default: a new one at each start, since ids
    /// that come again would look like duplicates to a bridge that still remembers them.
    pub seed: Option<u64>,
    /// Tells the wall time for `iat`, `nbf` and `exp`, and decides what has expired.
    pub clock: TimeSource,
}

/// What Kommo answers to `data` without the key `execute_handlers`; both were seen in the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DataAlone {
    /// 202: the bot goes on.
    #[default]
    Accept202,
    /// 400 with code `TooFew`: the bot still waits.
    TooFew400,
}

impl Default for Options {
    fn default() -> Self {
        Self::numbered(1)
    }
}

impl Options {
    /// The defaults of the account with this number. Accounts of different numbers share the
    /// integration (`client_uuid`, `client_secret`), and have their own id, name and token.
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
