//! What a page consists of: the answer, panels, notes and empty places.

use maud::{Markup, Render, html};

use super::icon::{Icon, icon};
use super::mark::Tone;

/// The sentence that answers the page's question, and then why.
pub(in crate::admin::pages) struct Answer {
    pub(in crate::admin::pages) tone: Tone,
    pub(in crate::admin::pages) sign: Icon,
    /// The sentence. It is the page's title too.
    pub(in crate::admin::pages) sentence: String,
    /// A state beside the sentence.
    pub(in crate::admin::pages) pill: Option<Markup>,
    /// Why, and what to do.
    pub(in crate::admin::pages) why: Markup,
}

impl Answer {
    /// An answer without a pill.
    pub(in crate::admin::pages) fn new(
        tone: Tone,
        sign: Icon,
        sentence: impl Into<String>,
        why: Markup,
    ) -> Self {
        Self { tone, sign, sentence: sentence.into(), pill: None, why }
    }

    /// The answer as the heading of a page; `big` on the first page.
    pub(in crate::admin::pages) fn render(&self, big: bool) -> Markup {
        html! {
            div.answer.(self.tone.class()).big[big] {
                (icon(self.sign))
                h1 { (self.sentence) @if let Some(pill) = &self.pill { (pill) } }
                p { (self.why) }
            }
        }
    }
}

/// A box with a heading. `id` is unique on the page; `aside` is at the right of the heading.
pub(in crate::admin::pages) fn panel(
    id: &str,
    title: impl Render,
    aside: impl Render,
    body: impl Render,
) -> Markup {
    html! {
        section.panel aria-labelledby=(id) {
            header { h2 id=(id) { (title) } (aside) }
            (body)
        }
    }
}

/// A message about something that happened, or that cannot.
pub(in crate::admin::pages) fn note(
    tone: Tone,
    sign: Icon,
    words: impl Render,
    action: impl Render,
) -> Markup {
    html! {
        div.panel.note.(tone.class()) role="status" {
            div.why { (icon(sign)) span { (words) } }
            (action)
        }
    }
}

/// Says why a place is empty, and offers what may fill it.
pub(in crate::admin::pages) fn empty(
    tone: Tone,
    sign: Icon,
    what: impl Render,
    why: impl Render,
    action: impl Render,
) -> Markup {
    html! {
        div.empty.(tone.class()) { (icon(sign)) p { strong { (what) } } p.m { (why) } (action) }
    }
}

/// Replaces a part that could not be read, so that the rest of the page stays.
pub(in crate::admin::pages) fn unreadable(why: impl Render) -> Markup {
    let again = html! { a.btn.s href="" { "Try again" } };
    empty(Tone::Bad, Icon::Warning, "This part could not be read.", why, again)
}
