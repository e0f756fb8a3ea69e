//! Parses a filter.

use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use url::Url;

use super::condition::{Conversation, FilteredAccount, JobTrait, WaitingFor};
use super::words::{self, Value, Word};
use super::{Clause, Condition, Filter, FilterError, FilterKey, FilterProblem, pasted};
use crate::{AccountId, Entity, EntityKind, Timestamp};

/// The maximum length of a filter. It bounds the length of the statement that the filter becomes.
pub(super) const MAX_CHARS: usize = 4_096;
/// The maximum number of conditions.
pub(super) const MAX_CLAUSES: usize = 64;

/// The facts that the meaning of a filter depends on.
pub struct FilterContext<'a> {
    /// The current time, for times like `2h`.
    pub now: Timestamp,
    /// Returns the account with this name; `None` if the name is unknown.
    pub account: &'a dyn Fn(&str) -> Option<FilteredAccount>,
}

impl Filter {
    /// Parses `text`. An empty text matches all jobs.
    ///
    /// # Errors
    /// A word is not a condition. The error says where, and what is allowed.
    pub fn parse(text: &str, context: &FilterContext<'_>) -> Result<Self, FilterError> {
        let too_long = FilterError { position: 1, problem: FilterProblem::TooLong };
        if text.chars().count() > MAX_CHARS {
            return Err(too_long);
        }
        let mut clauses = Vec::new();
        for word in words::split(text)? {
            clauses.extend(of_word(word, context)?);
        }
        if clauses.iter().map(|clause: &Clause| clause.any_of.len()).sum::<usize>() > MAX_CLAUSES {
            return Err(too_long);
        }
        Ok(Self { clauses })
    }
}

fn of_word(word: Word, context: &FilterContext<'_>) -> Result<Vec<Clause>, FilterError> {
    let Word { position, negated, key, values } = word;
    let at = |position| move |problem| FilterError { position, problem };
    let Some(name) = key else { return Ok(of_text(negated, values)) };
    let key =
        FilterKey::of(&name).ok_or_else(|| FilterProblem::UnknownKey(short(&name))).map_err(at(position))?;
    if matches!(key, FilterKey::Since | FilterKey::Until) {
        if negated {
            return Err(at(position)(FilterProblem::NotNegatable(key)));
        }
        if values.len() > 1 {
            return Err(at(position)(FilterProblem::OneValue(key)));
        }
    }
    let mut any_of = Vec::new();
    for value in values {
        any_of.push(of_value(key, &value.text, context).map_err(at(value.position))?);
    }
    Ok(vec![Clause { negated, any_of }])
}

/// A word without a key.
fn of_text(negated: bool, values: Vec<Value>) -> Vec<Clause> {
    let clause = |condition| Clause { negated, any_of: vec![condition] };
    let of_value = |Value { text, is_quoted, .. }| {
        match (!is_quoted).then(|| pasted::recognize(&text)).flatten() {
            // The opposite of a lead is not: another lead, and another account.
            Some(conditions) if conditions.len() > 1 && negated => vec![clause(Condition::Text(text))],
            Some(conditions) => conditions.into_iter().map(clause).collect(),
            None => vec![clause(Condition::Text(text))],
        }
    };
    values.into_iter().flat_map(of_value).collect()
}

fn of_value(key: FilterKey, text: &str, context: &FilterContext<'_>) -> Result<Condition, FilterProblem> {
    if text.is_empty() {
        return Err(FilterProblem::NoValue(key));
    }
    let wrong = |expected| FilterProblem::Value { key, value: short(text), expected };
    let number = || text.parse::<i64>().map_err(|_| wrong("a number"));
    let entity = |kind| number().map(|id| Condition::Entity(Entity { kind, id }));
    Ok(match key {
        FilterKey::State => Condition::State(text.parse()?),
        FilterKey::Handler => Condition::Handler(text.parse()?),
        FilterKey::Account => {
            let account = account(text, context).ok_or_else(|| FilterProblem::Account(short(text)))?;
            Condition::Account(account)
        }
        FilterKey::Lead => entity(EntityKind::Lead)?,
        FilterKey::Contact => entity(EntityKind::Contact)?,
        FilterKey::Customer => entity(EntityKind::Customer)?,
        FilterKey::Bot => Condition::Bot(number()?),
        FilterKey::Conversation => {
            let expected = "ACCOUNT:lead:NUMBER, ACCOUNT:contact:NUMBER or ACCOUNT:customer:NUMBER";
            Condition::Conversation(text.parse::<Conversation>().map_err(|_| wrong(expected))?)
        }
        FilterKey::Id => Condition::Id(text.parse()?),
        FilterKey::Trace => {
            let expected =
                "a trace id of 32 hex digits, which is the job's id without hyphens, or a traceparent";
            Condition::Id(pasted::trace(text).ok_or_else(|| wrong(expected))?)
        }
        FilterKey::ReturnUrl => Condition::ReturnUrl(text.parse()?),
        FilterKey::Since => Condition::Since(moment(text, context.now).ok_or_else(|| wrong(MOMENT))?),
        FilterKey::Until => Condition::Until(moment(text, context.now).ok_or_else(|| wrong(MOMENT))?),
        FilterKey::Error => Condition::Error(text.to_owned()),
        FilterKey::Status => {
            let range =
                text.parse().ok().filter(|range: &super::NumberRange| range.min <= 999 && range.max >= 100);
            Condition::Status(range.ok_or_else(|| wrong("an HTTP status like 429, 5xx, >=500 or 401..403"))?)
        }
        FilterKey::Attempts => {
            Condition::Attempts(text.parse().map_err(|_| wrong("a number, like 3, >2, <=5 or 2..5"))?)
        }
        FilterKey::Outcome => Condition::Outcome(text.parse()?),
        FilterKey::Waiting => {
            let waiting = WaitingFor::of(text).ok_or_else(|| FilterProblem::Waiting(short(text)))?;
            Condition::Waiting(waiting)
        }
        FilterKey::Is => Condition::Is(JobTrait::of(text).ok_or_else(|| FilterProblem::Is(short(text)))?),
    })
}

/// The account with this number, name or host. A name comes before a host, because it may contain a dot.
fn account(text: &str, context: &FilterContext<'_>) -> Option<FilteredAccount> {
    if let Ok(number) = text.parse() {
        return Some(FilteredAccount::Number(AccountId(number)));
    }
    if let Some(known) = (context.account)(text) {
        return Some(known);
    }
    let is_host = text.contains(['.', ':']) && !text.contains(['@', '?', '#']);
    let address = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&address).ok().filter(|url| is_host && url.path() == "/")?;
    pasted::host(&url).map(FilteredAccount::Host)
}

const MOMENT: &str =
    "a time ago like 90s, 30m, 2h, 7d or 1h30m, or a moment in UTC like 2026-11-30 or 2026-11-30T10:00:00Z";

/// A moment, or a time before now.
fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    // A moment before 1970 could not be written as a filter.
    if let Some(span) = span(text) {
        return Some((now - span).max(Timestamp::default()));
    }
    let utc = |moment: DateTime| moment.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let moment = match text.parse::<jiff::Timestamp>() {
        Ok(moment) => moment,
        Err(_) if text.contains(['T', 't', ' ']) => utc(text.parse().ok()?)?,
        Err(_) => utc(text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight()))?,
    };
    Some(Timestamp::from_millis(moment.as_millisecond().max(0)))
}

/// A duration like `1h30m`: numbers, each with a unit.
fn span(text: &str) -> Option<Duration> {
    let (mut seconds, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let unit = after.chars().next()?;
        let factor = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
        rest = after.strip_prefix(unit)?;
    }
    (!text.is_empty()).then(|| Duration::from_secs(seconds))
}

/// Shortens a text, so that it cannot flood an error.
fn short(text: &str) -> String {
    const MAX_SHOWN: usize = 64;
    let kept: String = text.chars().take(MAX_SHOWN).collect();
    if kept.len() < text.len() { format!("{kept}…") } else { kept }
}
