//! Decides what follows an attempt to deliver. A pure table; `docs/architecture/delivery.md` shows it.

pub(super) mod blame;
mod early;

use std::time::Duration;

use kommo::pace::{AccountEvidence, Cause, Pause, Paused, Source};
use kommo::{CallFailure, CallOutcome, NoBearer};
use model::{
    AfterDelivery, AttemptResult, Backoff, Delivery, FallbackReason, HandlerPolicy, JobId, Outcome,
    PreparedCompletion, Timestamp,
};

use blame::Blame;

/// Time between two attempts of a job that waits alone.
const LONE_RETRY_DELAY: Duration = Duration::from_secs(60);

/// How an attempt ended.
#[derive(Clone, Debug)]
pub(super) enum AttemptOutcome {
    /// Kommo was called, with this outcome.
    Called(CallOutcome),
    /// No call: there is no bearer for the address.
    NoBearer(NoBearer),
    /// No call: no permit came in time, or a pause began before the call.
    NotAdmitted(Paused),
    /// No call: a newer job has the same `return_url`, and this was not the first continue.
    Superseded(JobId),
    /// No call: the bridge stops.
    Stopped,
    /// Like [`NoBearer::Unknown`], but a different account has this address and must not wait for this job.
    OtherAccount,
}

/// The input of the decision, besides the outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct DecisionContext<'a> {
    pub(super) job: JobId,
    /// When the request came in.
    pub(super) waiting_since: Timestamp,
    /// The completion that was sent.
    pub(super) prepared: &'a PreparedCompletion,
    /// The state of the delivery before this attempt.
    pub(super) delivery: Delivery,
    /// What the calls of other jobs have shown about the account.
    pub(super) account: AccountEvidence,
    pub(super) policy: &'a HandlerPolicy,
    pub(super) give_up_after: Duration,
    /// By the steady clock, like the times in `delivery` and `account`.
    pub(super) now: Timestamp,
    /// Uniformly distributed between 0 and 1.
    pub(super) jitter: f64,
}

/// What follows the attempt.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decision {
    pub(super) next: AfterDelivery,
    /// The result for the history; `None` if the attempt is not charged to the job.
    pub(super) result: Option<AttemptResult>,
    pub(super) error: Option<String>,
    /// The pause that the account now begins, if any.
    pub(super) pause: Option<Pause>,
    /// Whether the response shows that the account takes calls.
    pub(super) account_is_fine: bool,
}

impl Decision {
    /// Makes only this job wait until `due_at`, instead of its account.
    pub(super) fn until(self, due_at: Timestamp) -> Self {
        let next = match self.next {
            AfterDelivery::Wait { delivery, .. } => AfterDelivery::Retry { due_at, delivery },
            next => next,
        };
        Self { next, ..self }
    }
}

/// Decides what follows an attempt that ended with `outcome`.
pub(super) fn decide(outcome: &AttemptOutcome, context: DecisionContext<'_>) -> Decision {
    let call = match outcome {
        AttemptOutcome::NoBearer(no) => {
            let cause = no.cause();
            if cause.may_be_of_one_job() {
                return context.refused(cause, &no.what());
            }
            return context.wait(cause, None, &no.what());
        }
        AttemptOutcome::NotAdmitted(paused) => return context.wait_in_turn(&paused.to_string()),
        AttemptOutcome::Stopped => return context.handed_back(),
        AttemptOutcome::Superseded(newer) => return context.superseded(*newer),
        AttemptOutcome::OtherAccount => return context.retry_alone(&NoBearer::Unknown.what()),
        AttemptOutcome::Called(call) => call,
    };
    // Written only if it is needed: most continues are accepted.
    let text = || call.to_string();
    match call {
        // Kommo answers 202, 200 or 204. Any other success counts too: the continue must not be sent twice.
        CallOutcome::Accepted { .. } => context.end(AfterDelivery::Delivered, AttemptResult::Ok, None),
        CallOutcome::NotFound { .. } => context.not_found(text()),
        CallOutcome::NotKommo { status } => context.not_kommo(*status, call.may_have_arrived()),
        CallOutcome::Unauthorized { .. } => context.refused(Cause::Unauthorized, &text()),
        CallOutcome::PaymentRequired { .. } => context.refused(Cause::PaymentRequired, &text()),
        CallOutcome::Forbidden { .. } => context.refused(Cause::Forbidden, &text()),
        CallOutcome::Blocked => context.refused(Cause::Blocked, &text()),
        CallOutcome::TooManyRequests { retry_after, .. } => {
            context.wait(Cause::TooMany, *retry_after, &text())
        }
        CallOutcome::Rejected { status: 400, problem }
            if context.prepared.completion.is_data_alone() && problem.has_code("TooFew") =>
        {
            context.with_goto(text())
        }
        CallOutcome::Rejected { .. } => context.replace_refused(text()),
        CallOutcome::NoResponse(CallFailure::NotAllowed(refusal)) => context.retry(
            &format!("the bridge may not call this return_url: {refusal}"),
            AttemptResult::Retry,
            false,
        ),
        CallOutcome::NoResponse(CallFailure::Lost { timed_out: true, .. }) => {
            context.retry(&text(), AttemptResult::Timeout, true)
        }
        // Kommo never sends an unexpected status such as 405 or 413. An immediate second call would end the same way.
        CallOutcome::Redirected { .. }
        | CallOutcome::Unavailable { .. }
        | CallOutcome::Unexpected { .. }
        | CallOutcome::NoResponse(_) => context.retry(&text(), AttemptResult::Retry, call.may_have_arrived()),
    }
}

/// Whether the attempt failed because of the network or a server, and so perhaps because of an outage of the account.
pub(super) fn may_be_an_outage(outcome: &AttemptOutcome) -> bool {
    matches!(outcome, AttemptOutcome::Called(call) if call.is_transient())
}

/// The reason why the account would have to wait after `outcome`, without advice.
pub(super) fn wait_reason(outcome: &AttemptOutcome) -> String {
    match outcome {
        AttemptOutcome::NoBearer(no) => no.what(),
        AttemptOutcome::NotAdmitted(paused) => paused.to_string(),
        AttemptOutcome::OtherAccount => NoBearer::Unknown.what(),
        AttemptOutcome::Called(call) => call.to_string(),
        // Neither says anything about the account.
        AttemptOutcome::Superseded(_) | AttemptOutcome::Stopped => String::new(),
    }
}

impl DecisionContext<'_> {
    fn end(&self, next: AfterDelivery, result: AttemptResult, error: Option<String>) -> Decision {
        Decision { next, result: Some(result), error, pause: None, account_is_fine: true }
    }

    /// The account waits, and so does this job. Its error says only what happened: the account's wait has the advice.
    fn wait(&self, cause: Cause, hint: Option<Duration>, text: &str) -> Decision {
        Decision {
            next: AfterDelivery::Wait { delivery: self.waiting(), keeps_place: !cause.may_be_of_one_job() },
            result: None,
            error: Some(text.to_owned()),
            pause: Some(Pause { cause, hint, source: Source::Job(self.job) }),
            account_is_fine: false,
        }
    }

    /// Waiting is not a failure of this job: its time budget starts again when its account resumes. A job that is
    /// refused alone keeps its time budget, which is the only limit it has.
    fn waiting(&self) -> Delivery {
        if self.delivery.is_refused_alone() {
            return self.delivery;
        }
        Delivery { failures: 0, failing_since: None, ..self.delivery }
    }

    /// Kommo refused the account, or only this job.
    fn refused(&self, cause: Cause, text: &str) -> Decision {
        let refused = Self { delivery: Delivery { refused_at: Some(self.now), ..self.delivery }, ..*self };
        match blame::decide(self.delivery, self.account) {
            // The time budget starts again: this refusal alone does not show that the job is the reason.
            Blame::Account => {
                let delivery = Delivery { failures: 0, failing_since: None, ..refused.delivery };
                Self { delivery, ..refused }.wait(cause, None, text)
            }
            Blame::Job => {
                let why = "the account takes other jobs, so the refusal is about this one";
                refused.retry(&format!("{text}; {why}"), AttemptResult::Retry, false)
            }
            Blame::Unclear => {
                let due_at = self.now + LONE_RETRY_DELAY;
                let next = AfterDelivery::Retry { due_at, delivery: refused.delivery };
                Decision { next, ..self.wait_in_turn(text) }
            }
        }
    }

    /// Within seconds of the request, a 404 may mean that the bot is not waiting yet. Then the job is retried soon, and
    /// nothing is charged. The job still ends with its time budget. Such a 404 is not a failure, so the end of an outage
    /// does not make the job due earlier.
    fn early(&self, text: &str) -> Option<Decision> {
        let due_at = early::retry_at(self.waiting_since, self.now)?;
        let over = |since| due_at.since(since) >= self.give_up_after;
        if self.delivery.failing_since.is_some_and(over) {
            return None;
        }
        let next = AfterDelivery::Retry { due_at, delivery: self.waiting() };
        Some(Decision { next, ..self.wait_in_turn(&format!("{text}; the bot may not be waiting yet")) })
    }

    /// No bot waits: not yet, no longer, or because an earlier continue arrived and its response was lost.
    fn not_found(&self, text: String) -> Decision {
        if let Some(early) = self.early(&text) {
            return Decision { account_is_fine: true, ..early };
        }
        if !self.delivery.answer_lost {
            return self.end(AfterDelivery::Gone, AttemptResult::Gone, Some(text));
        }
        let text = format!("{text}: an earlier continue had arrived, and its response was lost");
        self.end(AfterDelivery::Delivered, AttemptResult::Ok, Some(text))
    }

    /// Something other than Kommo's API answered: retry, as after a 503.
    fn not_kommo(&self, status: u16, may_have_arrived: bool) -> Decision {
        let what = if may_have_arrived { "with an HTML page" } else { "without JSON" };
        let text = format!(
            "{status} {what}: this is not Kommo's API but something in its place, such as a proxy, a parked domain or a \
             captive portal; check the account's address and the network"
        );
        let early = if status == 404 { self.early(&text) } else { None };
        early.unwrap_or_else(|| self.retry(&text, AttemptResult::Retry, may_have_arrived))
    }

    /// A newer job has the same `return_url`, so this answer would reach the newer question.
    fn superseded(&self, newer: JobId) -> Decision {
        let text = format!(
            "superseded: job {newer} came later with the same return_url, and this answer would go to its question"
        );
        Decision { next: AfterDelivery::Gone, ..self.wait_in_turn(&text) }
    }

    /// The bridge stops before it sends the continue, so the delivery stays as it was.
    fn handed_back(&self) -> Decision {
        let next = AfterDelivery::Wait { delivery: self.delivery, keeps_place: true };
        Decision { next, result: None, error: None, pause: None, account_is_fine: false }
    }

    /// The attempt showed nothing about this job or its account. The job keeps its place in the lane.
    fn wait_in_turn(&self, text: &str) -> Decision {
        Decision {
            next: AfterDelivery::Wait { delivery: self.delivery, keeps_place: true },
            result: None,
            error: Some(text.to_owned()),
            pause: None,
            account_is_fine: false,
        }
    }

    /// Only this job waits, because a pause of its lane would hold up jobs of a different account.
    fn retry_alone(&self, text: &str) -> Decision {
        let next = AfterDelivery::Retry { due_at: self.now + LONE_RETRY_DELAY, delivery: self.waiting() };
        Decision { next, ..self.wait_in_turn(text) }
    }

    fn retry(&self, text: &str, result: AttemptResult, answer_lost: bool) -> Decision {
        let failures = self.delivery.failures.saturating_add(1);
        let failing_since = self.delivery.failing_since.unwrap_or(self.now);
        let answer_lost = self.delivery.answer_lost || answer_lost;
        if self.now.since(failing_since) >= self.give_up_after {
            // The error is that of the earlier attempts, so that it is in their group. The state says that the bridge gave up.
            return Decision {
                account_is_fine: false,
                ..self.end(AfterDelivery::Dead { answer_lost }, result, Some(text.to_owned()))
            };
        }
        let due_at = self.now + Backoff::STANDARD.delay(failures, self.jitter);
        let delivery =
            Delivery { failures, failing_since: Some(failing_since), answer_lost, ..self.delivery };
        Decision {
            next: AfterDelivery::Retry { due_at, delivery },
            result: Some(result),
            error: Some(text.to_owned()),
            pause: None,
            account_is_fine: false,
        }
    }

    fn with_goto(&self, text: String) -> Decision {
        let with_goto = self.policy.goto.and_then(|step| self.prepared.completion.with_goto(step).ok());
        match with_goto {
            Some(completion) => {
                self.replace(PreparedCompletion { completion, outcome: self.prepared.outcome }, text)
            }
            None => {
                let error = format!(
                    "{text}; this account requires a handler in every continue: set handlers.NAME.goto"
                );
                self.end(self.dead(), AttemptResult::Fail, Some(error))
            }
        }
    }

    fn dead(&self) -> AfterDelivery {
        AfterDelivery::Dead { answer_lost: self.delivery.answer_lost }
    }

    fn replace_refused(&self, text: String) -> Decision {
        match self.prepared.outcome {
            Outcome::Handler => {
                let completion = self.policy.fallback.clone();
                self.replace(
                    PreparedCompletion { completion, outcome: Outcome::Fallback(FallbackReason::Refused) },
                    text,
                )
            }
            Outcome::Fallback(_) => self.end(self.dead(), AttemptResult::Fail, Some(text)),
        }
    }

    fn replace(&self, prepared: PreparedCompletion, text: String) -> Decision {
        let delivery = Delivery { failures: 0, failing_since: None, refused_at: None, ..self.delivery };
        self.end(AfterDelivery::Replace { prepared, delivery }, AttemptResult::Fail, Some(text))
    }
}

#[cfg(test)]
mod tests;
