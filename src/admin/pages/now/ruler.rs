//! The ruler: how long the oldest bots have waited, on the scale of all pages, with its three limits.

use std::time::Duration;

use maud::{Markup, html};

use super::facts::{Facts, Setup};
use crate::admin::pages::parts::amount;
use crate::admin::pages::parts::mark::Tone;
use crate::admin::pages::parts::scale;
use model::StateName;

/// How long Kommo waits for the response to a request.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_secs(2);
/// Labels need this distance, in percent of the width.
const LABEL_DISTANCE: f64 = 7.0;
/// A label that helps to read the scale.
const READING_HELP: Duration = Duration::from_secs(300);

/// A limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) name: &'static str,
    pub(super) at: Duration,
    /// Its value: a span if the handlers differ.
    pub(super) label: String,
}

/// A bot that waits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bot {
    pub(super) age: Duration,
    pub(super) tone: Tone,
    /// Whether its age is written below it.
    pub(super) is_labelled: bool,
}

/// What the ruler shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ruler {
    pub(super) limits: Vec<Limit>,
    /// Youngest first.
    pub(super) bots: Vec<Bot>,
    pub(super) shows_help: bool,
}

/// Places the bots and the limits.
pub(super) fn ruler(facts: &Facts) -> Ruler {
    let now = facts.now;
    let troubled = |host: &str| {
        let accounts = facts.accounts.as_ref().ok();
        facts.everybody.is_some()
            || accounts.is_some_and(|all| all.troubles.iter().any(|one| one.host.as_deref() == Some(host)))
    };
    let jobs = facts.waiting.as_ref().map_or(&[][..], |waiting| &waiting.jobs);
    let mut bots: Vec<Bot> = jobs
        .iter()
        .map(|one| {
            let job = &one.job.job;
            let is_blocked = job.state == StateName::Delivering && troubled(super::waiting::host(job));
            let tone = if is_blocked || one.is_late(now) { Tone::Warn } else { Tone::Active };
            Bot { age: now.since(one.job.since), tone, is_labelled: false }
        })
        .collect();
    // The oldest bot is labelled first.
    bots.sort_by_key(|bot| std::cmp::Reverse(bot.age));
    let mut labels = vec![0.0];
    for bot in &mut bots {
        let place = scale::percent(bot.age);
        bot.is_labelled = is_free(&labels, place);
        labels.extend(bot.is_labelled.then_some(place));
    }
    bots.reverse();
    Ruler { limits: limits(&facts.setup), bots, shows_help: is_free(&labels, scale::percent(READING_HELP)) }
}

fn is_free(labels: &[f64], place: f64) -> bool {
    labels.iter().all(|label| (label - place).abs() >= LABEL_DISTANCE)
}

fn limits(setup: &Setup) -> Vec<Limit> {
    let limit = |name, at| Limit { name, at, label: amount::duration(at) };
    let answer_within = setup.answer_within.map(|(shortest, longest)| {
        let limit = limit("answer_within", shortest);
        let label = if shortest == longest {
            limit.label
        } else {
            format!("{} to {}", limit.label, amount::duration(longest))
        };
        Limit { label, ..limit }
    });
    let acknowledge = limit("acknowledge", ACKNOWLEDGE_WITHIN);
    let give_up = limit("give_up_after", setup.give_up_after);
    [Some(acknowledge), answer_within, Some(give_up)].into_iter().flatten().collect()
}

impl Ruler {
    /// The same in words.
    fn title(&self) -> String {
        let ages: Vec<String> = self.bots.iter().map(|bot| amount::age(bot.age)).collect();
        let bots = match ages.len() {
            0 => "No bot waits.".to_owned(),
            1 => format!("The oldest bot has waited for {}.", ages.concat()),
            count => format!("The {count} oldest bots have waited for {}.", ages.join(", ")),
        };
        let limits: Vec<String> =
            self.limits.iter().map(|limit| format!("{} {}", limit.name, limit.label)).collect();
        format!("{bots} The limits are {}.", limits.join(", "))
    }

    pub(super) fn render(&self) -> Markup {
        html! {
            figure.page {
                svg.chart width="100%" height="72" role="img" aria-labelledby="ruler" {
                    title id="ruler" { (self.title()) }
                    rect.track x="0" y="38" width="100%" height="6" rx="3" {}
                    @for limit in &self.limits { (render_limit(limit)) }
                    @for bot in &self.bots { (render_bot(*bot)) }
                    @let last = self.bots.len().saturating_sub(1);
                    @for (index, bot) in self.bots.iter().enumerate().filter(|(_, bot)| bot.is_labelled) {
                        @let (x, anchor) = text_place(bot.age);
                        @let class = if index == last { "hi" } else { "wide" };
                        text class=(class) x=(x) y="67" text-anchor=(anchor) { (amount::age(bot.age)) }
                    }
                    text x="0" y="67" { "0" }
                    @if self.shows_help {
                        text.wide x=(scale::at(READING_HELP)) y="67" text-anchor="middle" { (amount::age(READING_HELP)) }
                    }
                }
            }
        }
    }
}

/// Where a text is, and which of its ends: a text in the middle of the border would be cut.
fn text_place(at: Duration) -> (String, &'static str) {
    let percent = scale::percent(at);
    match percent {
        percent if percent > 94.0 => ("100%".to_owned(), "end"),
        percent if percent < 5.0 => (scale::attribute(percent), "start"),
        percent => (scale::attribute(percent), "middle"),
    }
}

fn render_limit(limit: &Limit) -> Markup {
    let line = scale::at(limit.at);
    let (x, anchor) = text_place(limit.at);
    html! {
        line.limit x1=(line) x2=(line) y1="28" y2="54" {}
        text x=(x) y="11" text-anchor=(anchor) { (limit.name) }
        text.hi x=(x) y="24" text-anchor=(anchor) { (limit.label) }
    }
}

/// A bot that is late, or whose account is in trouble, is a diamond.
fn render_bot(bot: Bot) -> Markup {
    let x = scale::at(bot.age);
    html! {
        g.(bot.tone.class()) {
            @if bot.tone == Tone::Warn {
                svg x=(x) y="41" width="1" height="1" overflow="visible" {
                    rect.dot x="-6" y="-6" width="12" height="12" rx="1" transform="rotate(45)" {}
                }
            } @else { circle.dot cx=(x) cy="41" r="6.5" {} }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{facts, job, trouble};
    use super::*;

    #[test]
    fn the_oldest_bot_is_labelled_and_labels_do_not_overlap() {
        let mut facts = facts();
        let ages = [12_000, 11_900, 6_800, 1_400];
        facts.waiting.as_mut().unwrap().jobs = ages.map(|ms| job(&facts, ms, StateName::Running)).into();
        let shown = ruler(&facts);
        let labels: Vec<bool> = shown.bots.iter().map(|bot| bot.is_labelled).collect();
        assert_eq!(labels, [true, false, false, true], "youngest first; 6.8 s is too close to 12 s");
        assert!(shown.shows_help);
        let html = shown.render().into_string();
        assert!(html.contains(r#"cx="21.16%""#) && html.contains(r#"class="hi" x="41.84%""#), "{html}");
    }

    #[test]
    fn late_bots_and_those_of_accounts_in_trouble_are_diamonds() {
        let mut facts = facts();
        facts.accounts.as_mut().unwrap().troubles = vec![trouble("a.kommo.com", 1)];
        let all = [
            job(&facts, 51_000, StateName::Running),
            job(&facts, 9_000, StateName::Delivering),
            job(&facts, 1_000, StateName::Running),
        ];
        facts.waiting.as_mut().unwrap().jobs = all.into();
        let tones: Vec<Tone> = ruler(&facts).bots.iter().map(|bot| bot.tone).collect();
        assert_eq!(tones, [Tone::Active, Tone::Warn, Tone::Warn]);
        assert_eq!(ruler(&facts).render().into_string().matches("rotate(45)").count(), 2);
    }

    #[test]
    fn the_limits_are_those_of_the_configuration() {
        let limits = |shortest, longest, give_up_after| {
            let answer_within = Some((Duration::from_secs(shortest), Duration::from_secs(longest)));
            let give_up_after = Duration::from_secs(give_up_after);
            let setup = Setup { answer_within, give_up_after, ..Setup::default() };
            let labels: Vec<String> = super::limits(&setup).into_iter().map(|limit| limit.label).collect();
            labels.join(" | ").replace('\u{a0}', " ")
        };
        assert_eq!(limits(50, 50, 3_600), "2 s | 50 s | 1 h");
        assert_eq!(limits(20, 50, 86_400), "2 s | 20 s to 50 s | 1 d");
        let none = Setup { give_up_after: Duration::from_secs(3_600), ..Setup::default() };
        assert_eq!(super::limits(&none).len(), 2, "without handlers");
    }
}
