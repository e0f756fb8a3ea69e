//! Explains the state of a job: why it is in it, what happens next, and what an operator can do. For `jobs explain`,
//! `jobs show` and the API.
//!
//! [`explain`] is a pure function. Its facts come from the store and, if one runs, from the bridge: some of them, such as
//! free permits, exist only in its memory. A fact that is unknown leaves out a reason, and never makes one up.

mod code;
mod context;
mod finished;
mod life;
mod unfinished;

use serde::{Deserialize, Serialize};

use super::{Attempt, HandlerName, JobRecord, Timestamp};

pub use code::Code;
pub use context::{AccountPace, AccountPause, ExplainContext, HandlerLoad, Line};

/// Why a job is in its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The state and the first reason, in one sentence.
    pub summary: String,
    /// The reasons, the most important one first. There is at least one.
    pub because: Vec<Because>,
    /// What happens next; `None` if nothing does.
    pub next: Option<NextStep>,
    /// What an operator can do.
    pub you_can: Vec<Suggestion>,
    #[serde(skip)]
    is_finished: bool,
}

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Because {
    /// The reason, for programs.
    pub code: Code,
    /// The reason, for people.
    pub text: String,
    /// When it began, if known.
    pub since: Option<Timestamp>,
    /// When it ends, if known.
    pub until: Option<Timestamp>,
    /// Advice for the operator.
    #[serde(skip)]
    pub advice: String,
}

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextStep {
    /// What the bridge does.
    pub what: String,
    /// When, if known.
    pub at: Option<Timestamp>,
}

/// Something that an operator can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// What to do.
    pub action: String,
    /// The command that does it; `None` if there is none.
    pub command: Option<String>,
}

/// The reason why an unfinished job waits: the first reason of its [`Explanation`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitsFor {
    /// The cause, for programs.
    pub cause: Code,
    /// The reason, for people.
    pub why: String,
    /// Advice for the operator.
    pub advice: String,
    /// When the wait began, if known.
    pub since: Option<Timestamp>,
    /// When the wait ends, if known.
    pub until: Option<Timestamp>,
}

/// Explains the state of `job`, whose charged attempts are `attempts`.
pub fn explain(job: &JobRecord, attempts: &[Attempt], context: &ExplainContext<'_>) -> Explanation {
    let parts = match job {
        JobRecord::Whole(whole) if !whole.state.name().is_finished() => {
            unfinished::explain(whole, attempts, context)
        }
        _ => finished::explain(&job.summary(), attempts, context),
    };
    let summary = job.summary();
    let Parts { because, next, you_can } = parts.of_handler(&summary.handler);
    let state = summary.state;
    let summary =
        because.first().map_or_else(|| state.to_string(), |first| format!("{state}: {}", first.text));
    Explanation { summary, because, next, you_can, is_finished: state.is_finished() }
}

impl Explanation {
    /// The reason why the job waits; `None` if it is finished.
    pub fn waits_for(&self) -> Option<WaitsFor> {
        let first = self.because.first().filter(|_| !self.is_finished)?;
        Some(WaitsFor {
            cause: first.code,
            why: first.text.clone(),
            advice: first.advice.clone(),
            since: first.since,
            until: first.until,
        })
    }
}

/// An explanation without its summary.
struct Parts {
    because: Vec<Because>,
    next: Option<NextStep>,
    you_can: Vec<Suggestion>,
}

impl Parts {
    /// The same, about one job: with the keys of its handler, and without a hint at which jobs to read.
    fn of_handler(mut self, handler: &HandlerName) -> Self {
        let keys = format!("handlers.{handler}.");
        let of_this_job = |text: &mut String| {
            *text =
                text.replace("handlers.NAME.", &keys).replace("read `last_error` of such a job, then ", "");
        };
        for reason in &mut self.because {
            of_this_job(&mut reason.text);
            of_this_job(&mut reason.advice);
        }
        self.you_can.iter_mut().for_each(|suggestion| of_this_job(&mut suggestion.action));
        self.you_can.dedup();
        self
    }
}

impl Because {
    fn new(code: Code, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { code, text: text.into(), since: None, until: None, advice: advice.into() }
    }

    fn since(self, since: Timestamp) -> Self {
        Self { since: Some(since), ..self }
    }

    fn until(self, until: Timestamp) -> Self {
        Self { until: Some(until), ..self }
    }
}

impl NextStep {
    fn at(what: &str, at: Option<Timestamp>) -> Option<Self> {
        Some(Self { what: what.to_owned(), at })
    }
}

impl Suggestion {
    /// An action with its command, without the program's name.
    fn run(action: impl Into<String>, command: &str) -> Self {
        Self { action: action.into(), command: Some(format!("salesbot-bridge {command}")) }
    }

    /// An action without a command.
    fn act(action: impl Into<String>) -> Self {
        Self { action: action.into(), command: None }
    }
}

#[cfg(test)]
mod tests;
