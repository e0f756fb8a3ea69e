//! States: an icon, a word and a colour. Colour means state and nothing else, and never appears without the other two.

use maud::{Markup, Render, html};

use model::StateName;

use super::icon::{Icon, icon};

/// What a colour means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::admin::pages) enum Tone {
    /// Nothing in particular.
    #[default]
    Plain,
    /// Well.
    Ok,
    /// Under way.
    Active,
    /// An operator should look.
    Warn,
    /// An operator must act.
    Bad,
}

impl Tone {
    /// The class in the style sheet.
    pub(in crate::admin::pages) const fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Ok => "ok",
            Self::Active => "active",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// An icon and a word.
pub(in crate::admin::pages) fn mark(tone: Tone, sign: Icon, word: impl Render) -> Markup {
    html! { span.st.(tone.class()) { (icon(sign)) (word) } }
}

/// The same in front of a sentence that may wrap.
pub(in crate::admin::pages) fn sentence(tone: Tone, sign: Icon, words: impl Render) -> Markup {
    html! { span.why.(tone.class()) { (icon(sign)) span { (words) } } }
}

/// How the state of a job looks.
pub(in crate::admin::pages) const fn look(state: StateName) -> (Tone, Icon) {
    match state {
        StateName::Queued => (Tone::Plain, Icon::Queued),
        StateName::Running => (Tone::Active, Icon::Running),
        StateName::AwaitingCallback => (Tone::Active, Icon::AwaitingCallback),
        StateName::Delivering => (Tone::Active, Icon::Delivering),
        StateName::Delivered => (Tone::Ok, Icon::Delivered),
        StateName::Gone => (Tone::Warn, Icon::Gone),
        StateName::Dead => (Tone::Bad, Icon::Dead),
        StateName::Cancelled => (Tone::Plain, Icon::Cancelled),
    }
}

/// A state as words: `awaiting callback`.
pub(in crate::admin::pages) fn words(state: StateName) -> String {
    state.as_str().replace('_', " ")
}

/// The state of a job.
pub(in crate::admin::pages) fn state(state: StateName) -> Markup {
    let (tone, sign) = look(state);
    mark(tone, sign, words(state))
}

/// The state of a job beside a heading.
pub(in crate::admin::pages) fn pill(state: StateName) -> Markup {
    let (tone, sign) = look(state);
    html! { span.st.pill.(tone.class()) { (icon(sign)) (words(state)) } }
}
