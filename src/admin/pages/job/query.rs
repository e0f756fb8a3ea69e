//! The query of the page. Unknown names and values are ignored, because an old link must still lead to the job.

use std::time::Duration;

use url::form_urlencoded;

use store::ActionKind;

use super::read::Seen;
use crate::admin::access::Bodies;

/// For how long after a change the page confirms it.
const JUST_NOW: Duration = Duration::from_secs(60);
/// How many bytes of a body the page shows at first.
const SHORT: usize = 8 * 1024;
/// How many bytes it shows when asked for more.
pub(super) const LONG: usize = 64 * 1024;

/// What was done to the job just before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Retried,
    Cancelled,
    Completed,
}

impl Done {
    const ALL: [Self; 3] = [Self::Retried, Self::Cancelled, Self::Completed];

    /// The value of `done`.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Retried => "retried",
            Self::Cancelled => "cancelled",
            Self::Completed => "completed",
        }
    }

    /// Whether it really happened just now: anyone can make a link that claims it.
    pub(super) fn is_confirmed(self, seen: &Seen) -> bool {
        let kind = match self {
            Self::Retried => ActionKind::JobsRetry,
            Self::Cancelled => ActionKind::JobsCancel,
            Self::Completed => ActionKind::JobsComplete,
        };
        let last = seen.actions.as_ref().ok().and_then(|page| page.actions.first());
        last.is_some_and(|last| last.what == kind.as_str() && seen.now.since(last.at) < JUST_NOW)
    }

    /// What the page says about it.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Retried => "The answer is sent again, with a new time budget.",
            Self::Cancelled => "The job is cancelled. Its bot is not continued.",
            Self::Completed => "Your answer is saved, and the bridge sends it.",
        }
    }
}

/// The query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// Whether each attempt has a row of its own.
    pub(super) each_attempt: bool,
    /// The attempts before the first one to show, if each has a row.
    pub(super) skip: usize,
    /// Whether to show more of large bodies.
    pub(super) long: bool,
    pub(super) done: Option<Done>,
}

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match (&*name, &*value) {
                ("attempts", "all") => parsed.each_attempt = true,
                ("skip", number) => parsed.skip = number.parse().unwrap_or_default(),
                ("data", "long") => parsed.long = true,
                ("done", code) => parsed.done = Done::ALL.into_iter().find(|done| done.code() == code),
                _ => {}
            }
        }
        parsed
    }

    /// How many bytes of each body to show to someone who sees bodies like this.
    pub(super) const fn limit(self, bodies: Bodies) -> usize {
        if self.long && matches!(bodies, Bodies::Full) { LONG } else { SHORT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_and_values_count() {
        let query = |text: &str| Query::parse(text);
        assert_eq!(query(""), Query::default());
        assert_eq!(query("done=%3Cscript%3E&attempts=x&skip=-1&data=x&color=red"), Query::default());
        for done in Done::ALL {
            assert_eq!(query(&format!("done={}", done.code())).done, Some(done));
        }
        let all = query("attempts=all&skip=60&data=long");
        assert_eq!((all.each_attempt, all.skip), (true, 60));
        assert_eq!((all.limit(Bodies::Full), all.limit(Bodies::Masked { may_reveal: true })), (LONG, SHORT));
    }
}
