//! Checks that involve more than the form of one value: ranges of text values, and rules between keys.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use url::{Host, Url};

use super::check_outgoing::Written;
use super::check_store::{self, ENCRYPTION_KEY};
use super::checker::{Checker, DAY, HOUR, MILLISECOND, MINUTE};
use super::problem::Problems;
use super::raw::{self, Raw};
use super::sections::{Config, DeliveryConfig, LogConfig, ServerConfig, WorkersConfig};
use super::source::Sources;
use super::tree::Node;
use super::values::{Size, Text};
use super::{check_admin, check_handlers, check_names, check_outgoing};
use model::{Budget, HostRules, is_path_prefix, path_prefix};

const BODY_SIZES: RangeInclusive<usize> = 1 << 10..=64 << 20;
const BUDGETS: RangeInclusive<usize> = 1 << 10..=65_536 << 30;

/// Returns the checked configuration; `None` if a problem leaves a section incomplete.
pub(super) fn config(raw: Raw, sources: &Sources, tree: &Node, problems: &mut Problems) -> Option<Config> {
    let mut checker = Checker::new(tree, sources, problems);
    let (server, admin) = (server(raw.server, &mut checker), check_admin::admin(raw.admin, &mut checker));
    if let (Some(server), Some(admin)) = (&server, &admin)
        && collide(server.listen, admin.listen)
    {
        checker.refuse(&["admin", "listen"], "must differ from server.listen in address or port");
    }
    let has_key = raw.store.encryption_key.is_some() || raw.store.encryption_key_file.is_some();
    let store = check_store::store(raw.store, &mut checker);
    let budget = budget(raw.budget, &mut checker);
    let delivery = delivery(raw.delivery, sources, &mut checker);
    if let (Some(server), Some(delivery)) = (&server, &delivery) {
        check_scheme(server, delivery.hosts.insecure, &mut checker);
    }
    // Includes integrations that were refused for another reason, so that handlers may name them.
    let known = raw.integrations.keys().cloned().collect();
    let integrations = check_names::integrations(raw.integrations, &mut checker);
    let connects = integrations.iter().find(|(_, known)| known.redirect_uri.is_some());
    if let (Some((name, _)), false) = (connects, has_key || checker.problems.was_refused(&ENCRYPTION_KEY)) {
        let why = format!(
            "is required: integrations.{name}.redirect_uri connects accounts by OAuth, whose tokens are stored encrypted; \
             create a key with `openssl rand -base64 32`"
        );
        checker.refuse(&ENCRYPTION_KEY, why);
    }
    let rules = delivery.as_ref().map(|delivery| &delivery.hosts);
    let accounts = check_names::accounts(raw.accounts, rules, &mut checker);
    let has_callback_url = server.as_ref().is_none_or(|server| server.callback_url.is_some());
    let handlers = check_handlers::handlers(raw.handlers, &known, has_callback_url, sources, &mut checker);
    let workers = workers(raw.workers, &mut checker);
    let log = log(raw.log, &mut checker);
    Some(Config {
        server: server?,
        admin: admin?,
        store: store?,
        budget: budget?,
        integrations,
        accounts,
        handlers,
        workers: workers?,
        delivery: delivery?,
        log: log?,
        file: None,
        from_text: false,
        secret_files: checker.files,
        settings: Arc::default(),
    })
}

/// Requires https, because Kommo calls nothing else, and plain HTTP would expose tokens. A loopback address or
/// `insecure` means a test, which may use http.
fn check_scheme(server: &ServerConfig, insecure: bool, checker: &mut Checker<'_>) {
    let Some(url) = &server.public_url else { return };
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    if url.scheme() != "https" && !is_here && !insecure {
        checker.refuse(
            &["server", "public_url"],
             "must begin with https://, because Kommo calls nothing else; http is only for a loopback address like \
             \"http://127.0.0.1:8080\", or for tests with delivery.insecure",
        );
    }
}

fn server(raw: raw::Server, checker: &mut Checker<'_>) -> Option<ServerConfig> {
    let listen = checker.require(&["server", "listen"], raw.listen, "an address and a port");
    let public_url = raw.public_url.map(|Text(url)| url);
    if let Some(why) = public_url.as_ref().and_then(wrong_public_url) {
        checker.refuse(&["server", "public_url"], why);
    }
    let callback_url = raw.callback_url.map(|Text(url)| url);
    if let Some(why) = callback_url.as_ref().and_then(wrong_callback_url) {
        checker.refuse(&["server", "callback_url"], why);
    }
    let body_path = &["server", "max_body"];
    let max_body = checker.require(body_path, raw.max_body, "a size").map(|Text(Size(bytes))| bytes);
    if max_body.is_some_and(|bytes| !BODY_SIZES.contains(&bytes)) {
        checker.refuse(body_path, "must be a size from 1KiB to 64MiB");
    }
    let ack_deadline = checker.span(&["server", "ack_deadline"], raw.ack_deadline, MILLISECOND..=MINUTE);
    let max_connections = checker.count(&["server", "max_connections"], raw.max_connections);
    let read_timeout = checker.span(&["server", "read_timeout"], raw.read_timeout, MILLISECOND..=5 * MINUTE);
    Some(ServerConfig {
        listen: listen?.0,
        callback_url: callback_url.or_else(|| public_url.clone()),
        public_url,
        max_body: max_body?,
        ack_deadline: ack_deadline?,
        max_connections: max_connections?,
        read_timeout: read_timeout?,
    })
}

fn budget(raw: raw::Budget, checker: &mut Checker<'_>) -> Option<Budget> {
    let mut size = |key, value| {
        let path = &["budget", key];
        let Text(Size(bytes)) = checker.require(path, value, "a size")?;
        if !BUDGETS.contains(&bytes) {
            checker.refuse(path, "must be a size from 1KiB to 65536GiB");
        }
        u64::try_from(bytes).ok()
    };
    let (unfinished, stored) = (size("unfinished", raw.unfinished), size("stored", raw.stored));
    let requests = raw.requests.map(|Text(rate)| rate);
    Some(Budget { unfinished: unfinished?, stored: stored?, requests })
}

fn workers(raw: raw::Workers, checker: &mut Checker<'_>) -> Option<WorkersConfig> {
    let concurrency = checker.count(&["workers", "concurrency"], raw.concurrency);
    let grace = checker.span(&["workers", "grace"], raw.grace, Duration::ZERO..=HOUR);
    Some(WorkersConfig { concurrency: concurrency?, grace: grace? })
}

fn delivery(mut raw: raw::Delivery, sources: &Sources, checker: &mut Checker<'_>) -> Option<DeliveryConfig> {
    let key = |name| ["delivery", name];
    let written = Written::from(&mut raw);
    let allowed = checker.require(&key("allowed_hosts"), raw.allowed_hosts, "a list of hosts");
    if allowed.as_ref().is_some_and(Vec::is_empty) {
        checker.refuse(
            &key("allowed_hosts"),
            "must have at least one entry: without one, nothing can be delivered",
        );
    }
    let insecure = checker.require(&key("insecure"), raw.insecure, "true or false");
    let outgoing = check_outgoing::outgoing(written, insecure.unwrap_or(false), sources, checker);
    let request_timeout =
        checker.span(&key("request_timeout"), raw.request_timeout, MILLISECOND..=10 * MINUTE);
    let give_up_after = checker.span(&key("give_up_after"), raw.give_up_after, MILLISECOND..=30 * DAY);
    let concurrency = checker.count(&key("concurrency"), raw.concurrency);
    let rate_per_account = checker.require(&key("rate_per_account"), raw.rate_per_account, "a whole number");
    let allowed = allowed?.into_iter().map(|Text(pattern)| pattern).collect();
    let check_outgoing::Checked { outgoing, ignored_proxy } = outgoing?;
    Some(DeliveryConfig {
        hosts: HostRules { allowed, insecure: insecure? },
        outgoing,
        ignored_proxy,
        request_timeout: request_timeout?,
        give_up_after: give_up_after?,
        concurrency: concurrency?,
        rate_per_account: rate_per_account?,
        rate_total: raw.rate_total,
    })
}

fn log(raw: raw::Log, checker: &mut Checker<'_>) -> Option<LogConfig> {
    let path = &["log", "filter"];
    let filter = checker.require(path, raw.filter, "a filter")?;
    if let Err(error) = EnvFilter::builder().parse(&filter) {
        checker.refuse(
            path,
            format!("must be a filter like \"info\" or \"info,salesbot_bridge=debug\": {error}"),
        );
    }
    Some(LogConfig { format: raw.format, filter })
}

/// Whether two listeners collide: they have the same port, and the same address or one of them uses all addresses.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same_address = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && same_address
}

/// Returns why this URL cannot precede `/callback/JOB/TOKEN`; `None` if it can.
fn wrong_callback_url(url: &Url) -> Option<&'static str> {
    (url.query().is_some() || !is_path_prefix(path_prefix(url))).then_some(
        "must be the part before /callback/…, like \"https://example.com/bots\" or \"http://127.0.0.1:8080\"",
    )
}

/// Returns why this URL cannot precede `/widget_request/NAME` in the address that Kommo calls; `None` if it can.
fn wrong_public_url(url: &Url) -> Option<&'static str> {
    if url.query().is_some() {
        return Some(
            "must not have a query; write it like \"https://example.com\" or \"https://example.com/bots\"",
        );
    }
    (!is_path_prefix(path_prefix(url))).then_some(
        "must be the part before /widget_request/NAME and /oauth/callback, like \"https://example.com\" or \
         \"https://example.com/bots\"",
    )
}
