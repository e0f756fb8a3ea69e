//! The requests that did not become jobs since the start, which no list of jobs shows.

use maud::{Markup, html};

use super::facts::Facts;
use crate::admin::pages::parts::icon::Icon;
use crate::admin::pages::parts::mark::{self, Tone};
use crate::admin::pages::parts::table::{Column, cell, head, labelled, row, table};
use crate::admin::pages::parts::{amount, moment, panel};
use crate::health::{Misdirected, Refused};

/// The kinds of requests that the panel shows.
const SHOWN: usize = 6;

const COLUMNS: [Column; 4] = [
    Column::new("What came", ""),
    Column::new("What is wrong", ""),
    Column::new("Last", "n"),
    Column::new("Requests", "n"),
];

/// The panel; nothing if every request became a job.
pub(super) fn render(facts: &Facts) -> Markup {
    let (paths, refused) = (&facts.setup.misdirected, &facts.refused);
    if paths.is_empty() && refused.is_empty() {
        return html! {};
    }
    let url = format!("{}/widget_request/NAME", facts.setup.public_url.as_deref().unwrap_or_default());
    let of_refusals = SHOWN.saturating_sub(paths.len());
    let rows = html! {
        @for one in paths { (row(path(one, &url))) }
        @for one in refused.iter().take(of_refusals) { (row(refusal(one, facts))) }
    };
    let total: u64 = paths.iter().map(|one| one.calls).chain(refused.iter().map(|one| one.requests)).sum();
    let aside = html! { span.m { (amount::count(total, "request")) " since the bridge started" } };
    let caption = "Requests that were refused or came to a wrong path";
    panel::panel("h-miss", "Requests without a job", aside, table("cards", caption, &COLUMNS, rows))
}

fn path(one: &Misdirected, url: &str) -> Markup {
    html! {
        (head("k wrap", html! { code { "POST " (one.path) } }))
        td.wrap role="cell" data-l="" {
            "This path does not exist. Correct the URL in the widget block: "
            code { "POST " (url) } "; then save the bot again."
        }
        (cell("n", ""))
        (labelled("n", "requests", amount::number(one.calls)))
    }
}

fn refusal(one: &Refused, facts: &Facts) -> Markup {
    html! {
        (head("k", mark::mark(Tone::Warn, Icon::X, html! { "refused: " (one.outcome.replace('_', " ")) })))
        td.wrap role="cell" data-l="" { (one.last_reason) }
        (labelled("n", "last", moment::ago(one.last_at, facts.now)))
        (labelled("n", "requests", amount::number(one.requests)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::facts;
    use super::*;

    #[test]
    fn requests_without_a_job_are_listed_with_what_to_do_and_escaped() {
        let mut facts = facts();
        assert_eq!(render(&facts).into_string(), "");
        facts.setup.misdirected = vec![Misdirected { path: "/widget/<b>".to_owned(), calls: 3 }];
        facts.refused = vec![Refused {
            outcome: "no_handler",
            requests: 2,
            last_at: facts.now,
            last_reason: "unknown handler (`<script>`)".to_owned(),
        }];
        let html = render(&facts).into_string().replace('\u{a0}', " ");
        for part in [
            "5 requests since the bridge started",
            "POST /widget/&lt;b&gt;",
            "POST https://bots.example.com/widget_request/NAME",
            "refused: no handler",
            "(`&lt;script&gt;`)",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }
}
