//! A handler as a row of the table.

use std::time::Duration;

use maud::{Markup, html};

use model::Timestamp;

use super::answer::{Trouble, trouble};
use crate::admin::handlers::{HandlerView, RECENT, RecentView};
use crate::admin::pages::parts::icon::Icon;
use crate::admin::pages::parts::mark::{self, Tone};
use crate::admin::pages::parts::{amount, moment, table};

pub(super) const COLUMNS: [table::Column; 9] = [
    table::Column::new("Handler", ""),
    table::Column::new("Now", ""),
    table::Column::new("Rate", "n"),
    table::Column::new("p50", "n"),
    table::Column::new("p99", "n"),
    table::Column::new("Outcomes", ""),
    table::Column::new("Running", "n"),
    table::Column::new("Awaiting", "n"),
    table::Column::hidden("Actions", "n"),
];

/// What the rows have in common.
pub(super) struct Context {
    pub(super) now: Timestamp,
    pub(super) has_stats: bool,
    pub(super) may_change: bool,
}

/// The row of `one`.
pub(super) fn row(one: &HandlerView, context: &Context) -> Markup {
    let name = &one.settings.name;
    let span = |ms: Option<u64>| ms.map(|ms| amount::duration(Duration::from_millis(ms)));
    let test = html! {
        @if context.may_change && one.settings.url.is_some() {
            a.btn.s href={ "/handlers/" (name) "/test" } { "Test…" span.hide { " a request to " (name) } }
        }
    };
    table::row(html! {
        (table::head("all wrap", title(one)))
        (table::cell("all", now(one, context.now)))
        (numbers(one.recent.as_ref(), context.has_stats, span))
        (table::labelled("n", "running", running(one)))
        (table::labelled("n", "awaiting", awaiting(one)))
        (table::cell("n all", test))
    })
}

fn title(one: &HandlerView) -> Markup {
    let settings = &one.settings;
    html! {
        a href={ "/jobs?q=handler%3A" (settings.name) } { (settings.name) }
        span.sub.line { "kind " (settings.kind) @if let Some(url) = &settings.url { ", " (url) } }
        span.sub.line { (limits(one)) }
    }
}

/// The limits and the order of a handler, in words.
fn limits(one: &HandlerView) -> String {
    let settings = &one.settings;
    let span = |ms| amount::duration(Duration::from_millis(ms));
    let attempts = if settings.max_attempts == 1 { "attempt" } else { "attempts" };
    let mut text = format!(
        "answers within {}, at most {} {attempts} of {}",
        span(settings.answer_within_ms),
        settings.max_attempts,
        span(settings.attempt_timeout_ms)
    );
    if settings.ordering == "conversation" {
        text.push_str("; one job of a conversation at a time");
        if settings.coalesce_ms > 0 {
            text.push_str(&format!(", joins messages of {}", span(settings.coalesce_ms)));
        }
    }
    text
}

fn now(one: &HandlerView, at: Timestamp) -> Markup {
    match trouble(one) {
        Some(Trouble::Unreachable(until)) => {
            let words = html! {
                "cannot be reached"
                @if let Some(until) = until { ", tested again in " (moment::countdown(until, at)) }
            };
            mark::sentence(Tone::Bad, Icon::Warning, words)
        }
        Some(Trouble::FallsBack(..)) => mark::sentence(Tone::Warn, Icon::Fallback, "many fallbacks"),
        Some(Trouble::AtItsLimit) => mark::sentence(Tone::Warn, Icon::Warning, "at its limit"),
        None if one.breaker.is_some() => mark::sentence(Tone::Ok, Icon::Ok, "ready"),
        None => html! {},
    }
}

/// The cells of the last five minutes.
fn numbers(
    recent: Option<&RecentView>,
    has_stats: bool,
    span: impl Fn(Option<u64>) -> Option<String>,
) -> Markup {
    let Some(recent) = recent else {
        let none = if has_stats { "no request" } else { "unknown" };
        return html! {
            (table::labelled("n m", "rate", none))
            (table::cell("n", "")) (table::cell("n", "")) (table::cell("", ""))
        };
    };
    let minutes = RECENT.as_secs() / 60;
    let rate = (10 * recent.jobs).div_ceil(minutes);
    html! {
        (table::labelled("n", "rate", format!("{}.{}/min", amount::number(rate / 10), rate % 10)))
        (table::labelled("n", "p50", span(recent.p50_ms).unwrap_or_default()))
        (table::labelled("n", "p99", span(recent.p99_ms).unwrap_or_default()))
        (table::cell("all", outcomes(recent)))
    }
}

fn outcomes(recent: &RecentView) -> Markup {
    let open = recent.jobs.saturating_sub(recent.answered + recent.fallbacks);
    let parts = [
        (recent.answered, "answered", Tone::Ok, Icon::Ok),
        (recent.fallbacks, "fallback", Tone::Warn, Icon::Fallback),
        (recent.dead, "dead", Tone::Bad, Icon::Dead),
        (open, "unfinished", Tone::Active, Icon::Running),
    ];
    html! {
        @for (jobs, word, tone, sign) in parts.into_iter().filter(|(jobs, ..)| *jobs > 0) {
            (mark::mark(tone, sign, html! { (amount::number(jobs)) " " (word) })) " "
        }
    }
}

fn running(one: &HandlerView) -> Markup {
    html! {
        @if let Some(permits) = one.concurrency {
            (permits.in_use) " of " (permits.limit)
            @if permits.shared { span.sub.line title="workers.concurrency" { "shared" } }
        }
    }
}

fn awaiting(one: &HandlerView) -> Markup {
    html! {
        @if let Some(jobs) = one.awaiting_callback.filter(|jobs| *jobs > 0 || one.max_awaiting.is_some()) {
            (amount::number(jobs))
            @if let Some(max) = one.max_awaiting { " of " (amount::number(max)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::tests::{NOW, handler, unreachable};
    use super::*;

    #[test]
    fn a_row_says_what_the_handler_does_and_escapes_its_url() {
        let context = Context { now: NOW, has_stats: true, may_change: true };
        let html = row(&unreachable("greet"), &context).into_string().replace('\u{a0}', " ");
        for part in [
            "cannot be reached, tested again in ",
            "http, https://bots.example.com/&lt;b&gt;",
            "answers within 50 s, at most 10 attempts of 30 s; one job of a conversation at a time, joins messages of 2 s",
            "no request",
            "0 of 100",
            "/handlers/greet/test",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn only_an_operator_gets_the_test_and_unknown_numbers_are_named() {
        let context = Context { now: NOW, has_stats: false, may_change: false };
        let html = row(&handler("greet"), &context).into_string();
        assert!(html.contains("unknown") && !html.contains("/test"), "{html}");
    }
}
