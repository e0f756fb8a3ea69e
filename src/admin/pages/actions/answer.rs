//! The sentence of the page: what happened last, and whether it worked. Pure.

use std::time::Duration;

use maud::html;

use model::Timestamp;
use store::{Action, ActionResult};

use super::row::done;
use crate::admin::pages::parts::icon::Icon;
use crate::admin::pages::parts::mark::Tone;
use crate::admin::pages::parts::panel::Answer;
use crate::admin::pages::parts::{amount, moment};

/// Actions count as recent for this time.
const DAY: Duration = Duration::from_secs(86_400);

/// The actions of a page.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// Newest first.
    pub(super) actions: Vec<Action>,
    pub(super) is_filtered: bool,
    /// Whether the page is not the first one.
    pub(super) is_later: bool,
    /// Whether older actions match.
    pub(super) has_more: bool,
}

/// Decides on the sentence.
pub(super) fn decide(found: Result<Found, &String>, now: Timestamp) -> Answer {
    let found = match found {
        Ok(found) => found,
        Err(why) => {
            return Answer::new(Tone::Bad, Icon::Warning, "The actions could not be read", html! { (why) });
        }
    };
    let Some(last) = found.actions.first() else {
        let sentence = match (found.is_later, found.is_filtered) {
            (true, _) => "No older action",
            (false, true) => "No action matches",
            (false, false) => "No operator has changed anything yet",
        };
        return Answer::new(Tone::Plain, Icon::Actions, sentence, html! {});
    };
    if found.is_later {
        let sentence = format!("{} older", amount::count(len(found.actions.len()), "action"));
        return Answer::new(Tone::Plain, Icon::Actions, sentence, html! {});
    }
    let why = html! {
        "The last one: " (done(last)) " by " strong.wrap { (last.by.name()) } ", " (moment::ago(last.at, now)) "."
    };
    if last.result == ActionResult::Failed && now.since(last.at) < DAY {
        return Answer::new(Tone::Warn, Icon::Warning, "The last action failed", why);
    }
    let running = found.actions.iter().filter(|action| action.result == ActionResult::Running).count();
    if running > 0 {
        let are = if running == 1 { "is" } else { "are" };
        let sentence = format!("{} {are} running", amount::count(len(running), "action"));
        return Answer::new(Tone::Active, Icon::Running, sentence, why);
    }
    let recent = found.actions.iter().filter(|action| now.since(action.at) < DAY).count();
    let matching = if found.is_filtered { "matching " } else { "" };
    let sentence = match recent {
        0 => format!("No {matching}action in 24 hours"),
        all if all == found.actions.len() && found.has_more => {
            format!("More than {} {matching}actions in 24 hours", amount::number(len(all)))
        }
        1 => format!("1 {matching}action in 24 hours"),
        several => format!("{} {matching}actions in 24 hours", amount::number(len(several))),
    };
    Answer::new(Tone::Plain, Icon::Actions, sentence, why)
}

fn len(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::row::tests::action;
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_789_928_123);

    fn found(actions: &[(u64, ActionResult)]) -> Found {
        let actions = actions.iter().map(|(hours, result)| Action {
            at: NOW - Duration::from_secs(hours * 3_600),
            result: *result,
            ..action()
        });
        Found { actions: actions.collect(), ..Found::default() }
    }

    #[test]
    fn the_answer_says_what_happened_last_and_whether_it_worked() {
        use ActionResult::{Done, Failed, Running, Stopped};
        let none = || found(&[]);
        for (found, tone, sentence) in [
            (none(), Tone::Plain, "No operator has changed anything yet"),
            (Found { is_filtered: true, ..none() }, Tone::Plain, "No action matches"),
            (Found { is_filtered: true, is_later: true, ..none() }, Tone::Plain, "No older action"),
            (found(&[(1, Done), (2, Failed), (30, Done)]), Tone::Plain, "2 actions in 24 hours"),
            (found(&[(1, Done)]), Tone::Plain, "1 action in 24 hours"),
            (found(&[(25, Failed)]), Tone::Plain, "No action in 24 hours"),
            (
                Found { is_filtered: true, ..found(&[(1, Stopped)]) },
                Tone::Plain,
                "1 matching action in 24 hours",
            ),
            (
                Found { has_more: true, ..found(&[(1, Done); 40]) },
                Tone::Plain,
                "More than 40 actions in 24 hours",
            ),
            (Found { is_later: true, ..found(&[(1, Done); 40]) }, Tone::Plain, "40 actions older"),
            (found(&[(1, Failed), (1, Done)]), Tone::Warn, "The last action failed"),
            (found(&[(1, Failed), (30, Running)]), Tone::Warn, "The last action failed"),
            (found(&[(1, Done), (30, Running)]), Tone::Active, "1 action is running"),
        ] {
            let answer = decide(Ok(found), NOW);
            let said = answer.sentence.replace('\u{a0}', " ");
            assert_eq!((answer.tone, &*said), (tone, sentence));
        }
        let why = "The store did not answer.".to_owned();
        assert_eq!(decide(Err(&why), NOW).sentence, "The actions could not be read");
    }
}
