//! The values as tables, one for each section, as many as fit on a page.

use std::collections::HashSet;

use maud::{Markup, PreEscaped, html};

use crate::admin::pages::parts::icon::Icon;
use crate::admin::pages::parts::mark::{Tone, mark};
use crate::admin::pages::parts::text::{cut, with_code};
use crate::admin::pages::parts::{panel, table};
use crate::listed_setting::{ListedSetting, SecretFileUse, SettingOrigin};

/// The size of the tables of a page, in bytes. It keeps the page below 60 KB.
const MAX_BYTES: usize = 36 * 1024;
/// The longest text of a value or a place, in characters.
pub(super) const MAX_CHARS: usize = 300;

const COLUMNS: [table::Column; 4] = [
    table::Column::new("Key", "named"),
    table::Column::new("Value", ""),
    table::Column::new("State", ""),
    table::Column::new("Set by", ""),
];

/// A page of values.
pub(super) struct Page {
    pub(super) markup: Markup,
    /// The number of the first value, from 1; 0 if there is none.
    pub(super) first: usize,
    /// The number of the last value.
    pub(super) last: usize,
    /// How many values precede the next page; `None` at the end.
    pub(super) next: Option<usize>,
}

/// Makes markup of the values from number `from` on.
pub(super) fn page(values: &[&ListedSetting], from: usize) -> Page {
    let (mut bytes, mut last) = (0, from);
    let mut described = HashSet::new();
    let mut sections: Vec<(&str, String)> = Vec::new();
    for one in values.iter().skip(from) {
        // A key with a name in it, such as `handlers.NAME.url`, is described once on a page.
        let is_new = one.about.as_ref().is_some_and(|about| described.insert((&one.section, about)));
        let row = row(one, is_new).into_string();
        if last > from && bytes + row.len() > MAX_BYTES {
            break;
        }
        bytes += row.len();
        last += 1;
        match sections.last_mut() {
            Some((section, rows)) if **section == *one.section => rows.push_str(&row),
            _ => sections.push((&one.section, row)),
        }
    }
    let markup = html! {
        @for (section, rows) in sections {
            @let id = format!("h-{section}");
            @let rows = PreEscaped(rows);
            (panel::panel(&id, html! { code { "[" (section) "]" } }, "", table::table("cards", section, &COLUMNS, rows)))
        }
    };
    let first = if last > from { from + 1 } else { from.min(values.len()) };
    Page { markup, first, last: last.min(values.len()), next: (last < values.len()).then_some(last) }
}

fn row(one: &ListedSetting, describe: bool) -> Markup {
    let key = html! {
        code.wrap { (one.key) }
        @if let Some(about) = one.about.as_ref().filter(|_| describe) { span.sub.line { (with_code(about)) } }
    };
    let value = html! {
        code.wrap { (cut(&one.value, MAX_CHARS)) }
        @match one.secret_file {
            None => {},
            Some(SecretFileUse::StartAndSignal) => span.sub.line { "SIGHUP reads this file again" },
            Some(SecretFileUse::Start) => span.sub.line { "read only at the start" },
        }
    };
    table::row(html! {
        (table::head("k all named", key))
        (table::cell("all", value))
        (table::cell("", difference(one)))
        (table::cell("all", origin(&one.origin)))
    })
}

/// Whether the value differs from its default, in words.
fn difference(one: &ListedSetting) -> Markup {
    match (&one.origin, &one.default) {
        (SettingOrigin::Default, _) => html! { span.m { "default" } },
        (_, Some(default)) if *default == one.value => html! { span.m { "same as the default" } },
        (_, Some(default)) => html! {
            (mark(Tone::Active, Icon::Edit, html! { strong { "changed" } }))
            span.sub.line { "default: " code.wrap { (cut(default, MAX_CHARS)) } }
        },
        (_, None) => mark(Tone::Plain, Icon::Edit, "set"),
    }
}

fn origin(origin: &SettingOrigin) -> Markup {
    match origin {
        SettingOrigin::Default => html! { span.m { "default" } },
        SettingOrigin::File(place) => html! { span.wrap { (cut(place, MAX_CHARS)) } },
        SettingOrigin::Environment(name) => {
            html! { "environment variable " code.wrap { (cut(name, MAX_CHARS)) } }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::admin::pages::settings) fn unset(key: &str) -> ListedSetting {
        ListedSetting {
            section: key.split('.').next().unwrap().into(),
            key: key.to_owned(),
            value: "7".to_owned(),
            default: Some("7".to_owned()),
            origin: SettingOrigin::Default,
            about: Some("What `it` means.".into()),
            secret_file: None,
        }
    }

    pub(in crate::admin::pages::settings) fn set(key: &str) -> ListedSetting {
        ListedSetting {
            origin: SettingOrigin::File("/etc/bridge.toml:3".to_owned()),
            default: None,
            ..unset(key)
        }
    }

    #[test]
    fn a_row_says_in_words_whether_the_value_differs_and_escapes_it() {
        let by_variable = SettingOrigin::Environment("BRIDGE_A__B".to_owned());
        let file = |used| ListedSetting { secret_file: Some(used), ..set("admin.token_file") };
        for (one, parts) in [
            (unset("log.filter"), &["<span class=\"m\">default</span>", "What <code>it</code> means."][..]),
            (set("log.filter"), &[">set</span>", "/etc/bridge.toml:3"]),
            (ListedSetting { default: Some("7".into()), ..set("a.b") }, &["same as the default"]),
            (ListedSetting { default: Some("<8>".into()), ..set("a.b") }, &["changed", "&lt;8&gt;"]),
            (
                ListedSetting { origin: by_variable, ..set("a.b") },
                &["variable <code class=\"wrap\">BRIDGE_A__B"],
            ),
            (ListedSetting { value: "\"<script>\"".into(), ..set("a.b") }, &["&lt;script&gt;"]),
            (file(SecretFileUse::StartAndSignal), &["SIGHUP reads this file again"]),
            (file(SecretFileUse::Start), &["read only at the start"]),
        ] {
            let html = row(&one, true).into_string();
            for part in parts {
                assert!(html.contains(part) && !html.contains("<script"), "{part} in {html}");
            }
        }
    }

    #[test]
    fn pages_are_small_and_together_complete() {
        let long = "&".repeat(1_000);
        let values: Vec<ListedSetting> = (0..500)
            .map(|number| ListedSetting { value: long.clone(), ..set(&format!("handlers.h{number}.url")) })
            .collect();
        let values: Vec<&ListedSetting> = values.iter().collect();
        let (mut from, mut seen) = (0, 0);
        loop {
            let page = page(&values, from);
            let html = page.markup.into_string();
            assert!(html.len() < MAX_BYTES + 1_000, "{}", html.len());
            assert_eq!(html.matches("What <code>it</code> means").count(), 1, "described once");
            assert_eq!(page.first, from + 1);
            seen += html.matches("role=\"rowheader\"").count();
            match page.next {
                Some(next) => from = next,
                None => break,
            }
        }
        assert_eq!(seen, 500);
        let beyond = page(&values, usize::MAX);
        assert_eq!((beyond.first, beyond.last, beyond.next), (500, 500, None));
    }
}
