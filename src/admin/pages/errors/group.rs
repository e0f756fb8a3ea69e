//! `GET /errors/{id}`: one group of errors.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};
use url::form_urlencoded;

use model::{JobSummary, Timestamp};
use store::ErrorGroup;

use super::row::{day, new_since, of_last_day, place, title};
use super::{find, id_of, no_group};
use crate::admin::Shared;
use crate::admin::call::Id;
use crate::admin::pages::gather::{Visit, is_new, part};
use crate::admin::pages::parts::icon::{Icon, icon};
use crate::admin::pages::parts::mark::{self, Tone};
use crate::admin::pages::parts::panel::{self, Answer};
use crate::admin::pages::parts::{amount, moment, table};
use crate::admin::pages::shell::{Search, Tab};
use crate::admin::pages::{Page, not_found};

/// The shortest part of an error's text to search for, in characters.
const MIN_SEARCHED: usize = 4;

/// `GET /errors/{id}`
pub(in crate::admin::pages) async fn one(
    State(shared): State<Shared>,
    visit: Visit,
    id: Id,
    RawQuery(query): RawQuery,
) -> Response {
    let id = id_of(id);
    let now = shared.clock.now();
    let group = match find(&shared, &id).await {
        Ok(Some(group)) => group,
        Ok(None) => return not_found(visit, &shared, Tab::Errors, no_group(&id)).await,
        Err(why) => {
            let answer =
                Answer::new(Tone::Bad, Icon::Warning, "The errors could not be read", html! { (why) });
            let page = Page { tab: Tab::Errors, search: Search::JOBS, answer, body: html! {} };
            return page.respond_with(http::StatusCode::SERVICE_UNAVAILABLE, &visit.shell(&shared).await);
        }
    };
    let may_change = visit.visitor().may_change();
    let (sample, shell) = tokio::join!(part(shared.store.jobs().get(group.sample)), visit.shell(&shared));
    let sample = sample.map(|found| found.map(|(job, _)| job.summary()));
    let body = html! {
        (done(query.as_deref().unwrap_or_default()))
        (actions(&group, may_change))
        div.grid.c2 { (hours(&group)) (facts(&group, now)) }
        (sample_panel(&group, &sample, now))
    };
    Page { tab: Tab::Errors, search: Search::JOBS, answer: answer(&group, now), body }.respond(&shell)
}

fn answer(group: &ErrorGroup, now: Timestamp) -> Answer {
    let new = is_new(group.first_at, now);
    let (tone, sign) = if new { (Tone::Warn, Icon::Warning) } else { (Tone::Plain, Icon::Errors) };
    let why = html! {
        a href="/errors" { "Errors" } " / " (place(group.stage)) ". "
        strong { (amount::count(of_last_day(group), "error")) " in 24 hours" } ", the last one " (moment::ago(group.last_at, now)) "."
    };
    let mut answer = Answer::new(tone, sign, title(group), why);
    answer.pill = new.then(|| new_since(group, now));
    answer
}

/// What an operator has just done, from the query that the form leads to.
fn done(query: &str) -> Markup {
    let mut fields = form_urlencoded::parse(query.as_bytes());
    let mut number = |wanted: &str| {
        let field = fields.find(|(name, _)| name == wanted);
        field.and_then(|(_, value)| value.parse::<u64>().ok())
    };
    let (Some(retried), superseded) = (number("retried"), number("superseded").unwrap_or(0)) else {
        return html! {};
    };
    let tone = if retried == 0 { Tone::Warn } else { Tone::Ok };
    let sign = if retried == 0 { Icon::Warning } else { Icon::Ok };
    let words = html! {
        @if retried == 1 { "1 dead job is delivered again." } @else { (amount::count(retried, "dead job")) " are delivered again." }
        @if superseded > 0 {
            " " (amount::number(superseded)) " left out: a newer job of the same bot answers."
        }
    };
    panel::note(
        tone,
        sign,
        words,
        html! { a.btn.s href="/jobs?q=state%3Adelivering" { "Show jobs in delivery" } },
    )
}

fn actions(group: &ErrorGroup, may_change: bool) -> Markup {
    if !may_change {
        let words =
            html! { "You have the read-only token. A retry of the group needs " code { "admin.token" } "." };
        return panel::note(Tone::Plain, Icon::Lock, words, "");
    }
    html! {
        p.acts {
            a.btn data-key="r" href={ "/errors/" (group.id) "/retry" } { (icon(Icon::Retry)) "Retry its dead jobs…" }
            span.m { "counts them first and asks" }
        }
    }
}

fn hours(group: &ErrorGroup) -> Markup {
    let columns = [table::Column::new("Hours ago", ""), table::Column::new("Errors", "n")];
    let last = group.last_day.len().saturating_sub(1);
    let rows = html! {
        @for (index, errors) in group.last_day.iter().enumerate().rev().filter(|(_, errors)| **errors > 0) {
            (table::row(html! {
                (table::head("", if index == last { "this hour".to_owned() } else { amount::number((last - index) as u64) }))
                (table::cell("n", amount::number(*errors)))
            }))
        }
    };
    let content = html! {
        div.in.stack {
            div.tall { (day(group)) }
            p.m.ends { span { "24 hours ago" } span { "now" } }
            details.more #hours {
                summary { "Show as a table" }
                (table::table("", "Errors per hour", &columns, rows))
            }
        }
    };
    panel::panel("h-h", "Errors per hour", "", content)
}

fn facts(group: &ErrorGroup, now: Timestamp) -> Markup {
    let jobs = search(group);
    let content = html! {
        div.in {
            dl.facts {
                dt { "Where" } dd { (place(group.stage)) }
                @if let Some(handler) = &group.handler {
                    dt { "Handler" } dd { a href={ "/jobs?" (query(&format!("handler:{handler}"))) } { (handler) } }
                }
                dt { "Errors" } dd { (amount::number(group.failures)) " in all, " (amount::number(of_last_day(group))) " in 24 hours" }
                dt { "First" } dd { (moment::moment(group.first_at, now)) ", " (moment::ago(group.first_at, now)) }
                dt { "Last" } dd { (moment::moment(group.last_at, now)) ", " (moment::ago(group.last_at, now)) }
                @if let Some(filter) = &jobs {
                    dt { "Its jobs" }
                    dd {
                        a href={ "/jobs?" (query(filter)) } { "Jobs with this text" }
                        span.sub.line { code { (filter) } }
                    }
                }
            }
        }
    };
    panel::panel("h-f", "Facts", "", content)
}

fn sample_panel(group: &ErrorGroup, sample: &Result<Option<JobSummary>, String>, now: Timestamp) -> Markup {
    let id = group.sample.to_string();
    let (aside, content) = match sample {
        Err(why) => (html! {}, panel::unreadable(why)),
        Ok(None) => {
            let why = html! { "Job " code { (id) } " had the last error. It was deleted when its retention was over." };
            (html! {}, panel::empty(Tone::Plain, Icon::Jobs, "The job is gone from the store.", why, ""))
        }
        Ok(Some(job)) => {
            let link = html! { a href={ "/jobs/" (id) } { "Job " (group.sample.shortened()) } };
            let content = html! {
                div.in.stack {
                    p {
                        (mark::state(job.state)) " Handler " strong { (job.handler) } ", account " (host(job))
                        ", received " (moment::ago(job.received_at, now)) "."
                    }
                    @match &job.last_error {
                        Some(error) => pre { (error) },
                        None => p.m { "The job has had no error since." },
                    }
                }
            };
            (link, content)
        }
    };
    panel::panel("h-s", "Sample: the job with the last error", aside, content)
}

/// The host of the job's account.
fn host(job: &JobSummary) -> &str {
    let origin = job.return_url.origin();
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

fn query(filter: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair("q", filter).finish()
}

/// The filter that finds the jobs of a group: the longest part of the text that all of its errors share; `None` if that is
/// too short.
fn search(group: &ErrorGroup) -> Option<String> {
    let is_left_out = |word: &str| word.contains('…') || word.contains(['N']) || word.contains("ID");
    let mut parts: Vec<Vec<&str>> = vec![Vec::new()];
    for word in group.text.split(' ') {
        match parts.last_mut() {
            Some(part) if !is_left_out(word) => part.push(word),
            _ => parts.push(Vec::new()),
        }
        // A new line in the error is a space in its group.
        if word.ends_with(':') {
            parts.push(Vec::new());
        }
    }
    let parts = parts.iter().map(|words| words.join(" "));
    let part = parts.max_by_key(|part| part.chars().count())?;
    if part.chars().count() < MIN_SEARCHED {
        return None;
    }
    let text = part.replace('\\', "\\\\").replace('"', "\\\"");
    let handler = group.handler.as_ref().map(|handler| format!(" handler:{handler}")).unwrap_or_default();
    Some(format!("error:\"{text}\"{handler}"))
}

#[cfg(test)]
mod tests {
    use model::{JobId, Stage};

    use super::*;

    fn group(text: &str, handler: Option<&str>) -> ErrorGroup {
        ErrorGroup {
            id: 7,
            stage: Stage::Handler,
            handler: handler.map(|name| name.parse().unwrap()),
            text: text.to_owned(),
            failures: 1,
            first_at: Timestamp::from_millis(1),
            last_at: Timestamp::from_millis(2),
            last_day: vec![0; 24],
            sample: JobId::new(Timestamp::from_millis(1), 1),
        }
    }

    #[test]
    fn its_jobs_are_found_by_what_their_errors_share() {
        for (text, handler, expected) in [
            ("no such lead", Some("greet"), Some("error:\"no such lead\" handler:greet")),
            ("lead N not found in Nms", None, Some("error:\"not found in\"")),
            ("Kommo refused \"…\" and said nothing", None, Some("error:\"and said nothing\"")),
            ("503 Service Unavailable", None, Some("error:\"503 Service Unavailable\"")),
            ("N ID …", None, None),
            ("", None, None),
            ("a\\b \"<script>\"", None, Some("error:\"a\\\\b \\\"<script>\\\"\"")),
        ] {
            assert_eq!(search(&group(text, handler)).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn only_numbers_come_from_the_query() {
        for (query, part) in [
            ("retried=1", Some("1 dead job is delivered again.")),
            ("retried=1200&superseded=3", Some("3 left out")),
            ("retried=0", Some("0\u{a0}dead jobs are")),
            ("retried=<script>", None),
            ("superseded=3", None),
            ("", None),
        ] {
            let html = done(query).into_string();
            assert_eq!(part.is_none(), html.is_empty(), "{html}");
            assert!(part.is_none_or(|part| html.contains(part)) && !html.contains("script"), "{html}");
        }
    }
}
