//! The answer to the question of the page: what about the bot? A pure function of the job and of why it is in its state.

use std::time::Duration;

use maud::{Markup, html};

use model::{Attempt, AttemptResult, ExplainCode, JobSummary, Outcome, Stage, StateName, Timestamp};

use super::super::parts::icon::Icon;
use super::super::parts::mark::{Tone, look, pill};
use super::super::parts::panel::Answer;
use super::super::parts::{amount, moment};
use super::text::{about, the_bot};

/// A continue that comes later than this after the request is late, as `is:late` says.
const LATE: Duration = Duration::from_secs(20);

/// What the answer depends on.
pub(super) struct Facts<'a> {
    pub(super) job: &'a JobSummary,
    pub(super) attempts: &'a [Attempt],
    /// The first reason of the explanation, if the job could be explained.
    pub(super) first: Option<ExplainCode>,
    /// When the bot gets the fallback, if that is known.
    pub(super) answer_by: Option<Timestamp>,
    pub(super) now: Timestamp,
}

/// The answer.
pub(super) fn answer(facts: &Facts<'_>) -> Answer {
    let (tone, sign) = tone(facts);
    let mut answer = Answer::new(tone, sign, sentence(facts), why(facts));
    answer.pill = Some(pill(facts.job.state));
    answer
}

fn is_late(job: &JobSummary) -> bool {
    job.finished_at.is_some_and(|end| end.since(job.received_at) > LATE)
}

/// The colour and the icon. A bot that got less than it should have, or later, is a warning.
fn tone(facts: &Facts<'_>) -> (Tone, Icon) {
    let Facts { job, first, now, answer_by, .. } = facts;
    let (tone, sign) = look(job.state);
    let is_overdue = answer_by.is_some_and(|by| by < *now);
    match job.state {
        StateName::Delivered if is_fallback(job) => (Tone::Warn, Icon::Fallback),
        StateName::Delivered if is_late(job) => (Tone::Warn, sign),
        state if !state.is_finished() => match first {
            Some(
                ExplainCode::Account(_)
                | ExplainCode::AllAccounts
                | ExplainCode::HandlerRetry
                | ExplainCode::HandlerUnreachable
                | ExplainCode::MaxAwaiting
                | ExplainCode::NoHandler
                | ExplainCode::DeliveryRetry,
            ) => (Tone::Warn, sign),
            _ if is_overdue => (Tone::Warn, sign),
            _ => (tone, sign),
        },
        _ => (tone, sign),
    }
}

fn is_fallback(job: &JobSummary) -> bool {
    job.joined_into.is_none() && job.outcome.and_then(Outcome::fallback_reason).is_some()
}

/// The sentence.
fn sentence(facts: &Facts<'_>) -> String {
    let Facts { job, first, .. } = facts;
    let bot = the_bot(job);
    let for_bot = about(job);
    let answer = if is_fallback(job) { "fallback" } else { "answer" };
    match job.state {
        StateName::Queued => match first {
            Some(ExplainCode::Conversation) => {
                format!("{bot} waits for an earlier message of its conversation")
            }
            Some(ExplainCode::Messages) => format!("{bot} waits for further messages of its conversation"),
            Some(ExplainCode::HandlerRetry) => {
                format!("{bot} waits: its handler failed, and is tried again")
            }
            Some(ExplainCode::HandlerUnreachable) => format!("{bot} waits: its handler cannot be reached"),
            Some(ExplainCode::NoHandler) => format!("{bot} waits: its handler does not exist"),
            _ => format!("{bot} waits for a worker"),
        },
        StateName::Running => format!("{bot} waits for its handler"),
        StateName::AwaitingCallback => format!("{bot} waits for a callback of its handler"),
        StateName::Delivering => match first {
            Some(ExplainCode::Account(_) | ExplainCode::AllAccounts) => {
                format!("The {answer} for {for_bot} waits for its account")
            }
            Some(ExplainCode::DeliveryRetry) => format!("The {answer} for {for_bot} is not accepted yet"),
            Some(ExplainCode::Response) => format!("The {answer} for {for_bot} is on its way"),
            _ => format!("The {answer} for {for_bot} waits for its turn"),
        },
        StateName::Delivered if job.joined_into.is_some() => {
            format!("{bot} was answered with a later message")
        }
        StateName::Delivered => {
            let got = if is_fallback(job) { "the fallback" } else { "its answer" };
            format!("{bot} got {got}{}", if is_late(job) { " late" } else { "" })
        }
        StateName::Gone if *first == Some(ExplainCode::Superseded) => format!("{bot} has asked again"),
        StateName::Gone => format!("{bot} no longer waited"),
        StateName::Dead => format!("{bot} got no answer"),
        StateName::Cancelled => format!("{bot} was not answered: the job is cancelled"),
    }
}

/// What happened so far: the handler, then the delivery.
fn why(facts: &Facts<'_>) -> Markup {
    let Facts { job, answer_by, now, .. } = facts;
    let waited = amount::age(now.since(job.received_at));
    html! {
        @if let Some(handler) = by_handler(facts) { (handler) " " }
        @match job.state {
            StateName::Queued | StateName::Running | StateName::AwaitingCallback => {
                "It has waited for " (waited) ". "
                @match answer_by {
                    Some(by) if by > now => {
                        "Without an answer, it gets the fallback at " (moment::moment(*by, *now)) ", in "
                        (moment::countdown(*by, *now)) "."
                    }
                    Some(_) => "Its time to answer is over, and it gets the fallback.",
                    None => "",
                }
            }
            StateName::Delivering => {
                @if is_blocked(facts) && job.delivery_attempts == 0 { "While its account is paused, no delivery counts as an attempt." }
                @else { (deliveries(job, "Kommo has not accepted it yet")) }
                " The bot has waited for " (waited) "."
            }
            StateName::Delivered => @if let Some(end) = job.finished_at {
                "Kommo accepted the continue " (amount::duration(end.since(job.received_at))) " after the request, at "
                (moment::moment(end, *now)) "."
            },
            StateName::Gone => @if let Some(end) = job.finished_at {
                (deliveries(job, "No bot waited for the continue")) " The job ended at " (moment::moment(end, *now)) "."
            },
            StateName::Dead => @if let Some(end) = job.finished_at {
                (deliveries(job, "Kommo did not accept the answer")) " The bridge gave up at "
                (moment::moment(end, *now)) "."
            },
            StateName::Cancelled => @if let Some(end) = job.finished_at {
                "The job was cancelled " (amount::duration(end.since(job.received_at))) " after the request, at "
                (moment::moment(end, *now)) "."
            },
        }
    }
}

/// Whether the job waits for its account.
const fn is_blocked(facts: &Facts<'_>) -> bool {
    matches!(facts.first, Some(ExplainCode::Account(_) | ExplainCode::AllAccounts))
}

/// What became of the deliveries.
fn deliveries(job: &JobSummary, what: &str) -> String {
    match job.delivery_attempts {
        0 => "No delivery was attempted.".to_owned(),
        1 => format!("{what}."),
        more => format!("{what}: {} attempts.", amount::number(more.into())),
    }
}

/// What the handler did; `None` if it has not answered, and the job has no completion.
fn by_handler(facts: &Facts<'_>) -> Option<String> {
    let Facts { job, attempts, answer_by, .. } = facts;
    if let Some(reason) = job.outcome.and_then(Outcome::fallback_reason).filter(|_| is_fallback(job)) {
        let gets = match job.state {
            StateName::Delivered => "got",
            StateName::Dead | StateName::Gone | StateName::Cancelled => "should have got",
            _ => "gets",
        };
        return Some(format!("The bot {gets} the fallback, because {}.", reason.what()));
    }
    job.outcome.filter(|_| job.joined_into.is_none())?;
    let last = attempts.iter().rev().find(|attempt| attempt.stage == Stage::Handler)?;
    if last.result != AttemptResult::Ok {
        return None;
    }
    let end = last.started_at + last.duration;
    let after = amount::duration(end.since(job.received_at));
    let in_time = if answer_by.is_some_and(|by| end <= by) { ", in time" } else { "" };
    Some(format!("The handler answered after {after}{in_time}."))
}

#[cfg(test)]
mod tests {
    use model::{AccountId, Entity, EntityKind, FallbackReason, JobId, WaitCause};

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_795_780_061_118);

    fn job(state: StateName) -> JobSummary {
        JobSummary {
            id: JobId::new(START, 7),
            state,
            handler: "greet".parse().unwrap(),
            account_id: AccountId(7),
            entity: Some(Entity { kind: EntityKind::Lead, id: 51_830_262 }),
            return_url: "https://a.kommo.com/api/v4/salesbot/8123/continue/550917".parse().unwrap(),
            outcome: None,
            received_at: START,
            due_at: None,
            finished_at: state.is_finished().then_some(START + Duration::from_secs(2)),
            handler_attempts: 0,
            delivery_attempts: 0,
            last_error: None,
            error_group: None,
            joined_into: None,
            bodies_dropped: false,
        }
    }

    fn answered(job: &JobSummary, first: Option<ExplainCode>) -> (Tone, String) {
        let now = START + Duration::from_secs(3);
        let answer_by = Some(START + Duration::from_secs(50));
        let answer = answer(&Facts { job, attempts: &[], first, answer_by, now });
        (answer.tone, answer.sentence)
    }

    #[test]
    fn every_state_has_its_sentence() {
        use ExplainCode as Code;
        let fallback = Some(Outcome::Fallback(FallbackReason::Failed));
        let handler = Some(Outcome::Handler);
        let lead = "The bot of lead 51830262";
        for (state, outcome, first, tone, expected) in [
            (StateName::Queued, None, Some(Code::Worker), Tone::Plain, "{} waits for a worker"),
            (StateName::Queued, None, None, Tone::Plain, "{} waits for a worker"),
            (
                StateName::Queued,
                None,
                Some(Code::Conversation),
                Tone::Plain,
                "{} waits for an earlier message of its conversation",
            ),
            (
                StateName::Queued,
                None,
                Some(Code::Messages),
                Tone::Plain,
                "{} waits for further messages of its conversation",
            ),
            (
                StateName::Queued,
                None,
                Some(Code::HandlerRetry),
                Tone::Warn,
                "{} waits: its handler failed, and is tried again",
            ),
            (
                StateName::Queued,
                None,
                Some(Code::HandlerUnreachable),
                Tone::Warn,
                "{} waits: its handler cannot be reached",
            ),
            (
                StateName::Queued,
                None,
                Some(Code::NoHandler),
                Tone::Warn,
                "{} waits: its handler does not exist",
            ),
            (StateName::Running, None, Some(Code::Handler), Tone::Active, "{} waits for its handler"),
            (
                StateName::AwaitingCallback,
                None,
                Some(Code::Callback),
                Tone::Active,
                "{} waits for a callback of its handler",
            ),
            (
                StateName::Delivering,
                handler,
                Some(Code::Account(WaitCause::TooMany)),
                Tone::Warn,
                "The answer for lead 51830262 waits for its account",
            ),
            (
                StateName::Delivering,
                fallback,
                Some(Code::DeliveryRetry),
                Tone::Warn,
                "The fallback for lead 51830262 is not accepted yet",
            ),
            (
                StateName::Delivering,
                handler,
                Some(Code::Response),
                Tone::Active,
                "The answer for lead 51830262 is on its way",
            ),
            (
                StateName::Delivering,
                handler,
                Some(Code::Turn),
                Tone::Active,
                "The answer for lead 51830262 waits for its turn",
            ),
            (StateName::Delivered, handler, Some(Code::Answered), Tone::Ok, "{} got its answer"),
            (StateName::Delivered, fallback, Some(Code::Fallback), Tone::Warn, "{} got the fallback"),
            (StateName::Gone, handler, Some(Code::NoBot), Tone::Warn, "{} no longer waited"),
            (StateName::Gone, handler, Some(Code::Superseded), Tone::Warn, "{} has asked again"),
            (StateName::Dead, handler, Some(Code::GaveUp), Tone::Bad, "{} got no answer"),
            (StateName::Dead, fallback, None, Tone::Bad, "{} got no answer"),
            (
                StateName::Cancelled,
                None,
                Some(Code::Cancelled),
                Tone::Plain,
                "{} was not answered: the job is cancelled",
            ),
        ] {
            let job = JobSummary { outcome, ..job(state) };
            assert_eq!(answered(&job, first), (tone, expected.replace("{}", lead)), "{state} {first:?}");
        }
    }

    #[test]
    fn a_late_a_joined_and_an_unnamed_bot_are_said_to_be_so() {
        let delivered = JobSummary { outcome: Some(Outcome::Handler), ..job(StateName::Delivered) };
        let late = JobSummary { finished_at: Some(START + Duration::from_secs(21)), ..delivered.clone() };
        assert_eq!(
            answered(&late, None),
            (Tone::Warn, "The bot of lead 51830262 got its answer late".into())
        );
        let joined = JobSummary { joined_into: Some(delivered.id), ..delivered.clone() };
        assert_eq!(
            answered(&joined, None),
            (Tone::Ok, "The bot of lead 51830262 was answered with a later message".into())
        );
        let unnamed = JobSummary { entity: None, ..delivered };
        assert_eq!(answered(&unnamed, None), (Tone::Ok, "Bot 8123 got its answer".into()));
    }
}
