//! The answer of the page: are bots waiting, since when, and for what.

use maud::{Markup, html};

use model::{StateName, Timestamp};

use super::facts::{Counts, Facts, Setup, Trouble, Waiting};
use crate::admin::pages::parts::icon::Icon;
use crate::admin::pages::parts::mark::Tone;
use crate::admin::pages::parts::panel::Answer;
use crate::admin::pages::parts::text::capital;
use crate::admin::pages::parts::{amount, moment};
use crate::health::{EverybodyWaits, Misdirected, Phase};
use crate::history::Series;

/// Accounts in trouble that the answer names.
const NAMED_TROUBLES: usize = 2;

/// Bots that have passed `answer_within`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    Exactly(u64),
    AtLeast(u64),
    Unknown,
}

impl Late {
    /// Whether some bot certainly is late.
    const fn is_certain(self) -> bool {
        matches!(self, Self::Exactly(1..) | Self::AtLeast(_))
    }
}

/// Counts the bots that have passed `answer_within`, when only the oldest ones are known.
pub(super) fn late(waiting: &Waiting, unfinished: u64, setup: &Setup, now: Timestamp) -> Late {
    let late = waiting.jobs.iter().filter(|job| job.is_late(now)).count() as u64;
    let are_all_known = waiting.is_exact && waiting.jobs.len() as u64 >= unfinished;
    let oldest = waiting.jobs.first().map(|oldest| now.since(oldest.job.since));
    // The others are younger than the oldest one.
    let is_none_that_old = waiting.is_exact
        && oldest.zip(setup.answer_within).is_some_and(|(oldest, (shortest, _))| oldest < shortest);
    match late {
        late if are_all_known => Late::Exactly(late),
        0 if is_none_that_old => Late::Exactly(0),
        0 => Late::Unknown,
        late => Late::AtLeast(late),
    }
}

/// Answers whether bots are waiting.
pub(super) fn answer(facts: &Facts) -> Answer {
    let counts = match &facts.counts {
        Ok(counts) => counts,
        Err(why) => return unknown(why),
    };
    match counts.unfinished() {
        _ if !facts.refuses_because.is_empty() => refusing(facts, counts),
        0 => idle(facts, counts),
        unfinished => waiting(facts, counts, unfinished),
    }
}

/// Answers that requests are refused, which is worse than a bot that waits.
fn refusing(facts: &Facts, counts: &Counts) -> Answer {
    let none = Waiting::default();
    let unfinished = counts.unfinished();
    let why = html! {
        @for reason in &facts.refuses_because { strong { (capital(reason)) } ". " }
        "The bridge acknowledges only what it can store, so Kommo gets 503, and the bots of these requests have no job. "
        @if unfinished > 0 { (sentence(facts, facts.waiting.as_ref().unwrap_or(&none), unfinished)) "." }
    };
    Answer::new(Tone::Bad, Icon::Warning, "The bridge refuses requests", why)
}

fn unknown(why: &str) -> Answer {
    let why = html! {
        (why) " " a href="/health/ready" { "The readiness check" } " says whether the bridge accepts requests. \
        The rest of this page shows what is known without the store."
    };
    Answer::new(Tone::Bad, Icon::Warning, "The store cannot be read, so it is unknown whether bots wait", why)
}

fn idle(facts: &Facts, counts: &Counts) -> Answer {
    let has_had_requests = facts.numbers.ever > 0 || counts.0.values().any(|jobs| *jobs > 0);
    match facts.phase {
        Phase::Draining => {
            let why = html! { "It refuses new requests. No bot is waiting." };
            Answer::new(Tone::Warn, Icon::Info, "The bridge is stopping", why)
        }
        Phase::Starting => {
            let why = html! { "No bot is waiting. The bridge accepts requests in a moment." };
            Answer::new(Tone::Plain, Icon::Info, "The bridge is starting", why)
        }
        Phase::Ready => match &facts.everybody {
            Some(wait) => {
                let sentence = "All bots are answered, but all accounts are paused";
                Answer::new(Tone::Warn, Icon::Warning, sentence, everybody(wait, facts.now))
            }
            None if !has_had_requests => {
                Answer::new(Tone::Plain, Icon::Info, "No request yet", first_request(&facts.setup))
            }
            None => answered(facts),
        },
    }
}

/// Answers that no bot waits. A handler that fails for most of them is news all the same.
fn answered(facts: &Facts) -> Answer {
    let lately = |series| facts.numbers.five_minutes.value(series).unwrap_or(0);
    let (continues, by_handler) = (lately(Series::Continues), lately(Series::ByHandler));
    let unanswered = unanswered(facts);
    if unanswered > 0 {
        let sentence = format!("{} got no answer in 24 hours", amount::count(unanswered, "bot"));
        let why = html! { (no_answer(unanswered)) " " (last_hour(facts)) };
        return Answer::new(Tone::Bad, Icon::Dead, sentence, why);
    }
    if !facts.setup.unreachable.is_empty() {
        let sentence = "All bots are answered, but a handler cannot be reached";
        return Answer::new(Tone::Warn, Icon::Warning, sentence, unreachable(facts));
    }
    if by_handler * 2 >= continues {
        return Answer::new(Tone::Ok, Icon::Ok, "All bots are answered", last_hour(facts));
    }
    let sentence = "All bots are answered, but most got the fallback lately";
    let why = html! {
        (amount::number(continues - by_handler)) " of " (amount::count(continues, "bot"))
        " got the fallback in the last 5 minutes. "
        a href="/jobs?q=outcome%3Afallback+since%3A1h" { "Their jobs" } " and " a href="/errors" { "the errors" } " say why."
    };
    Answer::new(Tone::Warn, Icon::Fallback, sentence, why)
}

/// The jobs that died within 24 hours and are still dead, as far as that is known.
fn unanswered(facts: &Facts) -> u64 {
    let dead = facts.counts.as_ref().map_or(0, |counts| counts.of(&[StateName::Dead]));
    facts.numbers.dead().min(dead)
}

fn no_answer(bots: u64) -> Markup {
    html! {
        a href="/jobs?q=state%3Adead+since%3A24h" { (amount::count(bots, "job")) (if bots == 1 { " is" } else { " are" }) " dead" }
        ": Kommo did not accept the answer. Each job says why, and can be retried."
    }
}

/// The handlers that cannot be reached.
fn unreachable(facts: &Facts) -> Markup {
    html! {
        @for (handler, until) in facts.setup.unreachable.iter().take(NAMED_TROUBLES) {
            a href="/handlers" { strong.wrap { (handler) } } " cannot be reached"
            @if *until > facts.now { ", tested again in " (moment::countdown(*until, facts.now)) }
            ". "
        }
        @if facts.setup.unreachable.len() > NAMED_TROUBLES { a href="/handlers" { "Others" } " cannot be reached either. " }
    }
}

fn first_request(setup: &Setup) -> Markup {
    html! {
        "The bridge is ready. "
        @match setup.handlers.split_first() {
            None => { "It has no handler: add a section " code { "[handlers.NAME]" } " to the configuration and restart." },
            Some((first, others)) => {
                "Set the URL of the bot's widget block to "
                code {
                    @match &setup.public_url {
                        Some(url) => (url),
                        None => "https://THE-ADDRESS-OF-THIS-BRIDGE",
                    }
                    "/widget_request/" (first.as_str())
                }
                " and save the bot."
                @if setup.public_url.is_none() { " Set " code { "server.public_url" } " to see the address here." }
                @if !others.is_empty() {
                    " The URL of " a href="/handlers" { "another handler" } " ends with its name."
                }
            },
        }
        @if let Some(Misdirected { path, calls }) = setup.misdirected.first() {
            " " strong { (amount::count(*calls, "call")) " came to " code { (path) } } ", which is not a path of a handler."
        }
    }
}

fn last_hour(facts: &Facts) -> Markup {
    let (continues, by_handler) = facts.numbers.answered();
    let troubles = facts.accounts.as_ref().map_or(0, |accounts| accounts.troubles.len()) as u64;
    html! {
        @match amount::share(by_handler, continues) {
            Some(share) => {
                "In the last hour, " (amount::count(continues, "bot")) (were(continues)) " answered, "
                (share) " by their handlers."
            },
            None => "No bot had to be answered in the last hour.",
        }
        @if troubles > 0 {
            " " a href="/accounts" { (amount::count(troubles, "account")) } (if troubles == 1 { " is" } else { " are" })
            " in trouble."
        }
    }
}

const fn were(number: u64) -> &'static str {
    if number == 1 { " was" } else { " were" }
}

fn waiting(facts: &Facts, counts: &Counts, unfinished: u64) -> Answer {
    let none = Waiting::default();
    let oldest_jobs = facts.waiting.as_ref().unwrap_or(&none);
    let late = late(oldest_jobs, unfinished, &facts.setup, facts.now);
    let troubles: &[Trouble] = facts.accounts.as_ref().map_or(&[], |accounts| &accounts.troubles);
    let blocking: Vec<&Trouble> = troubles.iter().filter(|trouble| trouble.blocks()).collect();
    let is_draining = facts.phase == Phase::Draining;
    let (tone, sign) = match &facts.everybody {
        Some(_) => (Tone::Bad, Icon::Warning),
        None if late.is_certain()
            || !blocking.is_empty()
            || !facts.setup.unreachable.is_empty()
            || is_draining =>
        {
            (Tone::Warn, Icon::Queued)
        }
        None => (Tone::Active, Icon::Queued),
    };
    let sentence = sentence(facts, oldest_jobs, unfinished);
    let sentence = if is_draining { format!("The bridge is stopping, {sentence}") } else { sentence };
    let why = html! {
        @if is_draining { "It refuses new requests, and finishes what it can. " }
        @match &facts.everybody {
            Some(wait) => { (everybody(wait, facts.now)) " " },
            None => (blocked(&blocking, facts.now)),
        }
        (unreachable(facts))
        (stages(counts, &blocking, facts.everybody.is_some()))
        (passed(late))
        @if unanswered(facts) > 0 { " " (no_answer(unanswered(facts))) }
    };
    Answer::new(tone, sign, sentence, why)
}

fn sentence(facts: &Facts, waiting: &Waiting, unfinished: u64) -> String {
    let oldest = waiting.jobs.first().map(|oldest| amount::age(facts.now.since(oldest.job.since)));
    let at_least = if waiting.is_exact { "" } else { "at least " };
    match (unfinished, oldest) {
        (1, None) => "1 bot is waiting".to_owned(),
        (1, Some(age)) => format!("1 bot has waited for {at_least}{age}"),
        (bots, None) => format!("{} bots are waiting", amount::number(bots)),
        (bots, Some(age)) => format!("{} bots are waiting, oldest {at_least}{age}", amount::number(bots)),
    }
}

fn everybody(wait: &EverybodyWaits, now: Timestamp) -> Markup {
    html! {
        strong { "All accounts are paused: " } (wait.why.trim_end_matches('.'))
        @match wait.until.filter(|until| *until > now) {
            Some(until) => { "; the next try is in " (moment::countdown(until, now)) "." },
            None => ".",
        }
    }
}

/// The accounts for which deliveries wait.
fn blocked(blocking: &[&Trouble], now: Timestamp) -> Markup {
    html! {
        @for trouble in blocking.iter().take(NAMED_TROUBLES) {
            strong {
                @match trouble.waiting {
                    None => "Deliveries wait for ",
                    Some(waiting) => {
                        (amount::number(waiting)) (if waiting == 1 { " waits for " } else { " wait for " })
                    },
                }
                (trouble.name)
            }
            ", which " (what(trouble, now)) ". "
        }
        @if let Some(more) = blocking.get(NAMED_TROUBLES..).filter(|more| !more.is_empty()) {
            @match total(more) {
                None => "Others wait",
                Some(waiting) => { (amount::number(waiting)) (if waiting == 1 { " waits" } else { " wait" }) },
            }
            " for "
            a href="/accounts" { (amount::count(more.len() as u64, "more account")) } ". "
        }
    }
}

/// The deliveries that wait for these accounts, if all of them are counted.
fn total(troubles: &[&Trouble]) -> Option<u64> {
    troubles.iter().map(|trouble| trouble.waiting).sum()
}

/// What is wrong with an account, as a part of a sentence.
pub(super) fn what(trouble: &Trouble, now: Timestamp) -> Markup {
    html! {
        (if trouble.needs_authorization { "must be authorized: " } else { "is paused: " })
        (trouble.why.trim_end_matches('.'))
        @if let Some(until) = trouble.until.filter(|until| *until > now) {
            ", next try in " (moment::countdown(until, now))
        }
    }
}

/// Where the other bots are.
fn stages(counts: &Counts, blocking: &[&Trouble], all_are_paused: bool) -> Markup {
    let delivering = counts.of(&[StateName::Delivering]);
    let blocked = total(blocking);
    let delivering = match blocked {
        _ if all_are_paused => 0,
        None => delivering,
        Some(blocked) => delivering.saturating_sub(blocked),
    };
    let (is_delivered, are_delivered) = match blocked {
        Some(_) => ("is being delivered", "are being delivered"),
        None => {
            ("is being delivered or waits for its account", "are being delivered or wait for their accounts")
        }
    };
    let stages = [
        (counts.of(&[StateName::Queued]), "is queued", "are queued"),
        (
            counts.of(&[StateName::Running, StateName::AwaitingCallback]),
            "is with its handler",
            "are with their handlers",
        ),
        (delivering, is_delivered, are_delivered),
    ];
    html! {
        @for (bots, one, several) in stages.into_iter().filter(|(bots, ..)| *bots > 0) {
            strong { (amount::number(bots)) " " (if bots == 1 { one } else { several }) "." } " "
        }
    }
}

fn passed(late: Late) -> Markup {
    let (bots, at_least) = match late {
        Late::Unknown => return html! {},
        Late::Exactly(bots) => (bots, ""),
        Late::AtLeast(bots) => (bots, "At least "),
    };
    html! {
        @match bots {
            0 => "No bot has",
            1 => { (at_least) "1 bot has" },
            bots => { (at_least) (amount::number(bots)) " bots have" },
        }
        " passed " code { "answer_within" } "."
    }
}

#[cfg(test)]
mod tests;
