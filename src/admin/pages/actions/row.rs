//! An action as a row.

use maud::{Markup, html};

use model::Timestamp;
use model::filter::{FilterKey, written};
use store::{Action, ActionKind, ActionResult, ActionSource};

use crate::admin::pages::jobs::list_of;
use crate::admin::pages::parts::icon::Icon;
use crate::admin::pages::parts::mark::{self, Tone};
use crate::admin::pages::parts::table::{self, Column, head, labelled};
use crate::admin::pages::parts::text::{capital, cut};
use crate::admin::pages::parts::{amount, moment};

/// The longest target that a row shows, in characters.
const MAX_TARGET: usize = 160;
/// The longest filter that a row links to, in bytes. The log cuts long targets, and a cut filter may match other jobs.
const MAX_LINKED: usize = 160;

/// The columns.
pub(in crate::admin::pages) const COLUMNS: [Column; 5] = [
    Column::new("What", ""),
    Column::new("On", ""),
    Column::new("Who", ""),
    Column::new("When", "n"),
    Column::new("Result", ""),
];

/// What was done, as words.
pub(super) fn done(action: &Action) -> String {
    let jobs = || {
        if action.jobs == 1 { "1 job".to_owned() } else { format!("{} jobs", amount::number(action.jobs)) }
    };
    match ActionKind::from_name(&action.what) {
        Some(ActionKind::JobsRetry) => format!("retried {}", jobs()),
        Some(ActionKind::JobsCancel) => format!("cancelled {}", jobs()),
        Some(ActionKind::JobsComplete) => "completed a job by hand".to_owned(),
        Some(ActionKind::JobsReveal) => "opened the texts of a job".to_owned(),
        Some(ActionKind::JobsErase) => format!("erased the texts of {}", jobs()),
        Some(ActionKind::JobsStop) => "stopped a change of many jobs".to_owned(),
        Some(ActionKind::AccountsAuthorize) => "made a link that connects an account".to_owned(),
        Some(ActionKind::AccountsConfirm) => "confirmed an installation".to_owned(),
        Some(ActionKind::AccountsResume) => "resumed an account".to_owned(),
        Some(ActionKind::AccountsRemove) => "removed an account".to_owned(),
        Some(ActionKind::WidgetsInstall) => "installed a widget".to_owned(),
        Some(ActionKind::WidgetsUninstall) => "uninstalled a widget".to_owned(),
        Some(ActionKind::Backup) => "wrote a backup".to_owned(),
        Some(ActionKind::Restore) => "restored a backup".to_owned(),
        Some(ActionKind::StoreVacuum) => "compacted the store".to_owned(),
        // A later version wrote it.
        None => action.what.clone(),
    }
}

/// A source as words.
pub(super) const fn of_source(source: ActionSource) -> &'static str {
    match source {
        ActionSource::Api => "API",
        ActionSource::Page => "dashboard",
        ActionSource::Cli => "command line",
    }
}

/// A row.
pub(in crate::admin::pages) fn row(action: &Action, now: Timestamp) -> Markup {
    table::row(html! {
        (head("k", html! { (capital(&done(action))) span.sub.line { (action.what) } }))
        (labelled("wrap", "on", on(action)))
        (labelled("wrap", "by", html! { (action.by.name()) span.sub.line { (of_source(action.by.source())) } }))
        (labelled("n", "", moment::ago(action.at, now)))
        (table::cell("", result(action)))
    })
}

/// What it was done to: a job, a filter, an account or a file.
fn on(action: &Action) -> Markup {
    if let Some(id) = action.job_id {
        return html! { a.mono href={ "/jobs/" (id) } { (id) } };
    }
    let Some(target) = action.target.as_deref() else { return html! {} };
    let shown = cut(target, MAX_TARGET);
    match is_of_jobs(action) && target.len() <= MAX_LINKED && is_filter(target) {
        true => html! { a.mono href=(list_of(target)) { (shown) } },
        false => html! { (shown) },
    }
}

/// Whether the target of the action says which jobs.
fn is_of_jobs(action: &Action) -> bool {
    use ActionKind::{JobsCancel, JobsErase, JobsRetry};
    matches!(ActionKind::from_name(&action.what), Some(JobsRetry | JobsCancel | JobsErase))
}

/// Whether every word of the text is a condition of a filter.
fn is_filter(text: &str) -> bool {
    let words = written(text);
    let is_known = |key: &str| FilterKey::of(key).is_some();
    !words.is_empty() && words.iter().all(|word| word.key.as_deref().is_some_and(is_known))
}

/// How it ended. A change of many jobs that runs has a page.
fn result(action: &Action) -> Markup {
    let word = action.result.as_str();
    let (tone, sign) = match action.result {
        ActionResult::Done => (Tone::Ok, Icon::Ok),
        ActionResult::Running => (Tone::Active, Icon::Running),
        ActionResult::Stopped => (Tone::Warn, Icon::Cancelled),
        ActionResult::Failed => (Tone::Bad, Icon::X),
    };
    let has_page = action.result == ActionResult::Running && is_of_jobs(action);
    mark::mark(
        tone,
        sign,
        html! {
            @if has_page { a href={ "/jobs/bulk/" (action.id) } { (word) } } @else { (word) }
        },
    )
}

#[cfg(test)]
pub(super) mod tests {
    use store::Actor;

    use super::*;

    /// An action that retried many jobs.
    pub(in crate::admin::pages::actions) fn action() -> Action {
        Action {
            id: 7,
            at: Timestamp::from_millis(1_795_789_928_123),
            by: Actor::new(ActionSource::Page, "admin.token"),
            what: "jobs retry".to_owned(),
            job_id: None,
            target: Some("state:dead handler:greet".to_owned()),
            jobs: 1_200,
            result: ActionResult::Done,
        }
    }

    #[test]
    fn a_row_says_what_was_done_to_what_by_whom_and_escapes_it() {
        let id = "018bcfe5-687b-7000-8000-000000000001".parse().ok();
        for (action, part) in [
            (action(), "Retried 1,200 jobs<span class=\"sub line\">jobs retry</span>"),
            (action(), "href=\"/jobs?q=state%3Adead+handler%3Agreet\">state:dead handler:greet</a>"),
            (action(), "admin.token<span class=\"sub line\">dashboard</span>"),
            (
                Action { job_id: id, target: None, ..action() },
                "href=\"/jobs/018bcfe5-687b-7000-8000-000000000001\"",
            ),
            (Action { result: ActionResult::Running, ..action() }, "href=\"/jobs/bulk/7\">running</a>"),
            (
                Action { what: "backup".into(), target: Some("state:<b>".into()), ..action() },
                ">state:&lt;b&gt;<",
            ),
            (
                Action { target: Some("error group <script>".into()), ..action() },
                ">error group &lt;script&gt;<",
            ),
            (Action { what: "jobs <new>".into(), ..action() }, "Jobs &lt;new&gt;<span"),
            (
                Action { target: Some("ü".repeat(1_000)), ..action() },
                &format!("{}…<", "ü".repeat(MAX_TARGET)),
            ),
            (Action { jobs: 1, ..action() }, "Retried 1 job<"),
        ] {
            let html = row(&action, action.at).into_string();
            assert!(html.contains(part), "{part} in {html}");
        }
        let long = format!("state:dead lead:{}", "7".repeat(MAX_LINKED));
        let html = row(&Action { target: Some(long), ..action() }, action().at).into_string();
        assert!(!html.contains("/jobs?q="), "the log may have cut it: {html}");
    }

    #[test]
    fn every_kind_has_words_and_a_filter_is_distinguished_from_other_texts() {
        for kind in ActionKind::ALL {
            let words = done(&Action { what: kind.as_str().to_owned(), ..action() });
            assert_ne!(words, kind.as_str());
        }
        for (text, expected) in [
            ("state:dead", true),
            ("lead:7 account:a.kommo.com", true),
            ("-state:delivered", true),
            ("state:dead and", false),
            ("javascript:alert(1)", false),
            ("", false),
        ] {
            assert_eq!(is_filter(text), expected, "{text}");
        }
    }
}
