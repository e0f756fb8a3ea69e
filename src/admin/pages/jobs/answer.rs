//! The sentence above a list: how many jobs it shows and what they are, and no more than is known.

use std::collections::BTreeMap;

use maud::{Markup, html};

use model::filter::{WrittenWord, written};
use model::{JobSummary, StateName};

use super::row::account_of;
use crate::admin::AccountNames;
use crate::admin::pages::Icon;
use crate::admin::pages::parts::amount;
use crate::admin::pages::parts::mark::{Tone, words};
use crate::admin::pages::parts::panel::Answer;
use crate::admin::pages::parts::text::capital;

/// What was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) q: &'a str,
    /// The jobs of this page.
    pub(super) jobs: &'a [JobSummary],
    /// Whether the page is not the first one.
    pub(super) is_later: bool,
    /// Whether older jobs match.
    pub(super) has_more: bool,
    /// Whether the search stopped before the page was full.
    pub(super) has_stopped: bool,
    /// The number of jobs in each state; `None` if it cannot be read.
    pub(super) counts: Option<&'a BTreeMap<StateName, u64>>,
    /// How accounts are called.
    pub(super) names: &'a AccountNames,
}

/// How many jobs there are, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Exactly(u64),
    MoreThan(u64),
    AtLeast(u64),
    Older(u64),
}

/// Decides on the sentence, and on what is worth knowing about the jobs.
pub(super) fn answer(found: Found<'_>) -> Answer {
    let sentence = sentence(found);
    let why = why(found, &sentence);
    Answer::new(Tone::Plain, Icon::Jobs, sentence, why)
}

impl Found<'_> {
    fn shown(self) -> u64 {
        u64::try_from(self.jobs.len()).unwrap_or(u64::MAX)
    }

    /// Whether the page shows all jobs that match.
    fn is_complete(self) -> bool {
        !self.is_later && !self.has_more && !self.has_stopped
    }

    fn number(self) -> Number {
        let shown = self.shown();
        if self.is_later {
            return Number::Older(shown);
        }
        if let Some(counted) = self.counts.and_then(|counts| counted(&written(self.q), counts)) {
            return Number::Exactly(counted);
        }
        match (self.has_stopped, self.has_more) {
            (true, _) => Number::AtLeast(shown),
            (false, true) => Number::MoreThan(shown),
            (false, false) => Number::Exactly(shown),
        }
    }
}

/// The number of jobs by the counters, which know only states.
fn counted(words: &[WrittenWord<'_>], counts: &BTreeMap<StateName, u64>) -> Option<u64> {
    match words {
        [] => Some(counts.values().sum()),
        [only] if only.key.as_deref() == Some("state") => {
            let named = |state: &StateName| only.values.iter().any(|value| value == state.as_str());
            let matching = counts.iter().filter(|(state, _)| named(state) != only.negated);
            Some(matching.map(|(_, jobs)| *jobs).sum())
        }
        _ => None,
    }
}

fn sentence(found: Found<'_>) -> String {
    let number = found.number();
    let (Number::Exactly(jobs) | Number::MoreThan(jobs) | Number::AtLeast(jobs) | Number::Older(jobs)) =
        number;
    if found.q.is_empty() && number == Number::Exactly(0) {
        return "No job yet".to_owned();
    }
    let words = written(found.q);
    let (one, many) = predicate(&words);
    if jobs == 0 && words.iter().any(|word| word.negated) && !matches!(number, Number::AtLeast(_)) {
        // Without a double negation.
        let rest = one.strip_prefix("was not delivered");
        return rest.map_or_else(|| "No job matches".to_owned(), |rest| format!("No undelivered job{rest}"));
    }
    let verb = if jobs <= 1 { one } else { many };
    let number_text = amount::number(jobs);
    let noun = if jobs == 1 { "job" } else { "jobs" };
    let subject = match number {
        Number::AtLeast(0) => return "No job found so far".to_owned(),
        Number::Exactly(0) => "No job".to_owned(),
        Number::Older(0) => "No older job".to_owned(),
        Number::Exactly(_) => format!("{number_text} {noun}"),
        Number::MoreThan(_) => format!("More than {number_text} {noun}"),
        Number::AtLeast(_) => format!("At least {number_text} {noun}"),
        Number::Older(_) => format!("{number_text} older {noun}"),
    };
    format!("{subject} {verb}")
}

/// What the filter says about one job, and about many.
fn predicate(words: &[WrittenWord<'_>]) -> (String, String) {
    let (mut what, mut when) = (None, None);
    for word in words {
        if let ("since", Some(span)) = (word.key.as_deref().unwrap_or_default(), lately(word)) {
            if when.replace(span).is_some() {
                return matching();
            }
        } else if let (None, Some(known)) = (&what, known(word)) {
            what = Some(known);
        } else {
            return matching();
        }
    }
    let (one, many) = match (what, &when) {
        (Some((one, many)), _) => (one, many),
        (None, Some(_)) => ("arrived".to_owned(), "arrived".to_owned()),
        (None, None) => ("is stored".to_owned(), "are stored".to_owned()),
    };
    let when = when.map(|when| format!(" {when}")).unwrap_or_default();
    (format!("{one}{when}"), format!("{many}{when}"))
}

fn matching() -> (String, String) {
    ("matches".to_owned(), "match".to_owned())
}

/// A time ago in words: `in the last 24 hours`.
fn lately(word: &WrittenWord<'_>) -> Option<String> {
    let [value] = &word.values[..] else { return None };
    let unit = match value.chars().last()? {
        's' => "second",
        'm' => "minute",
        'h' => "hour",
        'd' => "day",
        'w' => "week",
        _ => return None,
    };
    let number: u32 = value.get(..value.len() - 1)?.parse().ok()?;
    Some(if number == 1 { format!("in the last {unit}") } else { format!("in the last {number} {unit}s") })
}

/// The conditions that have words.
fn known(word: &WrittenWord<'_>) -> Option<(String, String)> {
    let [value] = &word.values[..] else { return None };
    let not = if word.negated { "not " } else { "" };
    let to_be = |rest: String| Some((format!("is {not}{rest}"), format!("are {not}{rest}")));
    let past = |rest: &str| Some((format!("was {not}{rest}"), format!("were {not}{rest}")));
    let both = |text: &str| Some((text.to_owned(), text.to_owned()));
    match (word.key.as_deref()?, value.as_str()) {
        ("state", "delivered") => past("delivered"),
        ("state", "cancelled") => past("cancelled"),
        ("state", "delivering") => to_be("being delivered".to_owned()),
        ("state", "awaiting_callback") if !word.negated => {
            Some(("awaits a callback".to_owned(), "await a callback".to_owned()))
        }
        ("state", "queued" | "running" | "gone" | "dead") | ("is", "late" | "unfinished" | "finished") => {
            to_be(value.clone())
        }
        ("outcome", "fallback") if !word.negated => both("got the fallback"),
        ("outcome", "handler") if !word.negated => both("got their handler's answer"),
        (key @ ("lead" | "contact" | "customer"), id) if !word.negated => {
            Some((format!("is about {key} {id}"), format!("are about {key} {id}")))
        }
        _ => None,
    }
}

/// What became of the jobs, and whose they are.
fn why(found: Found<'_>, sentence: &str) -> Markup {
    let jobs = found.jobs;
    if jobs.is_empty() {
        return html! {};
    }
    let shown = if found.is_complete() { String::new() } else { format!("Of the {} shown, ", jobs.len()) };
    html! {
        @if let Some(breakdown) = breakdown(jobs, sentence) { (capital(&format!("{shown}{breakdown}"))) ". " }
        @if let Some((account, number)) = main_account(jobs, found.names) {
            @if number == jobs.len() { "All of them belong to " strong { (account) } "." }
            @else { strong { (amount::number(u64::try_from(number).unwrap_or_default())) " of them belong to " (account) } "." }
        }
    }
}

/// `3 are still under way, 4 are dead, 20 are gone, 1 was cancelled`; `None` for one job, and if `sentence` says the same.
fn breakdown(jobs: &[JobSummary], sentence: &str) -> Option<String> {
    let number = |is: &dyn Fn(StateName) -> bool| jobs.iter().filter(|job| is(job.state)).count();
    let under_way = number(&|state| !state.is_finished());
    let mut parts = Vec::new();
    let mut push = |number: usize, one: &str, many: &str, what: &str| match number {
        0 => {}
        1 => parts.push(format!("1 {one} {what}")),
        _ => parts.push(format!("{number} {many} {what}")),
    };
    push(under_way, "is", "are", "still under way");
    for state in StateName::ALL.into_iter().filter(|state| state.is_finished()) {
        let (one, many) = match state {
            StateName::Delivered | StateName::Cancelled => ("was", "were"),
            _ => ("is", "are"),
        };
        push(number(&|other| other == state), one, many, &words(state));
    }
    match &parts[..] {
        _ if jobs.len() < 2 => None,
        [only] => {
            let what = only.trim_start_matches(|letter: char| letter.is_ascii_digit());
            (!sentence.contains(what)).then(|| format!("all{what}"))
        }
        parts => Some(parts.join(", ")),
    }
}

/// The account that has more than half of the jobs.
fn main_account(jobs: &[JobSummary], names: &AccountNames) -> Option<(String, usize)> {
    let mut accounts: BTreeMap<String, usize> = BTreeMap::new();
    for job in jobs {
        *accounts.entry(account_of(job, names)).or_default() += 1;
    }
    let (account, number) = accounts.into_iter().max_by_key(|(_, number)| *number)?;
    (number > 1 && number * 2 > jobs.len()).then_some((account, number))
}

#[cfg(test)]
mod tests;
