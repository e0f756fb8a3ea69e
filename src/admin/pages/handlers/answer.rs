//! The sentence of the page: whether the handlers answer. Pure.

use maud::html;

use model::Timestamp;

use crate::admin::handlers::{HandlerView, RecentView};
use crate::admin::pages::parts::icon::Icon;
use crate::admin::pages::parts::mark::Tone;
use crate::admin::pages::parts::panel::Answer;
use crate::admin::pages::parts::{amount, moment};

/// What is wrong with a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Its URL cannot be reached. When the next call tests that.
    Unreachable(Option<Timestamp>),
    /// At least a tenth of its recent jobs got the fallback.
    FallsBack(u64, u64),
    /// All of its permits are in use.
    AtItsLimit,
}

/// What is wrong with `one`; `None` if nothing is.
pub(super) fn trouble(one: &HandlerView) -> Option<Trouble> {
    if let Some(breaker) = one.breaker.filter(|breaker| breaker.open) {
        return Some(Trouble::Unreachable(breaker.next_probe_at));
    }
    if let Some(RecentView { answered, fallbacks, .. }) = one.recent
        && fallbacks > 0
        && fallbacks * 10 >= answered + fallbacks
    {
        return Some(Trouble::FallsBack(fallbacks, answered + fallbacks));
    }
    one.concurrency.filter(|permits| permits.in_use >= permits.limit).map(|_| Trouble::AtItsLimit)
}

/// Answers whether the handlers answer.
pub(super) fn decide(handlers: &[HandlerView], has_stats: bool, now: Timestamp) -> Answer {
    let all = u64::try_from(handlers.len()).unwrap_or(u64::MAX);
    let troubled = || handlers.iter().filter_map(|one| Some((one, trouble(one)?)));
    let unreachable: Vec<_> =
        troubled().filter(|(_, what)| matches!(what, Trouble::Unreachable(_))).collect();
    if let Some((first, what)) = unreachable.first() {
        let sentence = match unreachable.len() {
            1 => format!("{} cannot be reached", first.settings.name),
            several => format!("{several} of {} cannot be reached", amount::count(all, "handler")),
        };
        let why = html! {
            "Its jobs wait" @if unreachable.len() > 1 { ", and those of the others, too" } ". "
            @if let Trouble::Unreachable(Some(at)) = what { "The next call to " strong { (first.settings.name) } " tests it in " (moment::countdown(*at, now)) ". " }
            @if let Some(url) = &first.settings.url { span.wrap { (url) } }
        };
        return Answer::new(Tone::Bad, Icon::Warning, sentence, why);
    }
    let falls_back = troubled().find_map(|(one, what)| match what {
        Trouble::FallsBack(fallbacks, jobs) => Some((one, fallbacks, jobs)),
        Trouble::Unreachable(_) | Trouble::AtItsLimit => None,
    });
    if let Some((one, fallbacks, jobs)) = falls_back {
        let name = &one.settings.name;
        let sentence = format!(
            "{name} gave the fallback to {} of {} bots",
            amount::number(fallbacks),
            amount::number(jobs)
        );
        let why = html! {
            "In the last 5 minutes. " a href={ "/jobs?q=outcome%3Afallback+handler%3A" (name) "+since%3A5m" } { "Show these jobs" }
            ", or look at the " a href="/errors" { "errors" } "."
        };
        return Answer::new(Tone::Warn, Icon::Fallback, sentence, why);
    }
    if let Some((one, _)) = troubled().next() {
        let why = html! { "Further jobs wait until one of its attempts ends. A higher concurrency lets more of them run at once." };
        return Answer::new(Tone::Warn, Icon::Warning, format!("{} is at its limit", one.settings.name), why);
    }
    let jobs: u64 = handlers.iter().filter_map(|one| one.recent).map(|recent| recent.jobs).sum();
    let handlers = amount::count(all, "handler");
    match (has_stats, jobs, all) {
        (false, ..) => {
            Answer::new(Tone::Plain, Icon::Handlers, handlers, html! { "None of them is unreachable." })
        }
        (_, 0, _) => {
            let why = html! { "No request came in the last 5 minutes." };
            Answer::new(Tone::Plain, Icon::Handlers, format!("{handlers}, no recent request"), why)
        }
        (_, jobs, 1) => Answer::new(Tone::Ok, Icon::Ok, "The handler answers", requests(jobs)),
        (_, jobs, all) => Answer::new(
            Tone::Ok,
            Icon::Ok,
            format!("All {} handlers answer", amount::number(all)),
            requests(jobs),
        ),
    }
}

fn requests(jobs: u64) -> maud::Markup {
    html! { (amount::count(jobs, "request")) " in the last 5 minutes." }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::admin::HandlerSettings;
    use crate::admin::handlers::{BreakerView, ConcurrencyView};

    pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_789_928_123);

    pub(crate) fn handler(name: &str) -> HandlerView {
        let settings = HandlerSettings {
            name: name.parse().unwrap(),
            kind: "http".into(),
            url: Some("https://bots.example.com/<b>".into()),
            max_attempts: 10,
            attempt_timeout_ms: 30_000,
            answer_within_ms: 50_000,
            ordering: "conversation",
            coalesce_ms: 2_000,
        };
        HandlerView::of_store(settings, Some(0), Some(100))
    }

    pub(crate) fn unreachable(name: &str) -> HandlerView {
        let next_probe_at = Some(NOW + Duration::from_secs(1));
        HandlerView { breaker: Some(BreakerView { open: true, next_probe_at }), ..handler(name) }
    }

    fn recent(name: &str, answered: u64, fallbacks: u64) -> HandlerView {
        let jobs = answered + fallbacks;
        let recent =
            RecentView { jobs, answered, fallbacks, delivered: jobs, dead: 0, p50_ms: None, p99_ms: None };
        HandlerView { recent: Some(recent), ..handler(name) }
    }

    fn full(name: &str) -> HandlerView {
        HandlerView {
            concurrency: Some(ConcurrencyView { in_use: 8, limit: 8, shared: false }),
            ..handler(name)
        }
    }

    #[test]
    fn the_sentence_says_whether_the_handlers_answer() {
        for (handlers, tone, sentence) in [
            (vec![recent("greet", 10, 0)], Tone::Ok, "The handler answers"),
            (vec![recent("greet", 91, 9), recent("echo", 1, 0)], Tone::Ok, "All 2 handlers answer"),
            (vec![handler("greet"), handler("echo")], Tone::Plain, "2\u{a0}handlers, no recent request"),
            (vec![recent("greet", 9, 1)], Tone::Warn, "greet gave the fallback to 1 of 10 bots"),
            (vec![full("greet"), handler("echo")], Tone::Warn, "greet is at its limit"),
            (vec![recent("greet", 0, 9), unreachable("n8n")], Tone::Bad, "n8n cannot be reached"),
            (
                vec![unreachable("a"), unreachable("b"), handler("c")],
                Tone::Bad,
                "2 of 3\u{a0}handlers cannot be reached",
            ),
        ] {
            let answer = decide(&handlers, true, NOW);
            assert_eq!((answer.tone, &*answer.sentence), (tone, sentence));
            assert!(!answer.why.into_string().contains("<b>"), "{sentence}");
        }
        assert_eq!(decide(&[handler("a")], false, NOW).sentence, "1\u{a0}handler");
    }
}
