//! What a group of errors looks like in a list and as a heading.

use maud::{Markup, html};

use model::{Stage, Timestamp};
use store::ErrorGroup;

use crate::admin::pages::parts::chart::spark;
use crate::admin::pages::parts::icon::{Icon, icon};
use crate::admin::pages::parts::{amount, moment, table};

/// The columns of [`row`].
pub(super) const COLUMNS: [table::Column; 7] = [
    table::Column::new("Error", ""),
    table::Column::new("Per hour", "w4 wide"),
    table::Column::new("24 h", "n"),
    table::Column::new("All", "n"),
    table::Column::new("First", "n wide"),
    table::Column::new("Last", "n"),
    table::Column::new("Sample", "n"),
];

/// The error with its handler, if it has one: `greet: no such lead`.
pub(super) fn title(group: &ErrorGroup) -> String {
    match &group.handler {
        Some(handler) => format!("{handler}: {}", group.text),
        None => group.text.clone(),
    }
}

/// Where the errors occur, in words.
pub(super) const fn place(stage: Stage) -> &'static str {
    match stage {
        Stage::Handler => "handler: attempts to get an answer",
        Stage::Delivery => "delivery: attempts to continue the bot",
    }
}

/// The number of errors of the last day.
pub(super) fn of_last_day(group: &ErrorGroup) -> u64 {
    group.last_day.iter().sum()
}

/// The errors of the last day as a line.
pub(super) fn day(group: &ErrorGroup) -> Markup {
    #[allow(clippy::cast_precision_loss, reason = "a line of text is not more exact")]
    let values: Vec<Option<f64>> = group.last_day.iter().map(|errors| Some(*errors as f64)).collect();
    let label = format!("{} in 24 hours, per hour", amount::count(of_last_day(group), "error"));
    spark(&values, &label)
}

/// A mark for a group that is new.
pub(super) fn new_since(group: &ErrorGroup, now: Timestamp) -> Markup {
    html! { span.st.pill.warn { (icon(Icon::Warning)) span { "new since " (moment::moment(group.first_at, now)) } } }
}

/// A row of the list.
pub(super) fn row(group: &ErrorGroup, is_new: bool, now: Timestamp) -> Markup {
    let sample = group.sample;
    let name = html! {
        a href={ "/errors/" (group.id) } { (title(group)) }
        @if is_new { " " (new_since(group, now)) }
        span.sub.line { (place(group.stage)) }
    };
    let job = html! { a.mono href={ "/jobs/" (sample) } title=(sample) { (sample.shortened()) } };
    table::row(html! {
        (table::head("all wrap", name))
        (table::cell("wide", day(group)))
        (table::labelled("n", "24 h", amount::number(of_last_day(group))))
        (table::labelled("n", "all", amount::number(group.failures)))
        (table::cell("n wide", moment::moment(group.first_at, now)))
        (table::labelled("n", "last", moment::ago(group.last_at, now)))
        (table::labelled("n", "sample", job))
    })
}
