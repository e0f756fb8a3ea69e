//! The progress of a change of many jobs, as a sentence.

use store::{ActionResult, Bulk};

use super::dry_run::verb_of;
use crate::admin::pages::Icon;
use crate::admin::pages::parts::amount;
use crate::admin::pages::parts::mark::Tone;

/// What a page says first about a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) tone: Tone,
    pub(super) sign: Icon,
    pub(super) sentence: String,
}

/// Decides on the sentence.
pub(super) fn progress(bulk: &Bulk) -> Progress {
    let (doing, done) = verb_of(bulk.action);
    let of = |jobs: u64| match bulk.max_jobs {
        Some(max) if max != jobs => format!("{} of {}", amount::number(jobs), amount::count(max, "job")),
        _ => amount::count(jobs, "job"),
    };
    let (were, changed) = (if bulk.changed == 1 { "was" } else { "were" }, of(bulk.changed));
    let (tone, sign, sentence) = match bulk.state {
        ActionResult::Running => {
            let all = bulk.max_jobs.map_or_else(|| "jobs".to_owned(), |max| amount::count(max, "job"));
            (Tone::Active, Icon::Running, format!("{doing} {all}: {} done", amount::number(bulk.changed)))
        }
        ActionResult::Done if bulk.changed == 0 => (Tone::Warn, Icon::Info, format!("No job was {done}")),
        ActionResult::Done => (Tone::Ok, Icon::Ok, format!("{changed} {were} {done}")),
        ActionResult::Stopped => (Tone::Warn, Icon::Cancelled, format!("Stopped: {changed} {done}")),
        ActionResult::Failed => (Tone::Bad, Icon::Warning, format!("Failed: {changed} {done}")),
    };
    Progress { tone, sign, sentence }
}

#[cfg(test)]
mod tests {
    use model::{JobId, Timestamp};
    use store::{ActionSource, Actor, BulkAction};

    use super::*;

    #[test]
    fn the_sentence_says_how_far_it_is_and_how_it_ended() {
        for (action, state, max_jobs, changed, expected) in [
            (BulkAction::Retry, ActionResult::Running, Some(24), 9, "Retrying 24 jobs: 9 done"),
            (BulkAction::Cancel, ActionResult::Running, Some(1), 0, "Cancelling 1 job: 0 done"),
            (BulkAction::Erase, ActionResult::Running, None, 9, "Erasing the texts of jobs: 9 done"),
            (BulkAction::Retry, ActionResult::Done, Some(24), 24, "24 jobs were retried"),
            (BulkAction::Retry, ActionResult::Done, Some(24), 20, "20 of 24 jobs were retried"),
            (BulkAction::Retry, ActionResult::Done, Some(1), 1, "1 job was retried"),
            (BulkAction::Retry, ActionResult::Done, Some(24), 0, "No job was retried"),
            (BulkAction::Cancel, ActionResult::Stopped, Some(24), 9, "Stopped: 9 of 24 jobs cancelled"),
            (BulkAction::Erase, ActionResult::Failed, None, 1, "Failed: 1 job erased"),
        ] {
            let bulk = Bulk {
                id: 1,
                by: Actor::new(ActionSource::Page, "x"),
                at: Timestamp::from_millis(0),
                action,
                filter: String::new(),
                force: false,
                before: JobId::new(Timestamp::from_millis(0), 0),
                max_jobs,
                changed,
                skipped: 0,
                state,
            };
            assert_eq!(progress(&bulk).sentence.replace('\u{a0}', " "), expected);
        }
    }
}
