//! Runs the rooms, and stops them in the order in which work flows: requests, handlers, continues, then the store. So
//! each room can still hand its work on.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, AccountNames, Admin, DeliveryRates, StoreSettings};
use crate::callback::{self, Callbacks};
use crate::health::Health;
use crate::history::{self, History, HistorySources};
use crate::listener::{self, ConnectionLimits, ListenerOptions};
use crate::log_limiter::LogLimiter;
use crate::oauth::{self, Oauth};
use crate::receive;
use crate::shutdown::Shutdown;
use crate::telemetry;
use crate::work::Pool;
use model::clock::Clock;
use model::path_prefix;
use store::Retention;

use super::backups::{self, Backups};
use super::kommo_stack::secret_random;
use super::live::{LiveBridge, handler_settings};
use super::parts::BridgeParts;
use super::settings::settings;
use super::supervise::Supervisor;
use super::{Error, Listeners, public, public_health, routes};

/// How long a stop waits for requests in progress. Each is answered within `ack_deadline`.
const REQUEST_DRAIN_TIME: Duration = Duration::from_secs(5);
/// Continues get at least this much time, even if the handlers used up the grace.
const MIN_DELIVERY_DRAIN_TIME: Duration = Duration::from_secs(2);
/// For people and probes. Kommo does not call the admin listener.
pub(super) const MAX_ADMIN_CONNECTIONS: usize = 64;
/// An admin request outside `/health/` is served only while fewer requests than this are in progress. The rest of the
/// connections is reserved for probes, so that neither a slow list nor a stuck store delays one.
const MAX_ADMIN_REQUESTS: usize = 48;
/// The same for `/health/ready`. The rest is reserved for `/health/live`.
const MAX_ADMIN_READY_REQUESTS: usize = 56;

impl BridgeParts {
    pub(super) async fn run(self, listeners: Listeners, shutdown: Shutdown) -> Result<(), Error> {
        let Self {
            config,
            clock,
            health,
            job_log,
            store,
            pool,
            callbacks,
            sender,
            accounts,
            receiver,
            draining,
            secrets,
            limiter,
            http_handlers,
        } = self;
        let recorder = telemetry::recorder();
        let stop_background = CancellationToken::new();
        let supervisor =
            Supervisor { clock: clock.clone(), health: health.clone(), stop: stop_background.clone() };
        let metrics_maintenance = tokio::spawn(supervisor.clone().run("metrics", {
            let (recorder, clock) = (recorder.clone(), clock.clone());
            move || telemetry::maintain(recorder.clone(), clock.clone())
        }));
        let store_maintenance = tokio::spawn(supervisor.clone().run("maintenance", {
            let (store, stop_background) = (store.clone(), stop_background.clone());
            let retention = Retention { jobs: config.store.retention, bodies: config.store.body_retention };
            move || {
                let (store, stop_background) = (store.clone(), stop_background.clone());
                async move { store.maintenance().run(retention, stop_background).await }
            }
        }));
        let scheduled = Backups::new(&config, store.clone(), clock.clone(), health.clone());
        let backups = scheduled.clone().map(|backups| {
            let stop_background = stop_background.clone();
            let begin = move || backups.clone().run(stop_background.clone());
            tokio::spawn(supervisor.clone().run(backups::TASK, begin))
        });
        let history = History::default();
        history.restore(&store).await;
        let sampling = tokio::spawn(supervisor.clone().run("history", {
            let sources =
                HistorySources { totals: job_log.totals(), store: store.clone(), clock: clock.clone() };
            let (history, stop_background) = (history.clone(), stop_background.clone());
            move || history::run(history.clone(), sources.clone(), stop_background.clone())
        }));
        let account_maintenance = tokio::spawn(supervisor.run("accounts", {
            let (accounts, stop_background) = (accounts.clone(), stop_background.clone());
            move || {
                let (accounts, stop_background) = (accounts.clone(), stop_background.clone());
                async move { accounts.run(stop_background).await }
            }
        }));

        let addresses = (listeners.public.local_addr(), listeners.admin.local_addr());
        let read_timeout = config.server.read_timeout;
        let (stop_public, stop_admin) = (CancellationToken::new(), CancellationToken::new());
        let admin_tokens = secrets.admin_tokens();
        let admin = admin::router(Admin {
            store: store.clone(),
            health: health.clone(),
            handlers: Arc::new(receiver.handlers.keys().cloned().collect()),
            token: admin_tokens.token,
            read_token: admin_tokens.read_token,
            show_data: config.admin.show_data,
            settings: settings(&config),
            metrics: Arc::new(move || telemetry::render(&recorder)),
            history: history.clone(),
            token_expiry: {
                let accounts = accounts.clone();
                Arc::new(move || accounts.first_expiry())
            },
            job_log,
            clock: clock.clone(),
            fallback: {
                let sender = sender.clone();
                Arc::new(move |handler| sender.fallback(handler))
            },
            live: Arc::new(LiveBridge {
                settings: handler_settings(&config, pool.policies()),
                public_url: {
                    let url = config.server.public_url.as_ref();
                    url.map(|url| url.as_str().trim_end_matches('/').to_owned())
                },
                pool: pool.clone(),
                limiter,
                accounts: accounts.clone(),
                give_up_after: config.delivery.give_up_after,
                store: StoreSettings {
                    url: config.store.url.clone(),
                    retention: config.store.retention,
                    body_retention: config.store.body_retention,
                    backup_folder: config.store.backup_folder.clone(),
                },
                backups: scheduled,
                clock: clock.clone(),
                http_handlers,
                has_callback_url: config.server.callback_url.is_some(),
            }),
            account_names: AccountNames::new(
                config.accounts.iter().map(|(name, account)| (name, &account.base_url)),
            ),
            rates: DeliveryRates {
                per_account: config.delivery.rate_per_account,
                total: config.delivery.rate_total,
            },
            secret_random,
        });
        let log_limiter = LogLimiter::new("connections to the admin listener", clock.clone());
        let options = admin_options(read_timeout, log_limiter);
        let mut admin = tokio::spawn(listener::serve(listeners.admin, admin, options, stop_admin.clone()));
        let prefix = config.server.public_url.as_ref().map(path_prefix).unwrap_or_default();
        let limits = ConnectionLimits { max_connections: config.server.max_connections, read_timeout };
        let log_limiter = LogLimiter::new("connections to the public listener", clock.clone());
        let options = public_options(limits, prefix, log_limiter, &health);
        let oauth = Oauth { accounts: accounts.clone(), draining: draining.clone(), clock: clock.clone() };
        let oauth = oauth::router(oauth);
        let callbacks = callback::router(Callbacks {
            urls: callbacks,
            pool: pool.clone(),
            store: store.clone(),
            max_body: config.server.max_body,
            read_timeout,
            clock: clock.clone(),
        });
        // Drop their fallbacks: one listener gives one answer for unknown paths.
        let routes =
            receive::router(receiver).merge(oauth.reset_fallback()).merge(callbacks.reset_fallback());
        let routes = routes.merge(public_health::router(health.clone()).reset_fallback());
        let public = public::wrap(
            routes,
            prefix,
            LogLimiter::new("calls to unknown paths", clock.clone()),
            health.clone(),
        );
        let mut public =
            tokio::spawn(listener::serve(listeners.public, public, options, stop_public.clone()));

        let (stop_work, stop_sending) = (CancellationToken::new(), CancellationToken::new());
        let grace = config.workers.grace;
        let mut working = tokio::spawn({
            let (pool, stop) = (pool.clone(), stop_work.clone());
            async move { pool.run(stop).await }
        });
        let mut sending = tokio::spawn({
            let (sender, stop) = (sender.clone(), stop_sending.clone());
            async move { sender.run(stop, grace).await }
        });

        health.ready();
        if let (Ok(public), Ok(admin)) = addresses {
            tracing::info!(server.listen = %public, admin.listen = %admin, "ready");
        }
        let ended = tokio::select! {
            () = shutdown.asked().cancelled() => None,
            _ = &mut public => Some("the public listener"),
            _ = &mut admin => Some("the admin listener"),
            _ = &mut working => Some("the worker pool"),
            _ = &mut sending => Some("the sender"),
            () = store.ended() => Some("the store's writer"),
        };

        let stopped_at = clock.elapsed();
        health.draining();
        draining.cancel();
        stop_public.cancel();
        tracing::info!("stopping: no longer accepting requests");
        let forced = shutdown.forced();
        // The grace begins with the signal, no matter how long the last requests take.
        let grace_over = tokio::spawn(end_grace(pool.clone(), clock.clone(), stopped_at + grace));
        within(REQUEST_DRAIN_TIME, forced, &mut public).await;
        stop_work.cancel();
        tokio::select! {
            () = forced.cancelled() => {
                pool.interrupt();
            }
            () = join(&mut working) => {}
        }
        join(&mut working).await;
        grace_over.abort();
        stop_sending.cancel();
        // Handlers and continues share one grace, which an operator counts from the signal.
        let left = grace.saturating_sub(clock.elapsed() - stopped_at);
        if !within(left.max(MIN_DELIVERY_DRAIN_TIME), forced, &mut sending).await {
            sender.hand_back().await;
        }
        stop_background.cancel();
        stop_admin.cancel();
        within(REQUEST_DRAIN_TIME, forced, &mut admin).await;
        join(&mut { store_maintenance }).await;
        if let Some(mut backups) = backups {
            join(&mut backups).await;
        }
        join(&mut { sampling }).await;
        // Do not wait for a token renewal in progress: if its response is lost, the next start tries the old token
        // again.
        account_maintenance.abort();
        metrics_maintenance.abort();
        store.close().await;
        tracing::info!("stopped");
        ended.map_or(Ok(()), |part| Err(Error::Ended(part)))
    }
}

/// Waits until `end` (elapsed time), then interrupts the handlers that still run.
async fn end_grace(pool: Pool, clock: Clock, end: Duration) {
    clock.sleep_until(end).await;
    let jobs = pool.interrupt();
    if jobs > 0 {
        tracing::warn!(
            jobs,
            "the grace is over: interrupting running handlers; their jobs go back to the queue"
        );
    }
}

/// The options of the public listener. A 2xx shows that the caller is genuine only for `/widget_request/`, which requires
/// a bot's valid token. Anyone can get a 200 from `/oauth/callback`, with a callback that denies an authorization.
fn public_options(
    limits: ConnectionLimits,
    prefix: &str,
    log_limiter: LogLimiter,
    health: &Health,
) -> ListenerOptions {
    let mut options = ListenerOptions::new("public", limits, log_limiter);
    // Matches below the path prefix too. No other path that answers 2xx has this segment.
    options.rules.proves = |path| path.split('/').any(|part| part == "widget_request");
    let health = health.clone();
    options.on_full = Arc::new(move |since| health.callers_wait(since));
    options.route = Arc::new(routes::public(prefix));
    options
}

fn admin_options(read_timeout: Duration, log_limiter: LogLimiter) -> ListenerOptions {
    let mut options = ListenerOptions::new(
        "admin",
        ConnectionLimits { max_connections: MAX_ADMIN_CONNECTIONS, read_timeout },
        log_limiter,
    );
    options.rules.share = |path| match path {
        "/health/live" => usize::MAX,
        "/health/ready" => MAX_ADMIN_READY_REQUESTS,
        _ => MAX_ADMIN_REQUESTS,
    };
    // A 2xx of these shows nothing about the caller, because they need no login.
    options.rules.proves = |path| !admin::is_open(path);
    options.route = Arc::new(routes::admin);
    options
}

/// Waits for `task` until it ends, `limit` passes, or the stop is `forced`; then aborts it. Returns whether it ended.
async fn within(limit: Duration, forced: &CancellationToken, task: &mut JoinHandle<()>) -> bool {
    let in_time = tokio::time::timeout(limit, join(task));
    let ended = forced.run_until_cancelled(in_time).await.is_some_and(|joined| joined.is_ok());
    task.abort();
    ended
}

/// Waits for `task` to end. Returns at once if it has already been awaited.
async fn join(task: &mut JoinHandle<()>) {
    if !task.is_finished() {
        let _panicked = task.await;
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn slow_requests_and_idle_connections_do_not_delay_a_probe() {
        let (began, mut begun) = mpsc::unbounded_channel();
        let stuck = get(async move || {
            began.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        let router = Router::new()
            .route("/api/v1/jobs", stuck.clone())
            .route("/health/ready", stuck)
            .route("/health/live", get(async || "live"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = admin_options(Duration::from_secs(60), LogLimiter::new("a test", Clock::system()));
        let serving = tokio::spawn(listener::serve(listener, router, options, CancellationToken::new()));
        let send = async |text: &str| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            stream
        };
        let answer = async |path: &str| {
            let mut stream =
                send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await;
            let mut text = String::new();
            let reading = stream.read_to_string(&mut text);
            tokio::time::timeout(Duration::from_secs(30), reading).await.expect("no answer").unwrap();
            text
        };
        let mut held = Vec::new();
        for (path, share) in [("/api/v1/jobs", 48), ("/health/ready", 8)] {
            for _ in 0..share {
                held.push(send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await);
                begun.recv().await.unwrap();
            }
            assert!(answer(path).await.starts_with("HTTP/1.1 503"), "{path} got more than its share");
            assert!(answer("/health/live").await.ends_with("live"));
        }
        for _ in 0..80 {
            held.push(send("").await);
        }
        assert!(answer("/health/live").await.ends_with("live"));
        serving.abort();
    }

    #[tokio::test]
    async fn an_answer_that_needs_no_login_shows_nothing_about_the_caller() {
        let options = admin_options(Duration::from_secs(1), LogLimiter::new("a test", Clock::system()));
        for (path, expected) in [
            ("/health/live", false),
            ("/login", false),
            ("/assets/style.css", false),
            ("/jobs", true),
            ("/api/v1/jobs", true),
        ] {
            assert_eq!((options.rules.proves)(path), expected, "{path}");
        }
    }

    #[tokio::test]
    async fn a_task_that_ended_can_be_joined_again() {
        let mut part = tokio::spawn(async {});
        assert!((&mut part).await.is_ok());
        join(&mut part).await;
        assert!(within(Duration::ZERO, &CancellationToken::new(), &mut part).await);
    }
}
