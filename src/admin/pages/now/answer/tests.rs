//! What the page answers, as a table.

use std::time::Duration;

use super::super::facts::WaitingJob;
use super::super::testing::{facts, job, trouble};
use super::*;
use crate::history::MergedPeriod;
use model::StateName::{AwaitingCallback, Delivered, Delivering, Queued, Running};

/// The text of markup.
fn plain(markup: &Markup) -> String {
    let html = markup.clone().into_string();
    let mut text = String::new();
    for part in html.split('<') {
        text.push_str(part.split_once('>').map_or(part, |(_, text)| text));
    }
    text.replace('\u{a0}', " ").trim().to_owned()
}

/// A bridge with this number of jobs in each state, whose oldest jobs have waited for `ages` in milliseconds.
fn busy(counts: &[(StateName, u64)], ages: &[u64]) -> Facts {
    let mut facts = facts();
    facts.counts.as_mut().unwrap().0.extend(counts.iter().copied());
    let jobs: Vec<WaitingJob> = ages.iter().map(|ms| job(&facts, *ms, Running)).collect();
    facts.waiting.as_mut().unwrap().jobs = jobs;
    facts
}

fn with_troubles(mut facts: Facts, troubles: &[(&str, u64)]) -> Facts {
    facts.accounts.as_mut().unwrap().troubles =
        troubles.iter().map(|(host, waiting)| trouble(host, *waiting)).collect();
    facts
}

fn blocked(mut facts: Facts) -> Facts {
    let until = Some(facts.now + Duration::from_secs(38));
    facts.everybody = Some(EverybodyWaits { why: "Kommo answered 403 without JSON".into(), until });
    facts
}

fn first_run(change: impl FnOnce(&mut Setup)) -> Facts {
    let mut facts = facts();
    facts.numbers.ever = 0;
    change(&mut facts.setup);
    facts
}

/// `died` jobs died within 24 hours, and `dead` are dead now.
fn dead(mut facts: Facts, died: u32, dead: u64) -> Facts {
    facts.numbers.day = MergedPeriod::with_dead(died);
    facts.counts.as_mut().unwrap().0.insert(StateName::Dead, dead);
    facts
}

fn unreached(mut facts: Facts) -> Facts {
    facts.setup.unreachable = vec![("greet".parse().unwrap(), facts.now + Duration::from_secs(5))];
    facts
}

/// A bridge with these numbers in the last five minutes.
fn lately(requests: u32, by_handler: u32, by_fallback: u32) -> Facts {
    let mut facts = facts();
    facts.numbers.five_minutes = MergedPeriod::of(requests, by_handler, by_fallback);
    facts
}

const WITH_HANDLERS: &str = "3 are with their handlers.";

#[test]
fn the_answer_says_whether_bots_wait_and_why() {
    let phase = |facts, phase| Facts { phase, ..facts };
    let table = [
        (
            "calm",
            facts(),
            Tone::Ok,
            "All bots are answered",
            "In the last hour, 200 bots were answered, 98.5 % by their handlers.".to_owned(),
        ),
        (
            "calm, an account paused",
            with_troubles(facts(), &[("a", 0)]),
            Tone::Ok,
            "All bots are answered",
            "In the last hour, 200 bots were answered, 98.5 % by their handlers. 1 account is in trouble.".into(),
        ),
        (
            "jobs are dead",
            dead(facts(), 3, 2),
            Tone::Bad,
            "2 bots got no answer in 24 hours",
            "2 jobs are dead: Kommo did not accept the answer. Each job says why, and can be retried. In the last hour, 200 \
             bots were answered, 98.5 % by their handlers."
                .into(),
        ),
        (
            "jobs died long ago",
            dead(facts(), 0, 2),
            Tone::Ok,
            "All bots are answered",
            "In the last hour, 200 bots were answered, 98.5 % by their handlers.".into(),
        ),
        (
            "bots wait, and a job is dead",
            dead(busy(&[(Queued, 1)], &[900]), 1, 1),
            Tone::Active,
            "1 bot has waited for 0.9 s",
            "1 is queued. No bot has passed answer_within. 1 job is dead: Kommo did not accept the answer. Each job says why, \
             and can be retried."
                .into(),
        ),
        (
            "a handler cannot be reached",
            unreached(facts()),
            Tone::Warn,
            "All bots are answered, but a handler cannot be reached",
            "greet cannot be reached, tested again in 5 s.".into(),
        ),
        (
            "bots wait for a handler that cannot be reached",
            unreached(busy(&[(Queued, 3)], &[2_000, 1_000, 900])),
            Tone::Warn,
            "3 bots are waiting, oldest 2 s",
            "greet cannot be reached, tested again in 5 s. 3 are queued. No bot has passed answer_within.".into(),
        ),
        (
            "a handler fails",
            lately(4, 1, 3),
            Tone::Warn,
            "All bots are answered, but most got the fallback lately",
            "3 of 4 bots got the fallback in the last 5 minutes. Their jobs and the errors say why.".into(),
        ),
        (
            "a handler fails sometimes",
            lately(4, 2, 2),
            Tone::Ok,
            "All bots are answered",
            "In the last hour, 200 bots were answered, 98.5 % by their handlers.".into(),
        ),
        (
            "some wait",
            busy(&[(Running, 2), (AwaitingCallback, 1), (Delivered, 9)], &[3_100, 900, 10]),
            Tone::Active,
            "3 bots are waiting, oldest 3.1 s",
            format!("{WITH_HANDLERS} No bot has passed answer_within."),
        ),
        (
            "one waits",
            busy(&[(Queued, 1)], &[900]),
            Tone::Active,
            "1 bot has waited for 0.9 s",
            "1 is queued. No bot has passed answer_within.".into(),
        ),
        (
            "an account is paused",
            with_troubles(busy(&[(Running, 3), (Delivering, 13)], &[31_000]), &[("northwind", 12), ("b", 0)]),
            Tone::Warn,
            "16 bots are waiting, oldest 31 s",
            format!(
                "12 wait for northwind, which is paused: Kommo answered 429, next try in 42 s. {WITH_HANDLERS} 1 is being \
                 delivered. No bot has passed answer_within."
            ),
        ),
        (
            "many accounts are paused",
            with_troubles(busy(&[(Delivering, 9)], &[]), &[("a", 4), ("b", 2), ("c", 2), ("d", 1)]),
            Tone::Warn,
            "9 bots are waiting",
            "4 wait for a, which is paused: Kommo answered 429, next try in 42 s. 2 wait for b, which is paused: Kommo \
             answered 429, next try in 42 s. 3 wait for 2 more accounts."
                .into(),
        ),
        (
            "late",
            busy(&[(Running, 3)], &[61_000, 50_000, 100]),
            Tone::Warn,
            "3 bots are waiting, oldest 1 min 1 s",
            format!("{WITH_HANDLERS} 2 bots have passed answer_within."),
        ),
        (
            "everyone blocked",
            blocked(with_troubles(busy(&[(Delivering, 63)], &[252_000]), &[("a", 60)])),
            Tone::Bad,
            "63 bots are waiting, oldest 4 min 12 s",
            "All accounts are paused: Kommo answered 403 without JSON; the next try is in 38 s. At least 1 bot has passed \
             answer_within."
                .into(),
        ),
        (
            "everyone blocked, no bot waits",
            blocked(facts()),
            Tone::Warn,
            "All bots are answered, but all accounts are paused",
            "All accounts are paused: Kommo answered 403 without JSON; the next try is in 38 s.".into(),
        ),
        (
            "draining",
            phase(busy(&[(Running, 3)], &[2_000, 1_000, 900]), Phase::Draining),
            Tone::Warn,
            "The bridge is stopping, 3 bots are waiting, oldest 2 s",
            format!(
                "It refuses new requests, and finishes what it can. {WITH_HANDLERS} No bot has passed answer_within."
            ),
        ),
        (
            "draining, no bot waits",
            phase(facts(), Phase::Draining),
            Tone::Warn,
            "The bridge is stopping",
            "It refuses new requests. No bot is waiting.".into(),
        ),
        (
            "starting",
            phase(first_run(|_| {}), Phase::Starting),
            Tone::Plain,
            "The bridge is starting",
            "No bot is waiting. The bridge accepts requests in a moment.".into(),
        ),
        (
            "no request yet",
            first_run(|_| {}),
            Tone::Plain,
            "No request yet",
            "The bridge is ready. Set the URL of the bot's widget block to \
             https://bots.example.com/widget_request/greet and save the bot."
                .into(),
        ),
        (
            "no request and no address yet",
            first_run(|setup| setup.public_url = None),
            Tone::Plain,
            "No request yet",
            "The bridge is ready. Set the URL of the bot's widget block to \
             https://THE-ADDRESS-OF-THIS-BRIDGE/widget_request/greet and save the bot. Set server.public_url to see the \
             address here."
                .into(),
        ),
        (
            "no handler yet",
            first_run(|setup| setup.handlers.clear()),
            Tone::Plain,
            "No request yet",
            "The bridge is ready. It has no handler: add a section [handlers.NAME] to the configuration and restart."
                .into(),
        ),
        (
            "a bot calls the wrong path",
            first_run(|setup| setup.misdirected = vec![Misdirected { path: "/gret".into(), calls: 2 }]),
            Tone::Plain,
            "No request yet",
            "The bridge is ready. Set the URL of the bot's widget block to \
             https://bots.example.com/widget_request/greet and save the bot. 2 calls came to /gret, which is not a path \
             of a handler."
                .into(),
        ),
        (
            "the disk is full",
            Facts {
                refuses_because: vec!["the disk that holds the store is full: free some space".into()],
                ..busy(&[(Running, 3)], &[2_000])
            },
            Tone::Bad,
            "The bridge refuses requests",
            "The disk that holds the store is full: free some space. The bridge acknowledges only what it can store, so \
             Kommo gets 503, and the bots of these requests have no job. 3 bots are waiting, oldest 2 s."
                .into(),
        ),
        (
            "store down",
            Facts { counts: Err("The store reported: the disk is full.".into()), ..facts() },
            Tone::Bad,
            "The store cannot be read, so it is unknown whether bots wait",
            "The store reported: the disk is full. The readiness check says whether the bridge accepts requests. The rest \
             of this page shows what is known without the store."
                .into(),
        ),
    ];
    for (name, facts, tone, sentence, why) in table {
        let answer = answer(&facts);
        let said =
            (answer.tone, answer.sentence.replace('\u{a0}', " "), plain(&answer.why).replace("&quot;", "\""));
        assert_eq!(said, (tone, sentence.to_owned(), why), "{name}");
    }
}

#[test]
fn an_answer_of_which_only_a_part_is_known_says_so() {
    let mut facts = busy(&[(Running, 1_000_000)], &[252_000]);
    facts.waiting.as_mut().unwrap().is_exact = false;
    assert_eq!(
        answer(&facts).sentence.replace('\u{a0}', " "),
        "1,000,000 bots are waiting, oldest at least 4 min 12 s"
    );
    let mut facts = with_troubles(busy(&[(Delivering, 500_000)], &[]), &[("a", 1), ("b", 1), ("c", 1)]);
    facts.accounts.as_mut().unwrap().troubles.iter_mut().for_each(|trouble| trouble.waiting = None);
    assert_eq!(
        plain(&answer(&facts).why),
        "Deliveries wait for a, which is paused: Kommo answered 429, next try in 42 s. Deliveries wait for b, which is \
         paused: Kommo answered 429, next try in 42 s. Others wait for 1 more account. 500,000 are being delivered or wait \
         for their accounts."
    );
    let mut facts = busy(&[(Running, 2)], &[]);
    facts.waiting = Err("timeout".into());
    assert_eq!(answer(&facts).sentence, "2 bots are waiting");
    assert_eq!(plain(&answer(&facts).why), "2 are with their handlers.");
}

#[test]
fn late_bots_are_counted_as_far_as_they_are_known() {
    for (ages, is_exact, unfinished, expected) in [
        (&[1_000, 500][..], true, 2, Late::Exactly(0)),
        (&[60_000, 500][..], true, 2, Late::Exactly(1)),
        (&[60_000, 55_000][..], true, 900, Late::AtLeast(2)),
        (&[49_000, 500][..], true, 900, Late::Exactly(0)),
        (&[49_000, 500][..], false, 900, Late::Unknown),
        (&[][..], true, 3, Late::Unknown),
    ] {
        let facts = busy(&[], ages);
        let waiting = Waiting { is_exact, ..facts.waiting.clone().unwrap() };
        assert_eq!(late(&waiting, unfinished, &facts.setup, facts.now), expected, "{ages:?} {unfinished}");
    }
}

#[test]
fn texts_of_kommo_and_of_callers_are_escaped() {
    let mut facts = with_troubles(busy(&[(Delivering, 1)], &[1_000]), &[("<script>a", 1)]);
    let why = answer(&facts).why.into_string();
    assert!(!why.contains("<script>") && why.contains("&lt;script&gt;a"), "{why}");
    facts = first_run(|setup| setup.misdirected = vec![Misdirected { path: "/<script>".into(), calls: 1 }]);
    assert!(!answer(&facts).why.into_string().contains("<script>"));
}
