//! The page with a list of jobs, from what was read.

use std::collections::BTreeMap;

use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};

use model::filter::{FilterKey, written};
use model::{HandlerName, JobId, StateName, Timestamp};
use store::Stopped;

use super::answer::{Found, answer};
use super::asked::{Asked, Done, SelectedAction, list_of};
use super::chips::{ask_value, bar, unfinished};
use super::row::{Row, list, rows};
use super::{Extra, Jobs, Listed};
use crate::admin::Shared;
use crate::admin::job_json::stopped_because;
use crate::admin::pages::parts::mark::{Tone, look, words};
use crate::admin::pages::parts::panel::{Answer, empty, note, panel, unreadable};
use crate::admin::pages::parts::text::{capital, with_code};
use crate::admin::pages::parts::{amount, moment};
use crate::admin::pages::shell::{Search, Shell, Tab};
use crate::admin::pages::{Icon, Page, icon};

/// What every page with a list contains.
pub(super) struct View<'a> {
    pub(super) asked: &'a Asked,
    pub(super) counts: Option<&'a BTreeMap<StateName, u64>>,
    pub(super) handlers: &'a [HandlerName],
    pub(super) shell: &'a Shell,
    pub(super) now: Timestamp,
}

impl View<'_> {
    pub(super) fn respond(&self, found: Listed, extra: Extra, shared: &Shared) -> Response {
        let q = &self.asked.q;
        let (answer, list) = match found {
            Listed::Jobs(jobs) => self.jobs(*jobs, shared),
            Listed::Refused(why) => {
                (Answer::new(Tone::Bad, Icon::Errors, "This filter does not work", with_code(&why)), html! {})
            }
            Listed::Unreadable(why) => {
                let answer = Answer::new(Tone::Bad, Icon::Warning, "The jobs could not be read", html! {});
                (answer, panel("h-list", "Jobs", html! {}, unreadable(why)))
            }
        };
        let status = match &extra {
            Extra::Refused { status, .. } => *status,
            Extra::None | Extra::DryRun(_) => StatusCode::OK,
        };
        let body = html! {
            @if let Some(done) = self.asked.done { (what_was_done(done)) }
            (bar(q))
            @if let Some((rest, key)) = unfinished(q) { (ask_value(&rest, key, self.handlers)) }
            (self.tabs())
            @match extra {
                Extra::None => {},
                Extra::DryRun(view) => (view.render(&self.shell.visitor, q, self.now)),
                Extra::Refused { why, .. } => (note(Tone::Bad, Icon::Errors, why, html! {})),
            }
            (list)
        };
        let search = Search { action: Tab::Jobs.path(), filter: Some(q) };
        Page { tab: Tab::Jobs, search, answer, body }.respond_with(status, self.shell)
    }

    /// The number of jobs in each state, by the counters.
    fn tabs(&self) -> Markup {
        let Some(counts) = self.counts else { return html! {} };
        html! {
            nav aria-label="Jobs by state" { ul.tabs {
                @for state in StateName::ALL {
                    @let q = format!("state:{state}");
                    @let (tone, sign) = look(state);
                    li { a href=(list_of(&q)) aria-current=[(q == self.asked.q).then_some("true")] {
                        span.st.(tone.class()) { (icon(sign)) }
                        (capital(&words(state))) " " b { (amount::number(counts.get(&state).copied().unwrap_or_default())) }
                    } }
                }
            } }
        }
    }

    fn jobs(&self, jobs: Jobs, shared: &Shared) -> (Answer, Markup) {
        let Jobs { page, digits, waits, names_one_job } = jobs;
        let rest = unfinished(&self.asked.q).map_or_else(|| self.asked.q.clone(), |(rest, _)| rest);
        let found = Found {
            q: &rest,
            jobs: &page.jobs,
            is_later: self.asked.before.is_some(),
            has_more: page.next.is_some(),
            has_stopped: page.stopped.is_some(),
            counts: self.counts,
            names: &shared.account_names,
        };
        let answer = answer(found);
        let older = page.next.map(|next| self.at(Some(next)));
        let stopped = page.stopped.zip(page.next);
        let rows = rows(page.jobs, &digits, &waits, shared, self.now);
        let list = html! {
            @if let Some((stopped, next)) = stopped { (search_stopped(stopped, next, &self.at(Some(next)), self.now)) }
            @if rows.is_empty() {
                @let is_stored = self.counts.is_none_or(|counts| counts.values().any(|jobs| *jobs > 0));
                (panel("h-list", "Jobs", html! {}, nothing(&rest, is_stored, stopped.is_some(), names_one_job)))
            } @else {
                (self.panel(&rest, &rows, older.as_deref()))
            }
        };
        (answer, list)
    }

    fn at(&self, before: Option<JobId>) -> String {
        Asked { q: self.asked.q.clone(), before, done: None }.address()
    }

    fn panel(&self, q: &str, rows: &[Row], older: Option<&str>) -> Markup {
        let visitor = &self.shell.visitor;
        let caption = match q {
            "" => "Jobs, newest first".to_owned(),
            q => format!("Jobs that match {q}, newest first"),
        };
        let table = list(rows, &caption, visitor.may_change(), self.now);
        let body = html! {
            @if visitor.may_change() {
                form method="post" action="/jobs/selected" {
                    (visitor.csrf_field())
                    input type="hidden" name="q" value=(q);
                    (table)
                    div.bulk role="group" aria-label="Actions on jobs" {
                        span.m { "Selected jobs:" }
                        button.btn.s type="submit" name="do" value="retry" data-key="r" { (icon(Icon::Retry)) "Retry" }
                        button.btn.s type="submit" name="do" value="cancel" { (icon(Icon::X)) "Cancel" }
                        @if !q.is_empty() {
                            button.btn.s type="submit" name="do" value="retry" formaction="/jobs/bulk" { "Retry all that match: dry run" }
                            button.btn.s type="submit" name="do" value="cancel" formaction="/jobs/bulk" { "Cancel all that match: dry run" }
                        }
                        (self.pages(rows.len(), older))
                    }
                }
            } @else {
                (table)
                div.bulk {
                    span.why { (icon(Icon::Lock)) span { "This token is read only. Retry and cancel need " code { "admin.token" } "." } }
                    (self.pages(rows.len(), older))
                }
            }
        };
        panel("h-list", "Newest first", self.row_height(), body)
    }

    fn pages(&self, shown: usize, older: Option<&str>) -> Markup {
        html! {
            span.acts {
                span.m.wide {
                    (shown) " shown" @if older.is_none() { ", no older ones match" }
                }
                @if self.asked.before.is_some() { a.btn.s href=(self.at(None)) { "Newest" } }
                @if let Some(older) = older { a.btn.s href=(older) rel="next" { "Older" (icon(Icon::Right)) } }
            }
        }
    }

    fn row_height(&self) -> Markup {
        let is_comfortable = self.shell.look.comfortable;
        html! {
            form.acts method="get" action="/look" data-look {
                input type="hidden" name="next" value=(self.shell.path);
                fieldset.seg {
                    legend.hide { "Row height" }
                    label { "Compact" input type="radio" name="rows" value="compact" checked[!is_comfortable]; }
                    label { "Comfortable" input #rows-comfortable type="radio" name="rows" value="comfortable" checked[is_comfortable]; }
                }
                noscript { button.btn.s type="submit" { "Save" } }
            }
        }
    }
}

/// The result of a change of selected jobs.
fn what_was_done(done: Done) -> Markup {
    let Done::Changed { action, jobs, left, failed } = done else {
        return note(Tone::Warn, Icon::Info, "No job was selected. Select at least one.", html! {});
    };
    let tone = match (jobs, left, failed) {
        (_, _, 1..) => Tone::Bad,
        (0, _, _) | (_, 1.., _) => Tone::Warn,
        _ => Tone::Ok,
    };
    let sign = if tone == Tone::Ok { Icon::Ok } else { Icon::Warning };
    let (done, why_not) = match action {
        SelectedAction::Retry => (
            "delivered again",
            "only dead, gone and delivering jobs can be retried, and none that a newer request of its bot replaced",
        ),
        SelectedAction::Cancel => ("cancelled", "it was already finished"),
    };
    let will = if action == SelectedAction::Retry {
        "will be"
    } else if jobs == 1 {
        "was"
    } else {
        "were"
    };
    let was = if left == 1 { "was" } else { "were" };
    let words = html! {
        @if jobs > 0 { (amount::count(jobs, "job")) " " (will) " " (done) ". " }
        @if left > 0 { (amount::count(left, "job")) " " (was) " left unchanged: " (why_not) ". " }
        @if failed > 0 {
            "The store did not change " (amount::count(failed, "job")) ": look at them before you try again. "
        }
    };
    note(tone, sign, words, html! {})
}

/// Says that a search is incomplete.
fn search_stopped(stopped: Stopped, next: JobId, older: &str, now: Timestamp) -> Markup {
    let words = html! {
        "The search stopped at jobs received " (moment::moment(next.received_at(), now)) ", and older ones may match: "
        (stopped_because(stopped)) "."
    };
    note(Tone::Plain, Icon::Info, words, html! { a.btn.s href=(older) { "Search older jobs" } })
}

/// Says why a list is empty, and offers a wider one.
fn nothing(q: &str, is_stored: bool, has_stopped: bool, names_one_job: bool) -> Markup {
    if !is_stored {
        let why = "The first request of a bot becomes the first job.";
        let link = html! { a.btn.s href="/" { "How to connect a bot" } };
        return empty(Tone::Plain, Icon::Jobs, "No job yet.", why, link);
    }
    if has_stopped {
        let why = html! { "The filter is " code { (q) } ". Older jobs may match." };
        return empty(Tone::Plain, Icon::Search, "No job found so far.", why, html! {});
    }
    let wider = wider(q);
    let link = html! { a.btn.s href=(list_of(&wider.0)) { (wider.1) } };
    let why = html! {
        "The filter is " code { (q) } "."
        @if names_one_job {
            " A request has no job if it was refused or came to a wrong path: "
            a href="/" { "the page Now" } " lists such requests."
        }
    };
    empty(Tone::Plain, Icon::Jobs, "No job matches.", why, link)
}

/// A wider filter, and what it does.
fn wider(q: &str) -> (String, &'static str) {
    let words = written(q);
    let is_time =
        |key: Option<&str>| matches!(key.and_then(FilterKey::of), Some(FilterKey::Since | FilterKey::Until));
    let timeless: Vec<&str> =
        words.iter().filter(|word| !is_time(word.key.as_deref())).map(|word| word.text).collect();
    if !timeless.is_empty() && timeless.len() < words.len() {
        return (timeless.join(" "), "Look at any time");
    }
    (String::new(), "Show all jobs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_offers_a_wider_one() {
        for (q, expected) in [
            ("state:dead since:1h", ("state:dead", "Look at any time")),
            ("since:1h", ("", "Show all jobs")),
            ("state:dead", ("", "Show all jobs")),
            ("since:1h until:2h error:\"a b\"", ("error:\"a b\"", "Look at any time")),
        ] {
            let (wider, what) = wider(q);
            assert_eq!((&*wider, what), expected, "{q}");
        }
    }
}
