//! Accounts on a real store, with a stopped clock and a simulated Kommo.

mod connecting;
mod disconnecting;
mod evil;
mod installing;
mod keeping;
mod known;
mod linking;
mod moving;
mod odd_answers;
mod paced;
mod renewing;
mod waiting;
mod watching;

use std::time::UNIX_EPOCH;

use secrecy::ExposeSecret;
use tempfile::TempDir;
use url::Url;

use super::*;
use crate::health::Health;
use kommo::HttpClient;
use kommo::pace::{CallLimiter, CallLimits};
use model::clock::ManualClock;
use model::{HostRules, Timestamp};
use simulator::{Fault, MovedAnswer, Options, Simulator, TimeSource};
use store::{ActionSource, Actor, Role, Store};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const REDIRECT_URI: &str = "https://bots.example.com/oauth/callback";
const DAY: Duration = Duration::from_secs(86_400);

fn operator() -> Actor {
    Actor::new(ActionSource::Cli, "ann")
}

/// A store in a folder, a clock, and an account at a simulated Kommo.
struct Home {
    folder: TempDir,
    clock: ManualClock,
    simulator: Simulator,
    key: [u8; 32],
    previous_key: Option<[u8; 32]>,
    client_secret: String,
    allowed: Vec<String>,
    install_without_link: bool,
    redirect_uri: String,
}

impl Home {
    async fn new() -> Self {
        test_log::prepare();
        let clock = ManualClock::new(START);
        let simulator = Simulator::start(options(&clock)).await.unwrap();
        Self {
            folder: TempDir::new().unwrap(),
            client_secret: simulator.options().client_secret.clone(),
            allowed: vec![host(simulator.base_url()).to_owned()],
            simulator,
            clock,
            key: [1; 32],
            previous_key: None,
            install_without_link: false,
            redirect_uri: REDIRECT_URI.to_owned(),
        }
    }

    async fn store(&self, role: Role) -> Store {
        let url = format!("sqlite:{}", self.folder.path().join("bridge.db").display());
        Store::open(&url, role, self.clock.clock()).await.unwrap()
    }

    async fn accounts(&self, store: &Store) -> Accounts {
        self.accounts_with(store, Vec::new()).await
    }

    async fn accounts_with(&self, store: &Store, long_lived: Vec<LongLivedAccount>) -> Accounts {
        let allowed = self.allowed.iter().map(|host| host.parse().unwrap()).collect();
        let hosts = HostRules { allowed, insecure: true };
        let options = self.simulator.options();
        let integration = OAuthIntegration {
            name: "main".into(),
            client_uuid: options.client_uuid.to_uppercase(),
            client_secret: self.client_secret.clone().into(),
            previous_client_secret: None,
            redirect_uri: Some(self.redirect_uri.parse().unwrap()),
            install_without_link: self.install_without_link,
        };
        // Kommo knows the id in its original case.
        let integration = OAuthIntegration { client_uuid: options.client_uuid.clone(), ..integration };
        let limits = CallLimits { rate_per_account: 1_000, rate_total: None, concurrency: 8 };
        let parts = AccountsParts {
            long_lived,
            integrations: vec![integration],
            keys: Some(EncryptionKeys {
                current: Arc::new(self.key),
                previous: self.previous_key.map(Arc::new),
            }),
            store: Some(store.clone()),
            kommo: HttpClient::direct(hosts.clone(), Duration::from_secs(20)).unwrap(),
            hosts,
            limiter: CallLimiter::new(limits, self.clock.clock()),
            health: Health::new(),
            request_timeout: Duration::from_secs(20),
            clock: self.clock.clock(),
            random: || 1.0,
            secret_random: |bytes| {
                bytes.fill_with(|| fastrand::u8(..));
                true
            },
        };
        Accounts::open(parts).await.unwrap()
    }

    /// Returns the callback of Kommo's redirect after a person authorized the account by our link.
    fn callback(&self, accounts: &Accounts) -> Callback {
        let site = self.simulator.base_url().parse().unwrap();
        let link = accounts.authorization_link(&site, &accounts.0.parts.integrations[0]).unwrap();
        let state = link.query_pairs().find(|(key, _)| key == "state").unwrap().1.into_owned();
        read(&self.simulator.callback_url(&state).unwrap())
    }

    /// Returns a store and accounts, one of them connected.
    async fn connected(&self) -> (Store, Accounts) {
        let store = self.store(Role::Owner).await;
        let accounts = self.accounts(&store).await;
        accounts.connect(self.callback(&accounts)).await.unwrap();
        (store, accounts)
    }

    /// Returns the number of the home account.
    fn account_id(&self) -> AccountId {
        AccountId(self.simulator.options().account_id)
    }

    fn client_uuid(&self) -> &str {
        &self.simulator.options().client_uuid
    }

    /// Returns where the continues of the home account are sent.
    async fn continues_at(&self, accounts: &Accounts) -> String {
        let bearer = accounts.bearer((self.origin(), self.account_id())).await.unwrap();
        bearer.origin.to_string()
    }

    fn origin(&self) -> &str {
        self.simulator.base_url()
    }

    fn refreshes(&self) -> usize {
        let calls = self.simulator.oauth_calls();
        calls.iter().filter(|call| call.grant_type.as_deref() == Some("refresh_token")).count()
    }

    /// Whether Kommo accepts this bearer token.
    async fn accepts(&self, accounts: &Accounts, bearer: &Bearer) -> bool {
        let origin = bearer.origin.parse().unwrap();
        accounts.0.parts.kommo.account_id(&origin, &bearer.token).await.is_ok()
    }
}

fn options(clock: &ManualClock) -> Options {
    let clock = clock.clone();
    let now = move || UNIX_EPOCH + Duration::from_millis(clock.now().as_millis().try_into().unwrap());
    Options { clock: TimeSource::new(now), redirect_uri: REDIRECT_URI.into(), ..Options::default() }
}

/// Parses the callback from one of Kommo's URLs.
fn read(url: &str) -> Callback {
    let url: Url = url.parse().unwrap();
    let value =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    Callback {
        code: value("code").unwrap_or_default().into(),
        referer: value("referer").unwrap_or_default(),
        client_id: value("client_id"),
        state: value("state"),
        from_widget: value("from_widget").is_some(),
    }
}

/// Returns the account that was connected.
fn made(connection: Result<Connection, ConnectError>) -> Connected {
    match connection.unwrap() {
        Connection::Made(connected) => connected,
        other => panic!("{other:?}"),
    }
}

fn token(bearer: &Bearer) -> String {
    bearer.token.expose_secret().to_owned()
}
