//! Events as lines of text.

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use crate::cli::screen::{Screen, wrap};
use crate::cli::text::{clean, colour};

use super::answer::{Answer, Shown};
use super::event::{Attempt, Event, What};
use super::player::Played;

/// The width of the columns before the text: the request and the time.
const INDENT: usize = 14;
/// The maximum length of a note in a line, in characters.
const MAX_NOTE_CHARS: usize = 200;

/// The lines of an event.
pub(super) fn lines(event: &Event, screen: Screen) -> String {
    let head = format!("{:<4}{:>6.2} s  ", format!("#{}", event.request), event.after.as_secs_f64());
    let width = screen.width.unwrap_or(usize::MAX);
    let mut first = head.as_str();
    let rest = " ".repeat(INDENT);
    let mut all = Vec::new();
    for (style, text) in texts(&event.what, event.after.as_secs_f64()) {
        let more = format!("{rest}  ");
        for line in wrap(&text, width, first, &more) {
            let (columns, text) = line.split_at(line.len().min(INDENT));
            all.push(format!(
                "{}{}",
                screen.paint(Style::new().dimmed(), columns),
                screen.paint(style, text)
            ));
        }
        first = &rest;
    }
    all.join("\n")
}

/// The last request in full, and what its bot got.
pub(super) fn data(played: &Played) -> String {
    let pretty = |value: &Value| format!("{value:#}");
    let sent = match &played.sent {
        Some(body) => serde_json::from_str(body).map_or_else(|_| body.clone(), |value| pretty(&value)),
        None => "no request went to a URL".to_owned(),
    };
    format!(
        "#{} request to the handler:\n{sent}\n#{} the bot got:\n{}",
        played.number,
        played.number,
        pretty(&played.completion)
    )
}

/// The texts of an event, one for each line.
fn texts(what: &What, after: f64) -> Vec<(Style, String)> {
    let (green, yellow, red) = (colour(AnsiColor::Green), colour(AnsiColor::Yellow), colour(AnsiColor::Red));
    match what {
        What::Request { lead, data, replay } => {
            let replay = if *replay { ", again" } else { "" };
            let data =
                match data.as_object().filter(|keys| keys.len() == 1).and_then(|keys| keys.get("message")) {
                    Some(Value::String(text)) => format!("\"{text}\""),
                    _ => data.to_string(),
                };
            vec![(colour(AnsiColor::Cyan), clean(&format!("→ request {data} (lead {lead}{replay})")))]
        }
        What::Refused { status, error } => {
            let status = status.map(|status| format!(" with {status}")).unwrap_or_default();
            vec![(red, clean(&format!("the bridge refused the request{status}: {error}")))]
        }
        What::Attempt(attempt) => {
            let style = if attempt.error.is_some() { yellow } else { Style::new() };
            vec![(style, clean(&attempted(attempt)))]
        }
        What::Retry { in_ms, fallback_in_ms, advice } => {
            let fallback = fallback_in_ms.map(|ms| format!("; the bot gets the fallback in {}", seconds(ms)));
            let text = format!("retry in {}{}", seconds(*in_ms), fallback.unwrap_or_default());
            std::iter::once((yellow, text)).chain(advised(*advice)).collect()
        }
        What::Later { fallback_in_ms } => {
            let left = seconds(*fallback_in_ms);
            vec![(Style::new(), format!("waits for the callback; the bot gets the fallback in {left}"))]
        }
        What::Callback { error: None } => vec![(Style::new(), "the handler called back".to_owned())],
        What::Callback { error: Some(error) } => {
            vec![(yellow, clean(&format!("the handler called back with an error: {error}")))]
        }
        What::Note { text } => vec![(Style::new(), clean(&format!("note: {}", shortened(text))))],
        What::Fallback { reason, error, advice } => {
            let error = error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
            let text = clean(&format!("the bot gets the fallback ({reason}){error}"));
            std::iter::once((red, text)).chain(advised(*advice)).collect()
        }
        What::Answer(answer) => {
            let style = if answer.is_of_handler() { green } else { red };
            answered(answer, after).into_iter().map(|line| (style, clean(&line))).collect()
        }
        What::Unanswered { state, error } => {
            let error = error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
            vec![(red, clean(&format!("the bot gets no answer: the job is {state}{error}")))]
        }
    }
}

/// The beginning of a note, which may be the body of a response.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_NOTE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn advised(advice: Option<&'static str>) -> Option<(Style, String)> {
    advice.map(|advice| (colour(AnsiColor::Yellow), format!("to do: {advice}")))
}

fn attempted(attempt: &Attempt) -> String {
    let Attempt { number, status, duration_ms, error, .. } = attempt;
    let times = if *number > 1 { format!(", attempt {number}") } else { String::new() };
    match (status, error) {
        (Some(status), None) => format!("handler {status} in {duration_ms} ms{times}"),
        (Some(status), Some(error)) => format!("handler {status} in {duration_ms} ms{times}: {error}"),
        (None, None) => format!("handler in {duration_ms} ms{times}"),
        (None, Some(error)) => format!("no response after {duration_ms} ms{times}: {error}"),
    }
}

/// What the customer sees, then what the bot reads, then where it goes.
fn answered(answer: &Answer, after: f64) -> Vec<String> {
    let mut lines: Vec<String> = answer.shown.iter().map(shown).collect();
    let mut exit = None;
    match &answer.data {
        Value::Object(keys) => {
            for (key, value) in keys {
                match (key.as_str(), value) {
                    ("status", Value::String(status)) => exit = Some(status.as_str()),
                    (key, Value::String(text)) => lines.push(format!("bot ← {key}: {text}")),
                    (key, value) => lines.push(format!("bot ← {key}: {value}")),
                }
            }
        }
        Value::Null => {}
        data => lines.push(format!("bot ← data: {data}")),
    }
    let mut end = format!("bot continued after {after:.2} s");
    if let Some(exit) = exit {
        end.push_str(&format!(", status {exit}"));
    }
    if let Some(goto) = &answer.goto {
        end.push_str(&format!(", goes to {goto}"));
    }
    if !answer.is_of_handler() {
        end.push_str(&format!(", with the {}", answer.outcome));
    }
    lines.push(end);
    lines
}

fn shown(shown: &Shown) -> String {
    let buttons: String = shown.buttons.iter().map(|button| format!("  [{button}]")).collect();
    format!("bot says: {}{buttons}", shown.text)
}

fn seconds(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        _ => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
    }
}

#[cfg(test)]
mod tests;
