//! Creates the rooms from the configuration, ready to run.

use model::maps::HashMap;
use std::io;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::accounts::Accounts;
use crate::config::{self, BUILT_IN_KINDS, Config};
use crate::deliver::{DeliverySettings, Sender, SenderParts};
use crate::handler::CallbackUrls;
use crate::handlers::{Echo, HttpHandler};
use crate::health::{EverybodyWaits, Health, Nonce};
use crate::job_log::JobLog;
use crate::receive::{Notes, Receiver, Route, TokenSigner};
use crate::secrets::SharedSecret;
use crate::telemetry;
use crate::work::{HandlerThreads, HandlerTools, Pool, Registry};
use kommo::pace::CallLimiter;
use model::clock::Clock;
use model::{HandlerName, HandlerPolicy};
use store::{Role, Store};

use super::callback_urls::callback_urls;
use super::http_handlers::HttpHandlers;
use super::kommo_stack::{self, KommoStack};
use super::secrets::{AdminTokens, Secrets};
use super::{Bridge, Error, Registration};

/// The rooms, ready to run.
pub(super) struct BridgeParts {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) health: Health,
    pub(super) job_log: JobLog,
    pub(super) store: Store,
    pub(super) pool: Pool,
    pub(super) callbacks: Arc<CallbackUrls>,
    pub(super) sender: Sender,
    pub(super) accounts: Accounts,
    pub(super) receiver: Receiver,
    pub(super) draining: CancellationToken,
    pub(super) secrets: Arc<Secrets>,
    pub(super) limiter: Arc<CallLimiter>,
    /// The handlers at a URL.
    pub(super) http_handlers: std::collections::HashMap<HandlerName, Arc<HttpHandler>>,
}

impl BridgeParts {
    pub(super) async fn new(bridge: Bridge) -> Result<Self, Error> {
        Self::before_store(bridge, |_| Ok(())).await.map(|(parts, ())| parts)
    }

    /// Like [`new`](Self::new), but calls `prepare` when the handlers are known to be right, and before the store is created.
    pub(super) async fn before_store<P>(
        bridge: Bridge,
        prepare: impl FnOnce(&Config) -> Result<P, Error>,
    ) -> Result<(Self, P), Error> {
        let Bridge { config, registrations, clock, call_watch, .. } = bridge;
        // Before the first part sets its metrics to 0, so that a scrape shows them.
        let _installed = telemetry::recorder();
        let mut http = HttpHandlers::new(&config, clock.clone(), Handle::current(), call_watch);
        let registry = registry(&config, registrations, Some(&mut http))?;
        let job_log = JobLog::new(clock.clone());
        let threads = handler_threads(&job_log).map_err(Error::Threads)?;
        let kommo = kommo_stack::kommo(&config)?;
        let prepared = prepare(&config)?;
        let store = Store::open(&config.store.url, Role::Owner, clock.clone()).await?;
        store.maintenance().set_budget(config.budget.clone());
        let health = Health::new();
        let (mut challenge, mut answer) = ([0; 16], [0; 16]);
        if kommo_stack::secret_random(&mut challenge) && kommo_stack::secret_random(&mut answer) {
            let place = store::outside::place(&config.store.url)?;
            health.set_nonce(Nonce::new(challenge, answer, &place));
        }
        let limiter = kommo_stack::limiter(&config, &clock);
        watch_all_accounts(&health, &limiter, &store, &clock);
        let kommo_stack = KommoStack {
            kommo: kommo.clone(),
            limiter: limiter.clone(),
            health: health.clone(),
            clock: clock.clone(),
        };
        let accounts = kommo_stack.clone().accounts(&config, Some(store.clone())).await?;
        store.maintenance().give_up_unknown(accounts.known());
        // Calls run on this runtime and not on the handlers' threads, which handlers may block.
        let clients = kommo_stack.clients(&config, &accounts, Some(Handle::current()));
        let policies: HashMap<HandlerName, HandlerPolicy> =
            registry.iter().map(|(name, policy)| (name.clone(), policy.clone())).collect();
        let draining = CancellationToken::new();
        let notes = Notes { totals: job_log.totals(), health: health.clone() };
        let receiver = receiver(&config, &policies, &store, &accounts, &clock, &draining, notes);
        let admin_tokens = AdminTokens {
            token: config.admin.token.clone().map(SharedSecret::from),
            read_token: config.admin.read_token.clone().map(SharedSecret::from),
        };
        let (http_handlers, http_secrets) = http.into_parts();
        let secrets = Secrets::new(&config, &receiver.signers, &accounts, admin_tokens, http_secrets);
        let secrets = Arc::new(secrets);
        let sender = Sender::new(
            SenderParts {
                store: store.clone(),
                kommo,
                accounts: accounts.clone(),
                limiter: limiter.clone(),
                policies,
                health: health.clone(),
                job_log: job_log.clone(),
                clock: clock.clone(),
                random: fastrand::f64,
            },
            DeliverySettings {
                request_timeout: config.delivery.request_timeout,
                give_up_after: config.delivery.give_up_after,
            },
        );
        let callbacks = Arc::new(callback_urls(&config, &store).await?);
        let pool = Pool::new(
            store.clone(),
            registry,
            HandlerTools { threads, clients, callbacks: callbacks.clone() },
            config.workers.concurrency,
            clock.clone(),
            fastrand::f64,
        );
        let parts = Self {
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
        };
        Ok((parts, prepared))
    }
}

/// Starts the threads for handlers. The log names handlers that block them.
fn handler_threads(job_log: &JobLog) -> io::Result<HandlerThreads> {
    let (job_log, runtime) = (job_log.clone(), Handle::current());
    // Threads are busy in real time, even if a test moves the bridge's clock.
    HandlerThreads::start(Clock::system(), move |handler| {
        let _context = runtime.enter();
        job_log.blocked(handler);
    })
}

/// Lets the health ask the limiter whether all accounts wait. After the pause's time, the next delivery ends it; if no
/// delivery waits then, the wait is not reported, because no one has to act.
fn watch_all_accounts(health: &Health, limiter: &Arc<CallLimiter>, store: &Store, clock: &Clock) {
    let (limiter, store, clock) = (limiter.clone(), store.clone(), clock.clone());
    health.on_everybody(move || {
        let waits = limiter.everybody_waits()?;
        if waits.left.is_none() && store.delivery().is_empty() {
            return None;
        }
        Some(EverybodyWaits { why: waits.to_string(), until: waits.left.map(|left| clock.now() + left) })
    });
}

/// Registers all handlers. Without `http`, handlers over HTTP are only names, which is enough to check the configuration.
pub(super) fn registry(
    config: &Config,
    registrations: Vec<(String, Registration)>,
    mut http: Option<&mut HttpHandlers>,
) -> Result<Registry, Error> {
    let mut registry = Registry::default();
    for (name, register) in registrations {
        let name: HandlerName = name.parse().map_err(|source| Error::HandlerName { name, source })?;
        let configured = config.handlers.get(&name);
        if registry.get(name.as_str()).is_some() || configured.is_some_and(|known| known.kind.is_some()) {
            return Err(Error::HandlerTwice(name.to_string()));
        }
        register(&mut registry, name, configured.map(|known| known.policy.clone()).unwrap_or_default());
    }
    for (name, handler) in &config.handlers {
        match handler.kind.as_deref() {
            Some(kind) => built_in(&mut registry, kind, name, handler, http.as_deref_mut())?,
            None if registry.get(name.as_str()).is_some() => {}
            None => return Err(no_such_handler(name, handler)),
        }
    }
    if registry.iter().next().is_none() {
        return Err(Error::NoHandlers(BUILT_IN_KINDS.join(", ")));
    }
    Ok(registry)
}

fn built_in(
    registry: &mut Registry,
    kind: &str,
    name: &HandlerName,
    handler: &config::HandlerConfig,
    http: Option<&mut HttpHandlers>,
) -> Result<(), Error> {
    match (kind, http) {
        ("http", Some(http)) => http.register(registry, name, handler)?,
        ("echo", _) | ("http", None) => registry.add(name.clone(), Echo, handler.policy.clone()),
        _ => return Err(no_such_handler(name, handler)),
    }
    Ok(())
}

fn no_such_handler(name: &HandlerName, handler: &config::HandlerConfig) -> Error {
    let (name, place) = (name.to_string(), handler.place.clone());
    Error::NoSuchHandler { name, place, kinds: BUILT_IN_KINDS.join(", ") }
}

fn receiver(
    config: &Config,
    policies: &HashMap<HandlerName, HandlerPolicy>,
    store: &Store,
    accounts: &Accounts,
    clock: &Clock,
    draining: &CancellationToken,
    notes: Notes,
) -> Receiver {
    let signers = config.integrations.iter().map(|(name, known)| {
        let (secret, previous) = (&known.client_secret, known.previous_client_secret.as_ref());
        TokenSigner::new(name, &known.client_uuid, secret, previous)
    });
    Receiver {
        handlers: policies.iter().map(|(name, policy)| (name.clone(), route(config, name, policy))).collect(),
        signers: signers.collect(),
        public_url: config.server.public_url.clone(),
        hosts: config.delivery.hosts.clone(),
        max_body: config.server.max_body,
        read_timeout: config.server.read_timeout,
        ack_deadline: config.server.ack_deadline,
        is_disabled: {
            let accounts = accounts.clone();
            Arc::new(move |account_id, client_uuid| accounts.is_disabled(account_id, client_uuid))
        },
        on_account_seen: {
            let accounts = accounts.clone();
            Arc::new(move |client_uuid, origin, account_id| {
                accounts.was_seen(client_uuid, origin, account_id)
            })
        },
        store: store.clone(),
        clock: clock.clone(),
        random: Arc::new(|| fastrand::u128(..)),
        notes,
        draining: draining.clone(),
    }
}

/// The route of a handler. A handler that is registered in Rust may have a section in the configuration too.
fn route(config: &Config, name: &HandlerName, policy: &HandlerPolicy) -> Route {
    let integrations = config.handlers.get(name).and_then(|configured| configured.integrations.clone());
    Route { answer_within: policy.answer_within, ordering: policy.ordering, integrations }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_kind_can_be_registered() {
        for kind in BUILT_IN_KINDS {
            let mut registry = Registry::default();
            let name: HandlerName = "name".parse().unwrap();
            built_in(&mut registry, kind, &name, &config::HandlerConfig::default(), None).unwrap();
            assert!(registry.get("name").is_some(), "{kind}");
        }
    }
}
