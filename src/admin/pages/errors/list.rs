//! `GET /errors`

use axum::extract::{RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};
use url::form_urlencoded;

use model::Timestamp;
use store::{ErrorCounts, ErrorGroup};

use super::row::{COLUMNS, new_since, row, title};
use super::{Groups, Place, read};
use crate::admin::Shared;
use crate::admin::pages::Page;
use crate::admin::pages::gather::{NEW_ERROR, Visit, part};
use crate::admin::pages::parts::icon::Icon;
use crate::admin::pages::parts::mark::Tone;
use crate::admin::pages::parts::panel::{self, Answer};
use crate::admin::pages::parts::{amount, table};
use crate::admin::pages::shell::{Search, Tab};

/// The number of groups on a page, which keeps it below 60 KB.
const PER_PAGE: u32 = 25;

/// `GET /errors?cursor=…`
pub(in crate::admin::pages) async fn list(
    State(shared): State<Shared>,
    visit: Visit,
    RawQuery(query): RawQuery,
) -> Response {
    let now = shared.clock.now();
    let place = asked(query.as_deref().unwrap_or_default()).unwrap_or(Place::first(now - NEW_ERROR));
    let (counts, groups, shell) = tokio::join!(
        part(shared.store.errors().counts(now - NEW_ERROR)),
        part(read(&shared, place, PER_PAGE)),
        visit.shell(&shared),
    );
    let newest = groups.as_ref().ok().and_then(|found| newest(found, place));
    let answer = match &counts {
        Ok(counts) => answer(*counts, newest, now),
        Err(why) => Answer::new(Tone::Bad, Icon::Warning, "The errors could not be read", html! { (why) }),
    };
    let body = match &groups {
        Ok(found) => body(found, place, now),
        Err(why) => panel::panel("h-g", "Grouped by text", "", panel::unreadable(why)),
    };
    Page { tab: Tab::Errors, search: Search::JOBS, answer, body }.respond(&shell)
}

/// The place that the query asks for; `None` for the first page.
fn asked(query: &str) -> Option<Place> {
    let mut fields = form_urlencoded::parse(query.as_bytes());
    fields.find(|(name, _)| name == "cursor").and_then(|(_, value)| Place::parse(&value))
}

/// The group on the page whose first error is the newest, if it is new.
fn newest(found: &Groups, place: Place) -> Option<&ErrorGroup> {
    let new = found.groups.iter().filter(|group| group.first_at > place.new_since);
    new.max_by_key(|group| (group.first_at, group.id))
}

/// Answers whether something fails that did not fail before.
fn answer(counts: ErrorCounts, newest: Option<&ErrorGroup>, now: Timestamp) -> Answer {
    let ErrorCounts { all, recent, new, .. } = counts;
    let kinds =
        |number| if number == 1 { "1 kind".to_owned() } else { format!("{} kinds", amount::number(number)) };
    if recent == 0 {
        let (sentence, why) = match all {
            0 => ("No errors".to_owned(), "Nothing has failed within the retention of the store.".to_owned()),
            _ => ("No errors in 24 hours".to_owned(), format!("{} of error below are older.", kinds(all))),
        };
        return Answer::new(Tone::Ok, Icon::Ok, sentence, html! { (why) });
    }
    let older = html! {
        @if all > recent { " " (amount::count(all - recent, "kind")) " of error below did not occur in this time." }
    };
    let (tone, sign, news) = match (new, recent) {
        (0, _) => (Tone::Plain, Icon::Errors, "none of them new"),
        (1, 1) => (Tone::Warn, Icon::Warning, "and it is new"),
        (1, _) => (Tone::Warn, Icon::Warning, "1 is new"),
        (new, recent) if new == recent => (Tone::Warn, Icon::Warning, "all are new"),
        _ => (Tone::Warn, Icon::Warning, ""),
    };
    let news = if news.is_empty() { format!("{} are new", amount::number(new)) } else { news.to_owned() };
    let why = html! {
        @match newest {
            Some(group) => { strong { "The newest: " } (title(group)) " " (new_since(group, now)) }
            None => @if new == 0 { "These errors occurred before, too. The counts say which of them harm most." },
        }
        (older)
    };
    Answer::new(tone, sign, format!("{} of error in 24 hours, {news}", kinds(recent)), why)
}

fn body(found: &Groups, place: Place, now: Timestamp) -> Markup {
    if found.groups.is_empty() {
        let first = html! { @if place.after.is_some() { a.btn.s href="/errors" { "First page" } } };
        let (what, why) = match place.after {
            None => (
                "No errors.",
                "A failed attempt, a fallback or a dead job would be here, with others of its kind.",
            ),
            Some(_) => ("No further errors.", "The list ends before this page."),
        };
        return panel::panel(
            "h-g",
            "Grouped by text",
            "",
            panel::empty(Tone::Ok, Icon::Ok, what, why, first),
        );
    }
    let rows = html! {
        @for group in &found.groups { (row(group, group.first_at > place.new_since, now)) }
    };
    let content = html! {
        (table::table("cards", "Kinds of error", &COLUMNS, rows))
        @if place.after.is_some() || found.next.is_some() {
            p.bulk {
                @if place.after.is_some() { a.btn.s href="/errors" { "First page" } }
                @if let Some(cursor) = found.next.and_then(Place::cursor) {
                    a.btn.s rel="next" href={ "/errors?cursor=" (cursor) } { "Older" }
                } @else { span.m { "End of the list" } }
            }
        }
    };
    panel::panel("h-g", "Grouped by text", html! { span.m { "new ones first, then the latest" } }, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_says_whether_an_error_is_new() {
        let now = Timestamp::from_millis(1_795_789_928_123);
        for (all, recent, new, tone, sentence) in [
            (0, 0, 0, Tone::Ok, "No errors"),
            (7, 0, 0, Tone::Ok, "No errors in 24 hours"),
            (7, 6, 0, Tone::Plain, "6 kinds of error in 24 hours, none of them new"),
            (6, 6, 1, Tone::Warn, "6 kinds of error in 24 hours, 1 is new"),
            (1, 1, 1, Tone::Warn, "1 kind of error in 24 hours, and it is new"),
            (3, 3, 3, Tone::Warn, "3 kinds of error in 24 hours, all are new"),
            (10_000, 1_200, 1_100, Tone::Warn, "1,200 kinds of error in 24 hours, 1,100 are new"),
        ] {
            let answer = answer(ErrorCounts { all, recent, new, ..ErrorCounts::default() }, None, now);
            assert_eq!((answer.tone, &*answer.sentence), (tone, sentence));
        }
    }
}
