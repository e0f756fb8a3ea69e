//! What is done with an answer of Kommo: one table, no I/O. ARCHITECTURE.md has it for people.

pub(super) mod blame;
mod early;

use std::time::Duration;

use kommo::pace::{AccountEvidence, Cause, Pause, Paused, Source};
use kommo::{Answer, NoBearer, Problem};
use model::{
    AfterDelivery, AttemptResult, Backoff, Delivery, FallbackReason, HandlerPolicy, JobId, Outcome, Prepared,
    Timestamp,
};

use blame::Blame;

/// Between two looks whether a job that waits by itself can go.
const ALONE: Duration = Duration::from_secs(60);

/// What an attempt brought, besides an [`Answer`].
#[derive(Clone, Debug)]
pub(super) enum Got {
    /// A call was made.
    Answer(Answer),
    /// There is no bearer for that address, so no call was made.
    NoBearer(NoBearer),
    /// The turn of a second call did not come in time, or a pause began before the call went out.
    NotItsTurn(Paused),
    /// No call was made: a newer job has the same `return_url`, and this was not the first continue.
    Superseded(JobId),
    /// The bridge stops before the call.
    Stopped,
    /// As [`NoBearer::Unknown`], but at this address another account is called, which must not wait for it.
    Stranger,
}

/// What is known of the job when its answer comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances<'a> {
    pub(super) job: JobId,
    /// When the request came in.
    pub(super) waiting_since: Timestamp,
    /// What was sent.
    pub(super) prepared: &'a Prepared,
    /// How the delivery went before.
    pub(super) delivery: Delivery,
    /// How its account is, as far as the pace knows.
    pub(super) account: AccountEvidence,
    pub(super) policy: &'a HandlerPolicy,
    pub(super) give_up_after: Duration,
    /// By the steady clock, as are the moments of `delivery` and `account`.
    pub(super) now: Timestamp,
    /// Uniform in 0 to 1.
    pub(super) jitter: f64,
}

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judgement {
    pub(super) next: AfterDelivery,
    /// What to write into the history; `None` if no attempt is charged.
    pub(super) result: Option<AttemptResult>,
    pub(super) error: Option<String>,
    /// Who has to wait.
    pub(super) pause: Option<Pause>,
    /// Whether the answer shows that the account takes calls.
    pub(super) account_is_fine: bool,
}

impl Judgement {
    /// In place of its account, only this job waits, until then.
    pub(super) fn until(self, due_at: Timestamp) -> Self {
        let next = match self.next {
            AfterDelivery::Wait { delivery, .. } => AfterDelivery::Retry { due_at, delivery },
            next => next,
        };
        Self { next, ..self }
    }
}

/// Judges.
pub(super) fn judge(got: &Got, at: Circumstances<'_>) -> Judgement {
    let (status, retry_after, problem) = match got {
        Got::NoBearer(no) => {
            let cause = no.cause();
            if cause.may_be_of_one_job() {
                return at.refused(cause, &no.what());
            }
            return at.wait(cause, None, &no.what());
        }
        Got::NotItsTurn(paused) => return at.later(&paused.to_string()),
        Got::Stopped => return at.handed_back(),
        Got::Superseded(newer) => return at.superseded(*newer),
        Got::Stranger => return at.alone(&NoBearer::Unknown.to_string()),
        Got::Answer(Answer::NotSent(why)) => return at.again(why, AttemptResult::Retry, false),
        Got::Answer(Answer::Lost { why, timed_out }) => {
            let result = if *timed_out { AttemptResult::Timeout } else { AttemptResult::Retry };
            return at.again(&format!("the answer was lost: {why}"), result, true);
        }
        Got::Answer(Answer::Foreign { status }) => return at.foreign(*status),
        Got::Answer(Answer::Status { status, retry_after, problem }) => {
            (*status, *retry_after, problem.as_ref())
        }
    };
    let text = said(status, problem);
    match status {
        // Kommo says 202, 200 or 204; whatever else is a success must not be sent twice either.
        200..=299 => at.end(AfterDelivery::Delivered, AttemptResult::Ok, None),
        404 if let Some(early) = at.early(&text) => Judgement { account_is_fine: true, ..early },
        404 if at.delivery.answer_lost => {
            let text = format!("{text}: the attempt whose answer was lost had arrived");
            at.end(AfterDelivery::Delivered, AttemptResult::Ok, Some(text))
        }
        404 => at.end(AfterDelivery::Gone, AttemptResult::Gone, Some(text)),
        401 => at.refused(Cause::Unauthorized, &text),
        402 => at.refused(Cause::PaymentRequired, &text),
        403 if problem.is_some() => at.refused(Cause::Forbidden, &text),
        403 => at.refused(Cause::Blocked, &text),
        429 => {
            let hint = retry_after.or_else(|| problem.and_then(|problem| problem.retry_after));
            at.wait(Cause::TooMany, hint, &text)
        }
        400 if at.prepared.completion.is_data_alone() && too_few(problem) => at.with_goto(text),
        400 | 422 => at.instead(text),
        // Behind a gateway the answer of Kommo may be lost though it is Kommo's own gateway that tells.
        502 | 504 => at.again(&text, AttemptResult::Retry, true),
        408 | 425 | 500..=599 => at.again(&text, AttemptResult::Retry, false),
        300..=399 => at.again(&format!("{text}: redirects are not followed"), AttemptResult::Retry, false),
        // What Kommo never says: 405, 413, 1xx, …. Nothing else would come of the same call at once.
        _ => at.again(&text, AttemptResult::Retry, false),
    }
}

/// What is wrong with the account if what came asks it to wait, without what to do about it.
pub(super) fn heard(got: &Got) -> String {
    match got {
        Got::NoBearer(no) => no.what(),
        Got::NotItsTurn(paused) => paused.to_string(),
        Got::Stranger => NoBearer::Unknown.what(),
        Got::Answer(Answer::NotSent(why) | Answer::Lost { why, .. }) => why.clone(),
        Got::Answer(Answer::Status { status, problem, .. }) => said(*status, problem.as_ref()),
        Got::Answer(Answer::Foreign { status }) => said(*status, None),
        // Neither says anything of the account.
        Got::Superseded(_) | Got::Stopped => String::new(),
    }
}

fn too_few(problem: Option<&Problem>) -> bool {
    problem.is_some_and(|problem| problem.codes.iter().any(|code| code == "TooFew"))
}

fn said(status: u16, problem: Option<&Problem>) -> String {
    match problem {
        Some(problem) if !problem.text.is_empty() => format!("Kommo answered {status}: {}", problem.text),
        _ => format!("Kommo answered {status}"),
    }
}

impl Circumstances<'_> {
    fn end(&self, next: AfterDelivery, result: AttemptResult, error: Option<String>) -> Judgement {
        Judgement { next, result: Some(result), error, pause: None, account_is_fine: true }
    }

    /// The account waits, and this job with it.
    fn wait(&self, cause: Cause, hint: Option<Duration>, text: &str) -> Judgement {
        Judgement {
            next: AfterDelivery::Wait { delivery: self.waiting(), keeps_place: !cause.may_be_of_one_job() },
            result: None,
            error: Some(format!("{text}; {}", cause.advice())),
            pause: Some(Pause { cause, hint, source: Source::Job(self.job) }),
            account_is_fine: false,
        }
    }

    /// Waiting is no failure of this job: when the account goes on, its time budget starts again. But a job that is refused
    /// for its own sake has no other budget to wait for.
    fn waiting(&self) -> Delivery {
        if self.delivery.is_refused_alone() {
            return self.delivery;
        }
        Delivery { failures: 0, failing_since: None, ..self.delivery }
    }

    /// Kommo refuses the account, or this job alone.
    fn refused(&self, cause: Cause, text: &str) -> Judgement {
        let refused = Self { delivery: Delivery { refused_at: Some(self.now), ..self.delivery }, ..*self };
        match blame::decide(self.delivery, self.account) {
            // Not by what was noted just now: that it is refused says nothing of why.
            Blame::Account => {
                let delivery = Delivery { failures: 0, failing_since: None, ..refused.delivery };
                Self { delivery, ..refused }.wait(cause, None, text)
            }
            Blame::Job => {
                let why = "the account takes other jobs, so this one is refused for what it is";
                refused.again(&format!("{text}; {why}"), AttemptResult::Retry, false)
            }
            Blame::Unclear => {
                let due_at = self.now + ALONE;
                let next = AfterDelivery::Retry { due_at, delivery: refused.delivery };
                Judgement { next, ..self.later(&format!("{text}; {}", cause.advice())) }
            }
        }
    }

    /// Within seconds of the request a 404 may mean that the bot does not wait yet: again soon, and nothing is charged. The job
    /// still ends with its time budget.
    fn early(&self, text: &str) -> Option<Judgement> {
        let due_at = early::retry_at(self.waiting_since, self.now)?;
        let over = |since| due_at.since(since) >= self.give_up_after;
        if self.delivery.failing_since.is_some_and(over) {
            return None;
        }
        let next = AfterDelivery::Retry { due_at, delivery: self.delivery };
        Some(Judgement { next, ..self.later(&format!("{text}; the bot may not be waiting yet")) })
    }

    /// Something answered in place of Kommo's API, as a 503 does. A success of it may hide one of Kommo's.
    fn foreign(&self, status: u16) -> Judgement {
        let is_success = (200..300).contains(&status);
        let what = if is_success { "with an HTML page" } else { "without JSON" };
        let text = format!(
            "{status} {what}: this is not Kommo's API but something in its place, such as a proxy, a parked domain or a \
             captive portal; check the account's address and the network"
        );
        let early = if status == 404 { self.early(&text) } else { None };
        early.unwrap_or_else(|| self.again(&text, AttemptResult::Retry, is_success))
    }

    /// A newer job has the same `return_url`, so this answer would go to its question.
    fn superseded(&self, newer: JobId) -> Judgement {
        let text = format!(
            "superseded: job {newer} came later with the same return_url, and this answer would go to its question"
        );
        Judgement { next: AfterDelivery::Gone, ..self.later(&text) }
    }

    /// The bridge stops before the continue could be sent: nothing has happened that the next start would have to know.
    fn handed_back(&self) -> Judgement {
        let next = AfterDelivery::Wait { delivery: self.delivery, keeps_place: true };
        Judgement { next, result: None, error: None, pause: None, account_is_fine: false }
    }

    /// Nothing is known of this job or its account, but that others are to be called first.
    fn later(&self, text: &str) -> Judgement {
        Judgement {
            next: AfterDelivery::Wait { delivery: self.delivery, keeps_place: true },
            result: None,
            error: Some(text.to_owned()),
            pause: None,
            account_is_fine: false,
        }
    }

    /// This job waits by itself, for whom a pause of its lane would hold up others.
    fn alone(&self, text: &str) -> Judgement {
        let next = AfterDelivery::Retry { due_at: self.now + ALONE, delivery: self.waiting() };
        Judgement { next, ..self.later(text) }
    }

    fn again(&self, text: &str, result: AttemptResult, answer_lost: bool) -> Judgement {
        let failures = self.delivery.failures.saturating_add(1);
        let failing_since = self.delivery.failing_since.unwrap_or(self.now);
        let answer_lost = self.delivery.answer_lost || answer_lost;
        if self.now.since(failing_since) >= self.give_up_after {
            let error =
                format!("{text}; gave up after {} s (delivery.give_up_after)", self.give_up_after.as_secs());
            return Judgement {
                account_is_fine: false,
                ..self.end(AfterDelivery::Dead { answer_lost }, result, Some(error))
            };
        }
        let due_at = self.now + Backoff::STANDARD.delay(failures, self.jitter);
        let delivery =
            Delivery { failures, failing_since: Some(failing_since), answer_lost, ..self.delivery };
        Judgement {
            next: AfterDelivery::Retry { due_at, delivery },
            result: Some(result),
            error: Some(text.to_owned()),
            pause: None,
            account_is_fine: false,
        }
    }

    fn with_goto(&self, text: String) -> Judgement {
        let with_goto = self.policy.goto.and_then(|step| self.prepared.completion.with_goto(step).ok());
        match with_goto {
            Some(completion) => self.replace(Prepared { completion, outcome: self.prepared.outcome }, text),
            None => {
                let error = format!(
                    "{text}; this account wants a handler with every continue: set handlers.NAME.goto"
                );
                self.end(self.dead(), AttemptResult::Fail, Some(error))
            }
        }
    }

    fn dead(&self) -> AfterDelivery {
        AfterDelivery::Dead { answer_lost: self.delivery.answer_lost }
    }

    fn instead(&self, text: String) -> Judgement {
        match self.prepared.outcome {
            Outcome::Handler => {
                let completion = self.policy.fallback.clone();
                self.replace(
                    Prepared { completion, outcome: Outcome::Fallback(FallbackReason::Refused) },
                    text,
                )
            }
            Outcome::Fallback(_) => self.end(self.dead(), AttemptResult::Fail, Some(text)),
        }
    }

    fn replace(&self, prepared: Prepared, text: String) -> Judgement {
        let delivery = Delivery { failures: 0, failing_since: None, refused_at: None, ..self.delivery };
        self.end(AfterDelivery::Replace { prepared, delivery }, AttemptResult::Fail, Some(text))
    }
}

#[cfg(test)]
mod tests;
