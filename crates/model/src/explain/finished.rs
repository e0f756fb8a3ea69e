//! Why a finished job ended as it did.

use super::life::{self, LATE, span};
use super::{Because, Code, ExplainContext, Parts, Suggestion};
use crate::{Attempt, AttemptResult, FallbackReason, JobSummary, Outcome, Stage, StateName, Timestamp};

pub(super) fn explain(job: &JobSummary, attempts: &[Attempt], context: &ExplainContext<'_>) -> Parts {
    let finished_at = job.finished_at.unwrap_or(context.now);
    let (mut because, mut you_can) = match job.state {
        StateName::Delivered => (delivered(job, attempts, finished_at), Vec::new()),
        StateName::Gone => gone(job, attempts, context),
        StateName::Dead => dead(job, attempts, context),
        _ => (vec![cancelled(job)], Vec::new()),
    };
    if job.state != StateName::Delivered {
        because.extend(fallback(job, attempts));
        because.extend(joined(job));
    }
    if let Some(reason) = job.outcome.and_then(Outcome::fallback_reason) {
        you_can.push(Suggestion::act(reason.advice()));
    }
    if let Some(later) = job.joined_into {
        you_can.push(Suggestion::run("see the job that answers it", &format!("jobs explain {later}")));
    }
    Parts { because, next: None, you_can }
}

fn delivered(job: &JobSummary, attempts: &[Attempt], finished_at: Timestamp) -> Vec<Because> {
    let took = finished_at.since(job.received_at);
    let first = joined(job).or_else(|| fallback(job, attempts)).unwrap_or_else(|| {
        let text = format!("the bot got its handler's answer {} after the request", span(took));
        Because::new(Code::Answered, text, "")
    });
    let mut because = vec![first.until(finished_at)];
    if took > LATE {
        let error = job.last_error.as_deref().map(|error| format!("; the last error before: {error}"));
        let text = format!(
            "the continue came {} after the request: {}{}",
            span(took),
            life::parts(job, attempts, finished_at),
            error.unwrap_or_default()
        );
        because.push(Because::new(Code::Late, text, "find out which part took long"));
    }
    because
}

fn joined(job: &JobSummary) -> Option<Because> {
    let later = job.joined_into?;
    let text = format!(
        "job {later}, a later message of the same conversation, answers it too (handlers.NAME.coalesce); its own bot got \
         the status `superseded`"
    );
    Some(Because::new(Code::Joined, text, ""))
}

fn fallback(job: &JobSummary, attempts: &[Attempt]) -> Option<Because> {
    if job.joined_into.is_some() {
        return None;
    }
    let reason = job.outcome.and_then(Outcome::fallback_reason)?;
    // The last error may be one of the delivery.
    let stage = if reason == FallbackReason::Refused { Stage::Delivery } else { Stage::Handler };
    let of_stage = attempts.iter().rev().filter(|attempt| attempt.stage == stage);
    let error = of_stage.filter_map(|attempt| attempt.error.as_deref()).next().or(job.last_error.as_deref());
    let error = error.map(|error| format!(" ({error})")).unwrap_or_default();
    let got = if job.state == StateName::Delivered { "got" } else { "should have got" };
    let text = format!("the bot {got} the fallback, because {}{error}", reason.what());
    Some(Because::new(Code::Fallback, text, reason.advice()))
}

fn last_delivery(attempts: &[Attempt]) -> Option<&Attempt> {
    attempts.iter().rev().find(|attempt| attempt.stage == Stage::Delivery)
}

fn gone(
    job: &JobSummary,
    attempts: &[Attempt],
    context: &ExplainContext<'_>,
) -> (Vec<Because>, Vec<Suggestion>) {
    let id = job.id;
    let is_refused = last_delivery(attempts).is_some_and(|last| last.result == AttemptResult::Gone);
    if is_refused || context.superseded_by.is_none() {
        let error = job.last_error.as_deref().unwrap_or("404");
        let text =
            format!("no bot waited for the continue any longer ({error}): it went on, ended, or was stopped");
        let retry = Suggestion::run("send it again, if the bot waits after all", &format!("jobs retry {id}"));
        return (vec![Because::new(Code::NoBot, text, "")], vec![retry]);
    }
    let newer = context.superseded_by.map(|newer| newer.to_string()).unwrap_or_default();
    let text = format!(
        "job {newer} came later with the same return_url, and this answer would have gone to its question"
    );
    let suggestions = vec![
        Suggestion::run("see the newer job", &format!("jobs explain {newer}")),
        Suggestion::run("send this answer anyway", &format!("jobs retry {id} --force")),
    ];
    (vec![Because::new(Code::Superseded, text, "")], suggestions)
}

fn dead(
    job: &JobSummary,
    attempts: &[Attempt],
    context: &ExplainContext<'_>,
) -> (Vec<Because>, Vec<Suggestion>) {
    let error = job.last_error.as_deref().unwrap_or("no error");
    let last = last_delivery(attempts).map(|last| last.result);
    let (code, text, fix) = match last {
        Some(AttemptResult::Fail) => (
            Code::Refused,
            format!("Kommo refused its completion: {error}"),
            "fix the completion that the handler returns, or handlers.NAME.fallback",
        ),
        Some(_) => (
            Code::GaveUp,
            format!("its deliveries failed until delivery.give_up_after had passed: {error}"),
            "fix the cause of the error",
        ),
        None => (Code::NeverConnected, error.to_owned(), "connect the account"),
    };
    let mut because = vec![Because::new(code, text, fix)];
    let id = job.id;
    let mut suggestions = vec![Suggestion::act(fix)];
    if let Some(newer) = context.superseded_by {
        let text = format!("job {newer} came later with the same return_url, so a retry needs --force");
        because.push(Because::new(Code::Superseded, text, ""));
        suggestions.push(Suggestion::run("see the newer job", &format!("jobs explain {newer}")));
        suggestions.push(Suggestion::run("send this answer anyway", &format!("jobs retry {id} --force")));
    } else {
        suggestions.push(Suggestion::run("send it again", &format!("jobs retry {id}")));
    }
    (because, suggestions)
}

fn cancelled(job: &JobSummary) -> Because {
    let error = job.last_error.as_deref().map(|error| format!(" (last error: {error})")).unwrap_or_default();
    let text = format!("an operator cancelled it, or its account disconnected the integration{error}");
    Because::new(Code::Cancelled, text, "")
}
