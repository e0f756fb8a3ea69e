//! The query of the page: which values to show.

use url::form_urlencoded;

use crate::listed_setting::{ListedSetting, SettingOrigin};

/// The sections, in the order of the page. Those that can have thousands of values come last.
pub(super) const SECTIONS: [&str; 10] = [
    "server",
    "admin",
    "store",
    "budget",
    "workers",
    "delivery",
    "log",
    "integrations",
    "handlers",
    "accounts",
];

/// The values that the visitor wants to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// Whether defaults are shown too.
    pub(super) all: bool,
    /// `None` for all sections.
    pub(super) section: Option<&'static str>,
    /// The number of values before the first one of the page.
    pub(super) from: usize,
}

impl Asked {
    /// Reads a query. Unknown names and values are ignored.
    pub(super) fn of(query: &str) -> Self {
        let mut asked = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "all" => asked.all = true,
                "section" => asked.section = SECTIONS.into_iter().find(|section| *section == value),
                "from" => asked.from = value.parse().unwrap_or_default(),
                _ => {}
            }
        }
        asked
    }

    /// The address of this choice.
    pub(super) fn address(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.all.then(|| "all".to_owned()));
        parts.extend(self.section.map(|section| format!("section={section}")));
        parts.extend((self.from > 0).then(|| format!("from={}", self.from)));
        let query = if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) };
        format!("/settings{query}")
    }

    /// The address of the same choice, after this many values.
    pub(super) fn at(&self, from: usize) -> String {
        Self { from, ..*self }.address()
    }

    /// The chosen values, by section.
    pub(super) fn choose<'s>(&self, values: &'s [ListedSetting]) -> Vec<&'s ListedSetting> {
        let is_chosen = |one: &&ListedSetting| {
            (self.all || is_set(one)) && self.section.is_none_or(|section| *one.section == *section)
        };
        let mut chosen: Vec<_> = values.iter().filter(is_chosen).collect();
        // Stable, so the keys of a section stay in order.
        chosen.sort_by_key(|one| SECTIONS.iter().position(|section| **section == *one.section));
        chosen
    }
}

/// Whether someone wrote this value.
pub(super) fn is_set(one: &ListedSetting) -> bool {
    one.origin != SettingOrigin::Default
}

#[cfg(test)]
mod tests {
    use super::super::rows::tests::{set, unset};
    use super::*;

    #[test]
    fn a_query_is_read_as_it_is_written_and_the_rest_is_ignored() {
        for (query, expected) in [
            ("", "/settings"),
            ("all", "/settings?all"),
            ("from=80&section=handlers&all=1", "/settings?all&section=handlers&from=80"),
            ("section=%3Cscript%3E&from=-1&x=y", "/settings"),
            ("from=99999999999999999999999", "/settings"),
        ] {
            let asked = Asked::of(query);
            assert_eq!(asked.address(), expected, "{query}");
            assert_eq!(Asked::of(expected.split_once('?').map_or("", |(_, query)| query)), asked);
        }
    }

    #[test]
    fn values_are_chosen_by_section_and_origin() {
        let values =
            [set("accounts.a.base_url"), unset("log.filter"), set("server.listen"), unset("server.a")];
        for (query, expected) in [
            ("", &["server.listen", "accounts.a.base_url"][..]),
            ("all", &["server.listen", "server.a", "log.filter", "accounts.a.base_url"]),
            ("all&section=server", &["server.listen", "server.a"]),
            ("section=log", &[]),
        ] {
            let chosen: Vec<_> = Asked::of(query).choose(&values).into_iter().map(|one| &*one.key).collect();
            assert_eq!(chosen, expected, "{query}");
        }
    }
}
