//! The conditions of a filter as chips, each of which can be removed.

use maud::{Markup, html};

use model::filter::{FilterKey, JobTrait, WaitingFor, WrittenWord, example, written};
use model::{HandlerName, StateName};

use super::asked::{VIEWS, list_of};
use crate::admin::pages::{Icon, icon};

/// The longest filter, in bytes, whose parts have links. Each link contains nearly the whole filter.
const MAX_LINKED: usize = 300;

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chip {
    pub(super) key: String,
    pub(super) value: String,
    /// The filter without this condition.
    pub(super) without: String,
}

/// The conditions of a filter; none if it cannot be split into words.
pub(super) fn chips(q: &str) -> Vec<Chip> {
    let words = written(q);
    let chip = |(place, word): (usize, &WrittenWord<'_>)| {
        let others = words.iter().enumerate().filter(|(other, _)| *other != place);
        let without = others.map(|(_, word)| word.text).collect::<Vec<_>>().join(" ");
        let is_url = word.values.iter().any(|value| value.contains("://"));
        let key = word.key.clone().unwrap_or_else(|| if is_url { "address" } else { "text" }.to_owned());
        let not = if word.negated { "not " } else { "" };
        Chip { key, value: format!("{not}{}", word.values.join(" or ")), without }
    };
    words.iter().enumerate().map(chip).collect()
}

/// Values to offer for a key; none if only people know them.
pub(super) fn values(key: FilterKey, handlers: &[HandlerName]) -> Vec<String> {
    let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    match key {
        FilterKey::State => StateName::ALL.iter().map(|state| state.to_string()).collect(),
        FilterKey::Handler => handlers.iter().take(20).map(HandlerName::to_string).collect(),
        FilterKey::Outcome => owned(&["handler", "fallback"]),
        FilterKey::Waiting => WaitingFor::ALL.iter().map(|value| value.as_str().to_owned()).collect(),
        FilterKey::Is => JobTrait::ALL.iter().map(|value| value.as_str().to_owned()).collect(),
        FilterKey::Since | FilterKey::Until => owned(&["10m", "1h", "24h", "7d"]),
        FilterKey::Status => owned(&["401", "404", "429", "5xx"]),
        FilterKey::Attempts => owned(&[">1", ">2", ">10"]),
        _ => Vec::new(),
    }
}

/// A filter that ends with a key without a value: the rest of the filter, and the key.
pub(super) fn unfinished(q: &str) -> Option<(String, FilterKey)> {
    let words = written(q);
    let (last, others) = words.split_last()?;
    let is_empty = !last.negated && !last.is_quoted && last.values.iter().all(String::is_empty);
    let key = last.key.as_deref().filter(|_| is_empty).and_then(FilterKey::of)?;
    Some((others.iter().map(|word| word.text).collect::<Vec<_>>().join(" "), key))
}

fn joined(q: &str, word: &str) -> String {
    if q.is_empty() { word.to_owned() } else { format!("{q} {word}") }
}

/// The chips, the keys to add, and the views.
pub(super) fn bar(q: &str) -> Markup {
    let finished = unfinished(q).map_or_else(|| q.to_owned(), |(rest, _)| rest);
    html! {
        div.bar {
            @if finished.len() <= MAX_LINKED { (conditions(&finished)) }
            ul.tabs.push aria-label="Saved views" {
                @for (name, view) in VIEWS {
                    li { a href=(list_of(view)) aria-current=[(view == q).then_some("true")] { (icon(Icon::Bookmark)) (name) } }
                }
            }
        }
    }
}

fn conditions(q: &str) -> Markup {
    html! {
        ul.chips aria-label="Active filters" {
            @for Chip { key, value, without } in chips(q) {
                li.chip {
                    (key) b.cut { (value) }
                    a href=(list_of(&without)) aria-label={ "Remove filter " (key) " " (value) } { (icon(Icon::X)) }
                }
            }
            li {
                details.menu #add-filter {
                    summary.chip.add { (icon(Icon::Plus)) "Add filter" }
                    ul { @for key in FilterKey::ALL {
                        li { a.mono href=(list_of(&joined(q, &format!("{key}:")))) { (key) ":" } }
                    } }
                }
            }
        }
    }
}

/// Asks for the value of a key.
pub(super) fn ask_value(rest: &str, key: FilterKey, handlers: &[HandlerName]) -> Markup {
    let values = values(key, handlers);
    html! {
        div.panel.note role="status" {
            div.why {
                (icon(Icon::Edit))
                span {
                    "Type a value behind " code { (key) ":" } " in the field above, like "
                    code { (key) ":" (example(key)) }
                    @if values.is_empty() { "." } @else { ", or choose one:" }
                }
            }
            @if !values.is_empty() {
                ul.chips.choose { @for value in &values {
                    li { a.btn.s href=(list_of(&joined(rest, &format!("{key}:{value}")))) { (value) } }
                } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_can_be_removed() {
        for (q, expected) in [
            ("", vec![]),
            ("state:dead,gone", vec!["state|dead or gone|"]),
            ("since:3h -state:delivered", vec!["since|3h|-state:delivered", "state|not delivered|since:3h"]),
            (r#"error:"a b" Ann"#, vec!["error|a b|Ann", r#"text|Ann|error:"a b""#]),
            (
                "https://a.kommo.com/leads/detail/7 x",
                vec![
                    "address|https://a.kommo.com/leads/detail/7|x",
                    "text|x|https://a.kommo.com/leads/detail/7",
                ],
            ),
            ("\"open", vec![]),
        ] {
            let shown =
                chips(q).into_iter().map(|chip| format!("{}|{}|{}", chip.key, chip.value, chip.without));
            assert_eq!(shown.collect::<Vec<_>>(), expected, "{q}");
        }
    }

    #[test]
    fn a_key_without_a_value_is_unfinished() {
        for (q, expected) in [
            ("state:", Some(("", FilterKey::State))),
            ("since:1h -is:late error:", Some(("since:1h -is:late", FilterKey::Error))),
            ("state: dead", None),
            ("-state:", None),
            ("state:\"\"", None),
            ("nokey:", None),
            ("", None),
        ] {
            assert_eq!(unfinished(q), expected.map(|(rest, key)| (rest.to_owned(), key)), "{q}");
        }
    }

    #[test]
    fn every_offered_value_is_a_filter() {
        use model::filter::FilterContext;
        use model::{Filter, Timestamp};
        let context = FilterContext { now: Timestamp::default(), account: &|_| None };
        for key in FilterKey::ALL {
            for value in values(key, &["echo".parse().unwrap()]) {
                let text = format!("{key}:{value}");
                assert!(Filter::parse(&text, &context).is_ok(), "{text}");
            }
        }
        for (_, view) in VIEWS {
            assert!(Filter::parse(view, &context).is_ok(), "{view}");
        }
    }
}
