//! What a list of jobs shows: the parameters of its address, and the addresses of others.

use url::form_urlencoded;

use model::JobId;
use store::BulkAction;

use crate::admin::pages::shell::Tab;

/// The views that the page offers, by name.
pub(super) const VIEWS: [(&str, &str); 3] = [
    ("Late now", "is:late"),
    ("Not delivered", "since:24h -state:delivered"),
    ("Fallbacks, 24 h", "outcome:fallback since:24h"),
];

/// The parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// The filter as text.
    pub(super) q: String,
    /// Only jobs older than this one.
    pub(super) before: Option<JobId>,
    /// What a change of selected jobs did before it led here.
    pub(super) done: Option<Done>,
}

/// The result of a change of selected jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// No job was selected.
    Nothing,
    /// Jobs were changed.
    Changed {
        action: SelectedAction,
        jobs: u64,
        /// Those whose state does not allow it.
        left: u64,
        /// Those for which the store failed.
        failed: u64,
    },
}

/// What can be done to selected jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SelectedAction {
    Retry,
    Cancel,
}

impl SelectedAction {
    /// The action with this name in forms and addresses.
    pub(super) fn of(name: &str) -> Option<Self> {
        [Self::Retry, Self::Cancel].into_iter().find(|action| action.name() == name)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
        }
    }
}

impl From<SelectedAction> for BulkAction {
    fn from(action: SelectedAction) -> Self {
        match action {
            SelectedAction::Retry => Self::Retry,
            SelectedAction::Cancel => Self::Cancel,
        }
    }
}

impl Asked {
    /// Reads the query of an address. Unknown names and values are ignored, as a link in a page of an older version may
    /// contain them; a filter is never ignored.
    pub(super) fn of(query: &str) -> Self {
        let mut asked = Self::default();
        let (mut done, mut jobs, mut left, mut failed) = (None, 0, 0, 0);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let number = || value.parse().unwrap_or_default();
            match &*name {
                "q" => value.trim().clone_into(&mut asked.q),
                "cursor" => asked.before = value.parse().ok(),
                "done" => done = Some(value.into_owned()),
                "jobs" => jobs = number(),
                "left" => left = number(),
                "failed" => failed = number(),
                _ => {}
            }
        }
        asked.done = match done.as_deref() {
            Some("nothing") => Some(Done::Nothing),
            Some(name) => SelectedAction::of(name).map(|action| Done::Changed { action, jobs, left, failed }),
            None => None,
        };
        asked
    }

    /// The address that shows this.
    pub(super) fn address(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !self.q.is_empty() {
            query.append_pair("q", &self.q);
        }
        if let Some(before) = self.before {
            query.append_pair("cursor", &before.to_string());
        }
        match self.done {
            None => {}
            Some(Done::Nothing) => {
                query.append_pair("done", "nothing");
            }
            Some(Done::Changed { action, jobs, left, failed }) => {
                query.append_pair("done", action.name());
                for (name, number) in [("jobs", jobs), ("left", left), ("failed", failed)] {
                    if number > 0 {
                        query.append_pair(name, &number.to_string());
                    }
                }
            }
        }
        let (path, query) = (Tab::Jobs.path(), query.finish());
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

/// The address of the list with this filter.
pub(in crate::admin::pages) fn list_of(q: &str) -> String {
    Asked { q: q.to_owned(), ..Asked::default() }.address()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        let before = Some("018bcfe5-687b-7000-8000-000000000001".parse().unwrap());
        let changed = Done::Changed { action: SelectedAction::Cancel, jobs: 2, left: 1, failed: 0 };
        for asked in [
            Asked::default(),
            Asked { q: "state:dead error:\"a&b=c +%\"".into(), ..Asked::default() },
            Asked { q: "é".into(), before, done: None },
            Asked { done: Some(Done::Nothing), ..Asked::default() },
            Asked { q: "is:late".into(), before, done: Some(changed) },
        ] {
            let address = asked.address();
            let query = address.split_once('?').map_or("", |(_, query)| query);
            assert_eq!(Asked::of(query), asked, "{address}");
        }
        assert_eq!(list_of(""), "/jobs");
    }

    #[test]
    fn unknown_values_are_ignored() {
        for query in ["cursor=x", "done=%3Cscript%3E&jobs=1", "jobs=-1", "other=1", "q=%20"] {
            assert_eq!(Asked::of(query), Asked::default(), "{query}");
        }
    }
}
