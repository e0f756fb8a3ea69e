//! Checks the section of each handler. The keys of handlers over HTTP are checked in [`check_http_handler`].

use std::collections::{BTreeMap, BTreeSet};

use super::checker::{Checker, DAY, MILLISECOND};
use super::sections::HandlerConfig;
use super::source::Sources;
use super::tree::Origin;
use super::{check_http_handler, ordering, raw};
use model::{HandlerName, HandlerPolicy};

/// `known` contains the names of all integrations. `has_callback_url`: handlers can be given a URL for answers that come
/// later.
pub(super) fn handlers(
    raw: BTreeMap<String, raw::Handler>,
    known: &BTreeSet<String>,
    has_callback_url: bool,
    sources: &Sources,
    checker: &mut Checker<'_>,
) -> BTreeMap<HandlerName, HandlerConfig> {
    let mut checked = BTreeMap::new();
    for (name, mut raw) in raw {
        let key = |key| ["handlers", name.as_str(), key];
        let legal: Option<HandlerName> = match name.parse() {
            Ok(legal) => Some(legal),
            Err(error) => {
                checker.refuse(&["handlers", &name], format!("{error}"));
                None
            }
        };
        let max_attempts = checker.require(&key("max_attempts"), raw.max_attempts, "a whole number");
        let attempt_timeout =
            checker.span(&key("attempt_timeout"), raw.attempt_timeout.take(), MILLISECOND..=DAY);
        let answer_within =
            checker.span(&key("answer_within"), raw.answer_within.take(), MILLISECOND..=30 * DAY);
        let fallback = checker.require(&key("fallback"), raw.fallback.take(), "the body of a continue");
        if let Some(why) = raw.integrations.as_ref().and_then(|names| wrong_integrations(names, known)) {
            checker.refuse(&key("integrations"), why);
        }
        let integrations = raw.integrations.take().map(BTreeSet::from_iter);
        let ordering = ordering::ordering(&name, &mut raw, answer_within, checker);
        let is_http = raw.kind.as_deref() == Some("http");
        let http = check_http_handler::http(&name, &mut raw, has_callback_url, sources, checker);
        if let (Some(max_attempts), Some(attempt_timeout), Some(answer_within), Some(fallback)) =
            (max_attempts, attempt_timeout, answer_within, fallback)
            && let (Some(legal), Some(ordering)) = (legal, ordering)
            && http.is_some() == is_http
        {
            let policy = HandlerPolicy {
                max_attempts,
                attempt_timeout,
                answer_within,
                fallback,
                goto: raw.goto,
                ordering,
            };
            let place = match checker.tree.nearest_origin(&["handlers", &name]) {
                Origin::BuiltIn => None,
                written => Some(written.to_string()),
            };
            checked.insert(legal, HandlerConfig { kind: raw.kind, policy, http, integrations, place });
        }
    }
    checked
}

/// Returns why a handler cannot be limited to these integrations; `None` if it can. The reason repeats no entry,
/// which may be a misplaced secret.
fn wrong_integrations(names: &[String], known: &BTreeSet<String>) -> Option<String> {
    let all: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    let expected = format!("expected names of [integrations.NAME]: {}", all.join(", "));
    if names.is_empty() {
        return Some(format!("must have at least one entry (remove the key to allow all); {expected}"));
    }
    let unknown = names.iter().position(|name| !known.contains(name))?;
    Some(format!("entry {} is an unknown integration; {expected}", unknown + 1))
}
