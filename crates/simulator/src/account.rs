//! The state that the bots and connections of one account share.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use tokio::time::Instant;

use super::canned::Script;
use super::grants::Grants;
use super::moved::Moved;
use super::options::{Options, hex};
use super::records::Records;
use super::run::Run;
use super::trouble::Trouble;
use super::uploads::Upload;
use super::widget_data::{self, Widget};

#[derive(Debug)]
pub(super) struct Account {
    pub(super) options: Options,
    pub(super) base_url: String,
    pub(super) started: Instant,
    pub(super) client: reqwest::Client,
    rng: Mutex<fastrand::Rng>,
    runs: Mutex<BTreeMap<i64, Arc<Run>>>,
    pub(super) records: Records,
    pub(super) trouble: Trouble,
    pub(super) script: Script,
    pub(super) widgets: Mutex<Vec<Widget>>,
    pub(super) uploads: Mutex<BTreeMap<String, Arc<Upload>>>,
    pub(super) administrator: AtomicBool,
    pub(super) redirect_uri: Mutex<String>,
    pub(super) grants: Mutex<Grants>,
    pub(super) moved: Mutex<Option<Moved>>,
    window: Mutex<VecDeque<Instant>>,
}

impl Account {
    pub(super) fn new(options: Options, address: SocketAddr) -> io::Result<Self> {
        let seed = options.seed.unwrap_or_else(|| {
            let now = options.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
            // Two simulators that start at the same instant differ in their port.
            now.as_secs().rotate_left(32) ^ u64::from(now.subsec_nanos()) ^ (u64::from(address.port()) << 48)
        });
        Ok(Self {
            base_url: format!("http://{address}"),
            started: Instant::now(),
            client: client(options.answer_timeout)?,
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            runs: Mutex::default(),
            records: Records::new(options.record),
            trouble: Trouble::default(),
            script: Script::default(),
            widgets: Mutex::new(widget_data::catalogue(&options.client_uuid, options.more_widgets)),
            uploads: Mutex::default(),
            administrator: AtomicBool::new(options.administrator),
            redirect_uri: Mutex::new(options.redirect_uri.clone()),
            grants: Mutex::default(),
            moved: Mutex::default(),
            window: Mutex::default(),
            options,
        })
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn is_administrator(&self) -> bool {
        self.administrator.load(Ordering::Relaxed)
    }

    /// Whether this bearer is currently valid for the account.
    pub(super) fn knows(&self, bearer: &str) -> bool {
        lock(&self.moved).is_none()
            && (bearer == self.options.access_token
                || lock(&self.grants).is_valid(bearer, self.options.clock.now()))
    }

    /// `127.0.0.1:PORT`.
    pub(super) fn host(&self) -> &str {
        self.base_url.strip_prefix("http://").unwrap_or(&self.base_url)
    }

    /// A random number below 2^48, which every JSON reader represents exactly.
    pub(super) fn number(&self) -> i64 {
        lock(&self.rng).i64(1_000_000..(1 << 48))
    }

    pub(super) fn uuid(&self) -> String {
        let bytes = lock(&self.rng).u128(..).to_be_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// An unguessable secret in the format of Kommo's codes and refresh tokens.
    pub(super) fn opaque(&self) -> String {
        let mut bytes = [0; 48];
        lock(&self.rng).fill(&mut bytes);
        format!("def502{}", hex(&bytes))
    }

    /// Stores the bot that `make` builds for the next free id. Ids rise in order of creation.
    pub(super) fn add(&self, make: impl FnOnce(i64) -> Run) -> Arc<Run> {
        let mut runs = lock(&self.runs);
        // Short, because people read ids in tables. The continue ids distinguish two runs.
        let id = match runs.last_key_value() {
            Some((last, _)) => last + 1,
            None => lock(&self.rng).i64(100..1000) * 10_000 + 1,
        };
        let run = Arc::new(make(id));
        runs.insert(id, run.clone());
        run
    }

    pub(super) fn run(&self, id: i64) -> Option<Arc<Run>> {
        lock(&self.runs).get(&id).cloned()
    }

    pub(super) fn runs(&self) -> Vec<Arc<Run>> {
        lock(&self.runs).values().cloned().collect()
    }

    /// Counts a call, and returns whether it exceeds the limit of calls in any one second. A refused
    /// call does not count, so a caller that waits for `retry_after` gets through.
    pub(super) fn over_limit(&self, now: Instant) -> bool {
        let Some(limit) = self.options.rate_limit else { return false };
        let mut window = lock(&self.window);
        while window.front().is_some_and(|first| now.duration_since(*first) >= Duration::from_secs(1)) {
            window.pop_front();
        }
        let over = window.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        if !over {
            window.push_back(now);
        }
        over
    }
}

/// Locks, and ignores poisoning: a panic elsewhere must not hide the records, and no panic leaves the
/// data behind these locks half changed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The HTTP client of the bots. It trusts no certificate authority: the bridges that it calls are on
/// this machine and use plain HTTP. So it also works where no certificates are installed.
fn client(timeout: Duration) -> io::Result<reqwest::Client> {
    reqwest::Client::builder()
        .user_agent("amoCRM-Salesbot/1.0 (simulator)")
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .tls_certs_only([])
        .timeout(timeout)
        .build()
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_limit_holds_in_any_one_second_and_refused_calls_do_not_count() {
        let options = Options { rate_limit: Some(2), ..Options::default() };
        let account = Account::new(options, SocketAddr::from(([127, 0, 0, 1], 1))).unwrap();
        let start = Instant::now();
        let rows =
            [(0, false), (600, false), (700, true), (999, true), (1000, false), (1599, true), (1600, false)];
        for (ms, over) in rows {
            assert_eq!(account.over_limit(start + Duration::from_millis(ms)), over, "at {ms} ms");
        }
    }
}
