//! Tests the sender step by step, with a real store, a simulated Kommo, and a manual clock.

mod clock;
mod connected;
mod interplay;
mod lanes;
mod log;
mod moved;
mod outage;
mod refused;
mod waits;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::UNIX_EPOCH;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::accounts::{self, EncryptionKeys, LongLivedAccount, OAuthIntegration};
use crate::job_log::JobLog;
use kommo::pace::CallLimits;
use model::clock::ManualClock;
use model::{
    AccountId, AfterHandler, Completion, HandlerReport, HostRules, Job, JobId, JobOrdering, NewJob, Outcome,
    PreparedCompletion, State, StateName, Timestamp, WidgetRequest,
};
use simulator::{Bot, Fault, Options, Plan, Simulator, TimeSource};
use store::Role;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const LEASE: Duration = Duration::from_secs(60);

struct Home {
    store: Store,
    clock: ManualClock,
    simulator: Simulator,
    _folder: TempDir,
}

impl Home {
    async fn new() -> Self {
        test_log::prepare();
        let folder = TempDir::new().unwrap();
        let clock = ManualClock::new(START);
        let url = format!("sqlite:{}", folder.path().join("bridge.db").display());
        let store = Store::open(&url, Role::Owner, clock.clock()).await.unwrap();
        let simulator = Simulator::start(options(&clock)).await.unwrap();
        Self { store, clock, simulator, _folder: folder }
    }

    /// A sender for the simulated account, with its long-lived token.
    async fn sender(&self, rate_per_account: u32) -> Sender {
        let token = self.simulator.options().access_token.clone().into();
        let origin = self.simulator.base_url().into();
        let account = LongLivedAccount { name: "played".into(), origin, token };
        self.sender_for(vec![account], &[&self.simulator], rate_per_account).await
    }

    async fn sender_for(
        &self,
        long_lived: Vec<LongLivedAccount>,
        hosts: &[&Simulator],
        rate_per_account: u32,
    ) -> Sender {
        let host =
            |simulator: &&Simulator| simulator.base_url().trim_start_matches("http://").parse().unwrap();
        let hosts = HostRules { allowed: hosts.iter().map(host).collect(), insecure: true };
        let kommo = HttpClient::direct(hosts.clone(), LEASE).unwrap();
        let limiter = CallLimiter::new(
            CallLimits { rate_per_account, rate_total: None, concurrency: 8 },
            self.clock.clock(),
        );
        let Options { client_uuid, client_secret, redirect_uri, .. } = self.simulator.options();
        let health = Health::new();
        let accounts = accounts::AccountsParts {
            long_lived,
            integrations: vec![OAuthIntegration {
                name: "main".into(),
                client_uuid: client_uuid.clone(),
                client_secret: client_secret.clone().into(),
                previous_client_secret: None,
                redirect_uri: Some(redirect_uri.parse().unwrap()),
                install_without_link: true,
            }],
            keys: Some(EncryptionKeys { current: Arc::new([1; 32]), previous: None }),
            store: Some(self.store.clone()),
            hosts,
            kommo: kommo.clone(),
            limiter: limiter.clone(),
            health: health.clone(),
            request_timeout: LEASE,
            clock: self.clock.clock(),
            random: || 1.0,
            secret_random: |_| true,
        };
        let accounts = Accounts::open(accounts).await.unwrap();
        let parts = SenderParts {
            store: self.store.clone(),
            kommo,
            accounts,
            limiter,
            policies: HashMap::new(),
            health,
            job_log: JobLog::new(self.clock.clock()),
            clock: self.clock.clock(),
            random: || 1.0,
        };
        let hour = Duration::from_secs(3_600);
        let settings = DeliverySettings { request_timeout: LEASE, give_up_after: hour };
        Sender::new(parts, settings)
    }

    /// Stores a completion for `bot`. Returns its job.
    async fn completed(&self, bot: &Bot) -> JobId {
        self.completed_of(self.simulator.options().account_id, bot).await
    }

    /// Like [`completed`](Self::completed), for the account with this number.
    async fn completed_of(&self, account_id: i64, bot: &Bot) -> JobId {
        self.completed_at(&bot.return_url(), account_id).await
    }

    /// Like [`completed`](Self::completed), for any `return_url`.
    async fn completed_at(&self, return_url: &str, account_id: i64) -> JobId {
        let now = self.clock.now();
        let job = NewJob {
            id: JobId::new(now, fastrand::u128(..)),
            handler: "any".parse().unwrap(),
            request: WidgetRequest {
                account_id: AccountId(account_id),
                entity: None,
                return_url: return_url.parse().unwrap(),
                data: json!(null),
                earlier: Vec::new(),
            },
            idempotency_key: fastrand::u64(..).to_string(),
            token_expires_at: now + LEASE,
            received_at: now,
            answer_by: self.clock.clock().steady() + LEASE,
            ordering: JobOrdering::None,
        };
        let id = self.store.jobs().accept(job, LEASE).await.unwrap().id;
        let job = self.store.jobs().claim_work("any".into(), 1, LEASE).await.unwrap().remove(0);
        let completion = Completion::success().check().unwrap();
        let next = AfterHandler::Deliver(PreparedCompletion { completion, outcome: Outcome::Handler });
        self.store.jobs().handled(HandlerReport { job, attempt: None, next, error: None }).await.unwrap();
        id
    }

    async fn job(&self, id: JobId) -> Job {
        self.store.jobs().get(id).await.unwrap().unwrap().0.whole().unwrap()
    }

    fn bot(&self, faults: impl IntoIterator<Item = Fault>) -> Bot {
        self.simulator.bot(Plan::with_data(json!({})).faults(faults))
    }
}

fn options(clock: &ManualClock) -> Options {
    let clock = clock.clone();
    let now = move || UNIX_EPOCH + Duration::from_millis(clock.now().as_millis().try_into().unwrap());
    Options { clock: TimeSource::new(now), ..Options::default() }
}

#[tokio::test]
async fn a_completion_just_stored_is_handed_over_without_a_step() {
    let home = Home::new().await;
    let sender = home.sender(7).await;
    let id = home.completed(&home.bot([])).await;
    sender.idle().await;
    assert_eq!(home.job(id).await.state.name(), StateName::Delivered);
}

#[tokio::test]
async fn jobs_over_the_rate_go_out_one_window_later() {
    let home = Home::new().await;
    let sender = home.sender(2).await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(home.completed(&home.bot([])).await);
    }
    sender.idle().await;
    let wait = sender.step().await.unwrap().unwrap();
    sender.idle().await;
    assert_eq!(home.job(jobs[2]).await.state.name(), StateName::Delivering);
    assert_eq!(home.simulator.calls().len(), 2);

    home.clock.advance(wait);
    sender.step().await.unwrap();
    sender.idle().await;
    assert_eq!(home.job(jobs[2]).await.state.name(), StateName::Delivered);
}

#[tokio::test]
async fn an_outage_of_an_hour_ends_in_a_dead_letter_that_an_operator_can_retry() {
    let home = Home::new().await;
    let sender = home.sender(7).await;
    home.simulator.set_outage(Some(Fault::Status(503)));
    let id = home.completed(&home.bot([])).await;
    sender.idle().await;
    while let State::Delivering { due_at, .. } = home.job(id).await.state {
        home.clock.advance(due_at.since(home.clock.now()).max(Duration::from_secs(2)));
        sender.step().await.unwrap();
        sender.idle().await;
    }
    let job = home.job(id).await;
    assert_eq!(job.state.name(), StateName::Dead);
    assert!(home.clock.now().since(START) >= Duration::from_secs(3_600));
    // 0.5 + 1 + 2 + … + 60 s, then every minute.
    assert!((60..75).contains(&job.delivery_attempts), "{}", job.delivery_attempts);

    home.simulator.set_outage(None);
    home.clock.advance(Duration::from_secs(2));
    home.store.jobs().retry(id).await.unwrap();
    sender.step().await.unwrap();
    sender.idle().await;
    assert_eq!(home.job(id).await.state.name(), StateName::Delivered);
}

#[tokio::test]
async fn endless_first_tries_do_not_starve_retries() {
    let home = Home::new().await;
    let sender = home.sender(1).await;
    let retried = home.completed(&home.bot([Fault::Status(500)])).await;
    sender.idle().await;
    for _ in 0..12 {
        home.completed(&home.bot([])).await;
    }
    for _ in 0..8 {
        home.clock.advance(Duration::from_millis(1_100));
        // Only the first of the four steps can claim, because it uses up the rate.
        for _ in 0..4 {
            sender.step().await.unwrap();
        }
        sender.idle().await;
    }
    assert_eq!(home.job(retried).await.state.name(), StateName::Delivered);
}

#[tokio::test]
async fn a_refused_job_does_not_keep_others_from_being_tried() {
    let home = Home::new().await;
    let sender = home.sender(1).await;
    let refused = home.completed(&home.bot(vec![Fault::Forbidden; 9])).await;
    sender.idle().await;
    let other = home.completed(&home.bot([])).await;
    for _ in 0..4 {
        home.clock.advance(Duration::from_secs(3_600));
        sender.step().await.unwrap();
        sender.idle().await;
    }
    assert_eq!(home.job(other).await.state.name(), StateName::Delivered);
    assert_eq!(home.job(refused).await.state.name(), StateName::Dead, "the account takes others");
}

/// Counts the wake-ups of a task.
#[derive(Default)]
struct Woken(AtomicUsize);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn an_unwritable_store_is_not_polled_in_a_busy_loop() {
    let home = Home::new().await;
    home.completed(&home.bot([])).await;
    let sender = home.sender(7).await;
    home.store.close().await;
    let woken = Arc::new(Woken::default());
    let waker = std::task::Waker::from(woken.clone());
    let mut run = std::pin::pin!(sender.run(CancellationToken::new(), Duration::ZERO));
    assert!(run.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    // The failed claim has returned its permits. A loop that waits only for a change would poll again at once.
    home.store.delivery().wake();
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    home.clock.advance(Duration::from_secs(1));
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
}
