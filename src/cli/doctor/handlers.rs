//! Checks the handlers at a URL: the name, the connection and TLS, without a request; and what the running bridge knows
//! about them.

use futures_util::future::join_all;

use crate::cli::health;
use crate::config::{Config, HttpHandlerConfig, Mode, Preset};
use crate::handlers::HttpHandler;
use model::HandlerName;

use super::check::Check;

/// What the running bridge knows about a handler.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Seen {
    /// Whether its breaker is open.
    unreachable: bool,
    /// Responses since the start of the bridge that only acknowledged the request.
    acknowledgements: f64,
}

impl Seen {
    /// Reads the metrics of the running bridge.
    fn of(name: &HandlerName, metrics: &str) -> Self {
        let value = |metric: &str| {
            let start = format!("{metric}{{handler=\"{name}\"}} ");
            let number = |line: &str| line.strip_prefix(&start)?.parse::<f64>().ok();
            metrics.lines().find_map(number).unwrap_or_default()
        };
        Self {
            unreachable: value("bridge_http_handler_breaker_open") > 0.0,
            acknowledgements: value("bridge_acknowledgements_total"),
        }
    }
}

/// One check for each handler at a URL.
pub(super) async fn checks(config: &Config) -> Vec<Check> {
    let has_callback = config.server.callback_url.is_some();
    let metrics = health::metrics(config).await.unwrap_or_default();
    let at_a_url = config.handlers.iter().filter_map(|(name, known)| Some((name, known.http.as_ref()?)));
    let reached = at_a_url.map(async |(name, http)| {
        let reached = HttpHandler::reach(http).await;
        decide(name, http, has_callback, reached, Seen::of(name, &metrics))
    });
    join_all(reached).await
}

fn decide(
    name: &HandlerName,
    http: &HttpHandlerConfig,
    has_callback: bool,
    reached: Result<(), String>,
    seen: Seen,
) -> Check {
    let subject = format!("handler {name}");
    if let Err(why) = reached {
        let todo = format!("check handlers.{name}.url, its certificate, and that the tool runs");
        let waiting = if seen.unreachable { "; its jobs wait" } else { "" };
        return Check::failed(subject, format!("cannot connect: {why}{waiting}"), todo);
    }
    if seen.unreachable {
        let todo =
            "wait a few seconds; if it stays like this, compare the network of `serve` with that of `doctor`";
        return Check::failed(subject, "the running bridge cannot reach it, and its jobs wait", todo);
    }
    if http.mode == Mode::Async && !has_callback {
        let todo = "set server.callback_url to the address at which the handler reaches the bridge";
        return Check::failed(subject, "it always answers later, but it gets no callback URL", todo);
    }
    if http.mode == Mode::Async && http.preset != Preset::Bridge {
        let todo = "set preset = \"bridge\", or another mode";
        return Check::failed(
            subject,
            "it always answers later, but the requests of its preset have no callback URL",
            todo,
        );
    }
    if seen.acknowledgements > 0.0 {
        let found = format!(
            "it only acknowledged {} requests since the bridge started; their jobs wait for callbacks",
            seen.acknowledgements
        );
        let todo = "if it does not call back, let it answer with its response: the log says how";
        return Check::warning(subject, found, todo);
    }
    Check::ok(subject, format!("can be connected to; `handlers test {name}` sends a test request"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::check::Outcome;
    use model::Outgoing;

    fn http(mode: Mode, preset: Preset) -> HttpHandlerConfig {
        HttpHandlerConfig {
            url: "http://127.0.0.1:1/".parse().unwrap(),
            secret: None,
            previous_secret: None,
            auth: None,
            preset,
            mode,
            concurrency: 64,
            max_awaiting: 10_000,
            outgoing: Outgoing::default(),
        }
    }

    #[test]
    fn a_handler_must_be_reachable_and_able_to_answer() {
        let name: HandlerName = "assistant".parse().unwrap();
        let refused = || Err("connection refused".to_owned());
        let (nothing, unreachable) = (Seen::default(), Seen { unreachable: true, ..Seen::default() });
        let acknowledged = Seen { acknowledgements: 3.0, ..nothing };
        let (auto, later) = (Mode::Auto, Mode::Async);
        for (mode, preset, has_callback, reached, seen, expected, part) in [
            (auto, Preset::Bridge, false, Ok(()), nothing, Outcome::Ok, "handlers test assistant"),
            (auto, Preset::Bridge, true, refused(), nothing, Outcome::Failed, "cannot connect: connection"),
            (auto, Preset::Bridge, true, refused(), unreachable, Outcome::Failed, "refused; its jobs wait"),
            (auto, Preset::Bridge, true, Ok(()), unreachable, Outcome::Failed, "the running bridge cannot"),
            (auto, Preset::Bridge, true, Ok(()), acknowledged, Outcome::Warning, "acknowledged 3 requests"),
            (later, Preset::Bridge, false, Ok(()), nothing, Outcome::Failed, "gets no callback URL"),
            (later, Preset::Bridge, true, Ok(()), nothing, Outcome::Ok, "can be connected to"),
            (later, Preset::Data, true, Ok(()), nothing, Outcome::Failed, "of its preset"),
        ] {
            let check = decide(&name, &http(mode, preset), has_callback, reached, seen);
            assert_eq!(check.outcome(), expected);
            let json = serde_json::to_string(&check).unwrap();
            assert!(json.contains(part), "{part} in {json}");
        }
    }

    #[test]
    fn the_running_bridge_is_asked_through_its_metrics() {
        let metrics = "bridge_http_handler_breaker_open{handler=\"assistant\"} 1\n\
                       bridge_acknowledgements_total{handler=\"other\"} 7\n\
                       bridge_acknowledgements_total{handler=\"assistant\"} 2\n";
        let of = |name: &str| Seen::of(&name.parse().unwrap(), metrics);
        assert_eq!(of("assistant"), Seen { unreachable: true, acknowledgements: 2.0 });
        assert_eq!(of("other"), Seen { unreachable: false, acknowledgements: 7.0 });
        assert_eq!(of("unknown"), Seen::default());
    }
}
