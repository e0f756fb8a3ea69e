//! The page as markup.

use axum::response::Html;
use maud::{Markup, html};

use model::JobId;

use super::super::parts::icon::{Icon, icon};
use super::super::parts::mark::Tone;
use super::super::parts::panel::{note, panel};
use super::super::shell::{Search, Shell, Tab};
use super::answer::{Facts, answer};
use super::choice::choice;
use super::complete::Typed;
use super::query::Query;
use super::read::Seen;
use crate::admin::access::{Bodies, Visitor};

use super::{aside, attempts, bodies, complete, path, time_line, why};

/// What the page shows beside the job.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    pub(super) query: Query,
    /// How many bytes of each body.
    pub(super) limit: usize,
    /// Whether the visitor has asked to see the bodies.
    pub(super) is_revealed: bool,
    /// Why a change was refused.
    pub(super) refused: Option<Markup>,
    /// A completion that was typed and not accepted.
    pub(super) typed: Option<Typed>,
}

impl Shown {
    /// How the visitor sees what customers wrote on this page.
    pub(super) fn seen_as(&self, visitor: &Visitor) -> Bodies {
        if self.is_revealed { visitor.bodies.revealed() } else { visitor.bodies }
    }

    /// Whether the page must not be loaded again: it is the result of a form.
    const fn is_result(&self) -> bool {
        self.is_revealed || self.refused.is_some() || self.typed.is_some()
    }
}

/// The whole document.
pub(super) fn page(seen: &Seen, shell: &Shell, shown: &Shown) -> Html<String> {
    let Seen { summary, .. } = seen;
    let visitor = &shell.visitor;
    let answer = answer(&Facts {
        job: summary,
        attempts: &seen.attempts,
        first: seen.explanation().and_then(|explained| explained.because.first()).map(|reason| reason.code),
        answer_by: seen.answer_by(),
        now: seen.now,
    });
    let choice = choice(&seen.job, seen.around());
    let main = html! {
        p.m.crumb data-still[shown.is_result()] {
            a href=(Tab::Jobs.path()) { "Jobs" } " / " span.mono { (summary.id) }
        }
        @if let Some(refused) = &shown.refused {
            (note(Tone::Bad, Icon::X, refused, html! { a.btn.s href=(path(summary.id)) { "Show the job" } }))
        }
        @if let Some(done) = shown.query.done.filter(|done| done.is_confirmed(seen)) {
            (note(Tone::Ok, Icon::Ok, done.words(), html! {}))
        }
        (answer.render(false))
        div.grid.rail {
            div.grid {
                (why::render(seen, choice, visitor))
                @if choice.can_complete && visitor.may_change() {
                    (complete::render(summary.id, shown.typed.as_ref(), visitor))
                }
                (time_line::render(seen))
                (attempts::render(summary, &seen.attempts, shown.query, seen.now))
                (aside::notes(seen, shown.seen_as(visitor)))
                (aside::actions(seen))
                (bodies::render(&seen.job, visitor, shown))
                @if seen.job.clone().whole().is_some() { (replay(summary.id)) }
            }
            (aside::render(seen))
        }
    };
    let search = Search::JOBS;
    Html(shell.document(Tab::Jobs, &answer.sentence, &search, &main))
}

/// How to play the request again.
fn replay(id: JobId) -> Markup {
    let command = format!("salesbot-bridge simulate --replay {id} > replay.toml");
    let body = html! {
        div.in.stack {
            p.m {
                "Plays this request against a bridge on your machine. Kommo is simulated, so the customer gets nothing. Start the \
                 bridge with the configuration that the first command writes."
            }
            pre { (command) "\nsalesbot-bridge serve --config replay.toml" }
            button.btn.s type="button" hidden data-copy=(command) { (icon(Icon::Copy)) "Copy" }
        }
    };
    html! { div #simulate { (panel("h-sim", "Replay locally", html! {}, body)) } }
}
