//! What has happened to a job between two looks at it. Pure.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use model::{Timestamp, whole_millis};

use super::advice;
use super::event::{Attempt, What};

/// A job as the admin API shows it, as far as `dev` needs it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Seen {
    pub(super) state: String,
    #[serde(default)]
    pub(super) completion: Value,
    pub(super) outcome: Option<String>,
    fallback_reason: Option<String>,
    due_at: Option<Timestamp>,
    last_error: Option<String>,
    attempts: Vec<SeenAttempt>,
    notes: Vec<SeenNote>,
}

#[derive(Clone, Debug, Deserialize)]
struct SeenAttempt {
    stage: String,
    number: u32,
    duration_ms: u64,
    result: String,
    error: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct SeenNote {
    text: String,
}

/// The state of a job whose handler answers later.
const AWAITING: &str = "awaiting_callback";
/// The note about a callback, which has an event of its own.
const CALLED_BACK: &str = "the completion came by a callback";

/// The moment of a look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) now: Timestamp,
    /// Time until the bot gets the fallback.
    pub(super) left: Duration,
}

impl Seen {
    pub(super) fn is_finished(&self) -> bool {
        matches!(self.state.as_str(), "delivered" | "gone" | "dead" | "cancelled")
    }

    /// Why the job has no answer.
    pub(super) fn unanswered(&self) -> What {
        What::Unanswered {
            state: self.state.clone(),
            error: self.last_error.as_deref().map(advice::in_options),
        }
    }

    /// The attempts of the handler.
    fn tried(&self) -> impl Iterator<Item = &SeenAttempt> {
        self.attempts.iter().filter(|attempt| attempt.stage == "handler")
    }

    /// What has happened since `before`, in order. `status` returns the HTTP status of an attempt.
    pub(super) fn since(&self, before: &Self, look: Look, status: impl Fn(u32) -> Option<u16>) -> Vec<What> {
        let known = before.tried().count();
        let attempts: Vec<Attempt> =
            self.tried().skip(known).map(|attempt| attempt.event(status(attempt.number))).collect();
        let last = attempts.last().cloned();
        let (called_back, notes): (Vec<&SeenNote>, Vec<&SeenNote>) =
            self.notes.iter().skip(before.notes.len()).partition(|note| note.text == CALLED_BACK);
        let mut events: Vec<What> = attempts.into_iter().map(What::Attempt).collect();
        events.extend(notes.into_iter().map(|note| What::Note { text: note.text.clone() }));
        let was_accepted =
            before.state == AWAITING || last.as_ref().is_some_and(|attempt| attempt.result == "accepted");
        let error = self.last_error.as_deref().map(advice::in_options);
        let advice =
            |error: Option<&str>| advice::of(last.as_ref().and_then(|attempt| attempt.status), error?);
        let is_first = known == 0;
        match (self.state.as_str(), self.fallback_reason.as_deref()) {
            (_, Some(reason)) if before.fallback_reason.is_none() => {
                let advice = advice::of_fallback(reason).or_else(|| advice(error.as_deref()));
                let is_known = last.as_ref().is_some_and(|attempt| attempt.error == error);
                let error = error.filter(|_| !is_known);
                events.push(What::Fallback { reason: reason.to_owned(), error, advice });
            }
            (AWAITING, None) if before.state != AWAITING => {
                events.push(What::Later { fallback_in_ms: whole_millis(look.left) });
            }
            // It may come before the end of the attempt, which then leaves no trace.
            (_, None) if !called_back.is_empty() => events.push(What::Callback { error: None }),
            ("queued", None) if was_accepted || last.is_some() => {
                let failed = last.as_ref().and_then(|attempt| attempt.error.as_deref());
                let advice = advice(failed).filter(|_| is_first);
                if was_accepted {
                    events.push(What::Callback { error });
                }
                events.push(What::Retry {
                    in_ms: self.due_at.map_or(0, |due_at| whole_millis(due_at.since(look.now))),
                    fallback_in_ms: is_first.then(|| whole_millis(look.left)),
                    advice,
                });
            }
            _ => {}
        }
        events
    }
}

impl SeenAttempt {
    fn event(&self, status: Option<u16>) -> Attempt {
        Attempt {
            number: self.number,
            status,
            duration_ms: self.duration_ms,
            result: self.result.clone(),
            error: self.error.as_deref().map(advice::in_options),
        }
    }
}

#[cfg(test)]
mod tests;
