//! The balance of a generation: what was acknowledged against what was continued, and the reason of every second
//! continue.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use simulator::{BotReport, Call};

use super::REQUEST_TIMEOUT;
use super::life::{Lived, Rig, UNFINISHED};
use super::load::AskedBot;
use super::plan::BotPlan;
use super::report::{Doubles, Report};
use super::service::Heard;
use super::store_files::path_of;

/// For this long after a request, the bridge takes a 404 to mean that the bot is not waiting yet.
const EARLY: Duration = Duration::from_secs(3);
/// The shortest delay before the bridge then sends the continue again.
const EARLY_RETRY_DELAY: Duration = Duration::from_millis(500);

/// Counts everything, and lists violations in `wrong`.
pub fn report(seed: u64, rig: &Rig<'_>, lived: &[Lived], last: &Lived) -> Report {
    let mut report = Report { seed, ..Report::default() };
    for life in lived {
        report.kill(life);
    }
    report.wrong(&last.snapshot.wrong);
    report.slower(last);

    let mut jobs = BTreeMap::<&str, Vec<&str>>::new();
    for (id, path) in &last.snapshot.jobs {
        jobs.entry(path).or_default().push(id);
    }
    let mut calls = BTreeMap::<i64, Vec<Call>>::new();
    for call in rig.simulator.calls() {
        if let Some(bot) = call.bot {
            calls.entry(bot).or_default().push(call);
        }
    }
    report.jobs = last.snapshot.jobs.len();
    let heard = rig.service.heard();
    report.callbacks = heard.callbacks;
    report.wrong(&heard.wrong);
    report.unfinished =
        UNFINISHED.iter().map(|state| last.snapshot.states.get(*state).copied().unwrap_or(0)).sum();
    for (number, asked) in rig.asked.iter().enumerate() {
        let path = path_of(&asked.bot.return_url()).to_owned();
        let stored = jobs.get(&*path).map(Vec::as_slice).unwrap_or_default();
        let in_flight = lived.iter().filter(|life| life.snapshot.in_flight.contains(&path)).count();
        let calls = calls.get(&asked.bot.id()).map(Vec::as_slice).unwrap_or_default();
        count_bot(&mut report, number, asked, stored, calls, in_flight);
        let wrong = against_callbacks(&heard, number, asked);
        report.wrong.extend(wrong.map(|what| format!("bot {number}: {what}")));
    }
    report
}

fn count_bot(
    report: &mut Report,
    number: usize,
    asked: &AskedBot,
    stored: &[&str],
    calls: &[Call],
    in_flight: usize,
) {
    let bot_report = asked.bot.report();
    report.refused += asked.refused;
    report.unanswered += asked.unanswered;
    report.repeated += asked.jobs.len().saturating_sub(1);
    let mut wrong = |what: String| report.wrong.push(format!("bot {number}: {what}"));
    for heard in &asked.wrong {
        wrong(format!("got the answer {heard}"));
    }
    if stored.len() > 1 {
        wrong(format!("one request became {} jobs", stored.len()));
    }
    for job in &asked.jobs {
        let id = job.replace('-', "");
        if !stored.contains(&&*id) {
            wrong(format!("got the id of job {job}, which does not exist"));
        }
    }
    match continued_with(asked) {
        Some(data) if is_fallback(&data) => report.fallbacks += 1,
        Some(data) if without_success(data.clone()) == asked.plan.data(number) => {}
        Some(data) => wrong(format!("was continued with {data}, but sent {}", asked.plan.data(number))),
        None => {}
    }
    if bot_report.continued > bot_report.waits {
        wrong(format!("was continued {} times", bot_report.continued));
    }
    if bot_report.continued > 0 && stored.is_empty() {
        wrong("was continued, but has no job".to_owned());
    }
    match (asked.is_acknowledged(), bot_report.is_done()) {
        (true, true) => report.continued += 1,
        (true, false) => {
            report.lost += 1;
            wrong(format!("LOST: was acknowledged but never continued: {bot_report:?}"));
        }
        (false, true) => report.continued_unheard += 1,
        (false, false) if !stored.is_empty() => wrong("has a job, but was never continued".to_owned()),
        (false, false) => report.never_stored += 1,
    }
    report.acknowledged += usize::from(asked.is_acknowledged());
    let doubles = doubles(&asked.plan, &bot_report, calls, in_flight);
    if doubles.unexplained > 0 {
        report.wrong.push(format!("bot {number}: unexplained second continues: {calls:?}"));
    }
    report.doubles.add(&doubles);
}

fn continued_with(asked: &AskedBot) -> Option<Value> {
    asked.bot.continues().pop().map(|with| with.data)
}

fn is_fallback(data: &Value) -> bool {
    *data == json!({ "status": "fail" })
}

/// The data without the status that [`salesbot_bridge::prelude::Completion::success`] adds.
fn without_success(mut data: Value) -> Value {
    if data["status"] == "success"
        && let Some(object) = data.as_object_mut()
    {
        object.remove("status");
    }
    data
}

/// What is wrong about the answers that the service got to its callbacks for this bot. A 200 means that the completion is
/// stored, so it is what the bot gets. A 410 means that the bot gets, or has got, the fallback.
fn against_callbacks(heard: &Heard, number: usize, asked: &AskedBot) -> Option<String> {
    let data = continued_with(asked)?;
    if heard.completed.contains(&number) && is_fallback(&data) {
        return Some(
            "got the fallback, although the bridge answered 200 to the callback with its data".to_owned(),
        );
    }
    (heard.too_late.contains(&number) && !is_fallback(&data))
        .then(|| format!("got {data}, although the bridge answered 410 to its callback"))
}

/// Counts the continues after the one that the bot accepted, by reason. The bot no longer waits, so each got a 404.
///
/// A second continue is explained if a kill found the job's continue in flight, or if the response was lost or too late:
/// then the bridge cannot know the result, and at-least-once delivery means sending it again. Within 3 s of the request,
/// the bridge also sends it again after a 404, because the bot may not be waiting yet.
pub fn doubles(plan: &BotPlan, bot_report: &BotReport, calls: &[Call], in_flight: usize) -> Doubles {
    let mut left = calls.iter().filter(|call| call.status == Some(404)).count();
    let mut take = |most: usize| {
        let some = left.min(most);
        left -= some;
        some
    };
    let lost = usize::from(plan.faults.contains(&simulator::Fault::AnswerLost));
    let answer_lost = take(if bot_report.is_done() { lost } else { 0 });
    let crash = take(in_flight);
    let late = calls.windows(2).filter(|pair| pair[1].at - pair[0].at >= REQUEST_TIMEOUT).count();
    let late = take(late);
    let is_early = |pair: &[Call]| {
        pair[0].status == Some(404)
            && pair[0].at - calls[0].at < EARLY
            && pair[1].at - pair[0].at >= EARLY_RETRY_DELAY
    };
    let early = take(calls.windows(2).filter(|pair| is_early(pair)).count());
    Doubles { crash, answer_lost, late, early, unexplained: take(usize::MAX) }
}
