//! Checks what became of the requests since the running bridge started: calls to unknown paths, and refused requests.
//! Neither has a job, so no list of jobs shows them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cli::health;
use crate::cli::text::{clean, counted};
use crate::config::Config;

use super::check::Check;

const NAME: &str = "requests";
/// The maximum number of outcomes and paths that a finding names.
const MAX_NAMED: usize = 3;

/// One check for unknown paths and one for refusals; none if no bridge runs.
pub(super) async fn checks(config: &Config) -> Vec<Check> {
    let Some(metrics) = health::metrics(config).await else { return Vec::new() };
    let stats = health::api(config, "/api/v1/stats").await.unwrap_or_default();
    let url = config.server.public_url.as_ref().map_or("", url::Url::as_str).trim_end_matches('/');
    decide(&metrics, &stats, url)
}

/// The sum of a counter for each value of its label.
fn sums(metrics: &str, counter: &str, label: &str) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    let start = format!("{counter}{{");
    let key = format!("{label}=\"");
    for line in metrics.lines().filter_map(|line| line.strip_prefix(&start)) {
        let Some((labels, number)) = line.rsplit_once("} ") else { continue };
        let value = labels.split(&key).nth(1).and_then(|rest| rest.split('"').next());
        if let (Some(value), Ok(number)) = (value, number.parse::<u64>()) {
            *sums.entry(value.to_owned()).or_default() += number;
        }
    }
    sums
}

fn decide(metrics: &str, stats: &Value, public_url: &str) -> Vec<Check> {
    // The metric also counts the GETs of scanners. A widget block sends a POST.
    let unknown = stats["unknown_paths"].as_array().map_or(&[][..], Vec::as_slice);
    let refused = stats["refused"].as_array().map_or(&[][..], Vec::as_slice);
    let mut checks = Vec::new();
    if !unknown.is_empty() {
        let paths = unknown.iter().take(MAX_NAMED);
        let paths: Vec<String> = paths
            .map(|one| {
                let calls = counted(one["calls"].as_u64().unwrap_or_default(), "time");
                format!("POST {} ({calls})", clean(one["path"].as_str().unwrap_or("?")))
            })
            .collect();
        let found = format!("unknown paths were called since the bridge started: {}", paths.join(", "));
        let todo = format!(
            "correct the URL in the widget block: POST {public_url}/widget_request/NAME; then save the bot again"
        );
        checks.push(Check::warning(NAME, found, todo));
    }
    if !refused.is_empty() {
        let total: u64 = refused.iter().filter_map(|one| one["requests"].as_u64()).sum();
        let named: Vec<String> = refused.iter().take(MAX_NAMED).map(refusals).collect();
        let were = if total == 1 { "was" } else { "were" };
        let requests = counted(total, "request");
        let found = format!("{requests} {were} refused since the bridge started: {}", named.join("; "));
        let todo = "the log of `serve` has a line for each refusal";
        checks.push(Check::warning(NAME, found, todo));
    }
    if checks.is_empty() {
        let accepted: u64 = sums(metrics, "bridge_requests_total", "outcome").values().sum();
        checks.push(Check::ok(NAME, format!("{accepted} since the bridge started, none refused")));
    }
    checks
}

/// `3 unauthorized, the last one because …`
fn refusals(one: &Value) -> String {
    let text = |field: &str| clean(one[field].as_str().unwrap_or("?"));
    format!("{} {}, the last one: {}", one["requests"], text("outcome"), text("last_reason"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::doctor::check::Outcome;

    #[test]
    fn unknown_paths_and_refusals_are_reported() {
        let accepted = "bridge_requests_total{handler=\"echo\",outcome=\"accepted\"} 5\n\
                        bridge_requests_total{handler=\"greet\",outcome=\"duplicate\"} 1\n";
        let scanned = "bridge_unknown_paths_total{reason=\"path\"} 2\n";
        let once = json!({
            "unknown_paths": [{ "path": "/widget/echo", "calls": 1 }],
            "refused": [{ "outcome": "no_handler", "requests": 1, "last_reason": "unknown handler (`gret`)" }],
        });
        let (none, stats, refused) = (
            json!({ "unknown_paths": [], "refused": [] }),
            json!({ "unknown_paths": [{ "path": "/widget/echo", "calls": 3 }] }),
            json!({ "refused": [
                { "outcome": "no_handler", "requests": 7, "last_reason": "unknown handler (`gret`)" },
                { "outcome": "unauthorized", "requests": 4, "last_reason": "wrong signature" },
            ] }),
        );
        for (metrics, stats, expected, parts) in [
            (format!("{accepted}{scanned}"), &none, &[Outcome::Ok][..], &["6 since the bridge started"][..]),
            (
                accepted.to_owned(),
                &stats,
                &[Outcome::Warning],
                &["POST /widget/echo (3 times)", "POST https://b.example/widget_request/NAME"],
            ),
            (
                accepted.to_owned(),
                &refused,
                &[Outcome::Warning],
                &[
                    "11 requests were refused",
                    "7 no_handler, the last one: unknown handler (`gret`); 4 unauthorized, the last one: wrong signature",
                ],
            ),
            (
                accepted.to_owned(),
                &once,
                &[Outcome::Warning, Outcome::Warning],
                &["POST /widget/echo (1 time)", "1 request was refused"],
            ),
        ] {
            let checks = decide(&metrics, stats, "https://b.example");
            assert_eq!(checks.iter().map(Check::outcome).collect::<Vec<_>>(), expected);
            let text = serde_json::to_string(&checks).unwrap();
            for part in parts {
                assert!(text.contains(part), "{part} in {text}");
            }
        }
    }
}
