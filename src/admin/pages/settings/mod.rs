//! `/settings`: the configuration in effect, and where each value comes from.
//!
//! [`asked`] chooses the values, [`answer`] counts them, and [`rows`] makes markup of as many as fit on a page.

mod answer;
mod asked;
mod rows;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};

use super::Page;
use super::gather::Visit;
use super::parts::icon::Icon;
use super::parts::mark::Tone;
use super::parts::{amount, panel};
use super::shell::{Search, Tab};
use crate::admin::{Settings, Shared};
use crate::listed_setting::ListedSetting;
use asked::{Asked, SECTIONS, is_set};

/// The routes.
pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/settings", get(show))
}

/// `GET /settings?all&section=…&from=…`
async fn show(State(shared): State<Shared>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let shell = visit.shell(&shared).await;
    let asked = Asked::of(query.as_deref().unwrap_or_default());
    let answer = answer::answer(&shared.settings);
    Page { tab: Tab::Settings, search: Search::JOBS, answer, body: body(&shared.settings, &asked) }
        .respond(&shell)
}

fn body(settings: &Settings, asked: &Asked) -> Markup {
    let chosen = asked.choose(&settings.values);
    let page = rows::page(&chosen, asked.from);
    html! {
        (views(settings, asked))
        (sections(settings, asked))
        @if chosen.is_empty() {
            @let all = html! { a.btn.s href=(Asked { all: true, ..Asked::default() }.address()) { "Show all values" } };
            (panel::panel("h-none", "Values", "", panel::empty(Tone::Plain, Icon::Settings, "No value is set here.", "Every value is the default.", all)))
        }
        (page.markup)
        @if page.next.is_some() || asked.from > 0 {
            p.acts {
                span.m {
                    "Values " (amount::number(page.first as u64)) " to " (amount::number(page.last as u64)) " of "
                    (amount::number(chosen.len() as u64)) "."
                }
                @if asked.from > 0 { a.btn.s href=(asked.at(0)) { "First page" } }
                @if let Some(next) = page.next { a.btn.s href=(asked.at(next)) { "Next page" } }
            }
        }
    }
}

/// The choice between what is set and everything.
fn views(settings: &Settings, asked: &Asked) -> Markup {
    let in_section = |one: &&ListedSetting| asked.section.is_none_or(|section| *one.section == *section);
    let all = settings.values.iter().filter(in_section).count();
    let set = settings.values.iter().filter(in_section).filter(|one| is_set(one)).count();
    let view = |name: &str, count: usize, shows_all: bool| {
        let there = Asked { all: shows_all, from: 0, section: asked.section };
        html! {
            li { a href=(there.address()) aria-current=[(asked.all == shows_all).then_some("true")] {
                (name) " " b { (amount::number(count as u64)) }
            } }
        }
    };
    html! {
        nav aria-label="Which values" { ul.tabs { (view("Set", set, false)) (view("All", all, true)) } }
        @if !asked.all && all > set {
            p.m {
                @if all - set == 1 { "1 default is hidden. " } @else { (amount::number((all - set) as u64)) " defaults are hidden. " }
                a href=(Asked { all: true, from: 0, ..*asked }.address()) { "Show all" }
            }
        }
    }
}

/// The sections that have values in this view.
fn sections(settings: &Settings, asked: &Asked) -> Markup {
    let count = |section: Option<&'static str>| {
        Asked { section, from: 0, ..*asked }.choose(&settings.values).len() as u64
    };
    let link = |section: Option<&'static str>| {
        let there = Asked { section, from: 0, ..*asked };
        html! {
            li { a href=(there.address()) aria-current=[(asked.section == section).then_some("true")] {
                (section.unwrap_or("All sections")) " " b { (amount::number(count(section))) }
            } }
        }
    };
    html! {
        nav aria-label="Sections" { ul.tabs {
            (link(None))
            @for section in SECTIONS {
                @if asked.section == Some(section) || count(Some(section)) > 0 { (link(Some(section))) }
            }
        } }
    }
}
