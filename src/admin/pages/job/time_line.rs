//! The time line of a job: its attempts on the scale of time since receipt, with the limits.

use std::time::Duration;

use maud::{Markup, html};

use model::{Attempt, AttemptResult, JobSummary, Outcome, Stage, StateName, Timestamp};

use super::super::parts::mark::Tone;
use super::super::parts::panel::panel;
use super::super::parts::{amount, moment, scale};
use super::attempts::look;
use super::read::Seen;

/// When Kommo's bot no longer waits for the answer to its request.
const ACKNOWLEDGE: Duration = Duration::from_secs(2);
/// The width of the shortest bar, in percent: about a pixel.
const MIN_WIDTH: f64 = 0.14;
/// Bars that are closer than this are drawn as one, so that any number of attempts takes bounded space.
const MIN_GAP: f64 = 0.12;
/// Labels of limits that are closer than this, in percent, are below one another.
const LABEL_WIDTH: f64 = 30.0;
/// The height of a label of a limit.
const LABEL_HEIGHT: u32 = 26;
/// The height of a bar, and the top of the first one and the distance to the next one.
const BAR: u32 = 12;
const TOP: u32 = 56;
const STEP: usize = 48;

/// A bar, in percent of the width.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bar {
    tone: Tone,
    from: f64,
    to: f64,
}

/// The attempts of one stage.
#[derive(Clone, Debug, PartialEq)]
struct Lane {
    label: String,
    /// The time allowed, in percent of the width.
    allowed: (f64, f64),
    bars: Vec<Bar>,
}

/// A limit.
#[derive(Clone, Debug, PartialEq)]
struct Limit {
    name: &'static str,
    value: String,
    at: f64,
}

/// What the time line shows.
#[derive(Clone, Debug, PartialEq)]
struct TimeLine {
    lanes: [Lane; 2],
    limits: Vec<Limit>,
    description: String,
}

/// What the time line depends on.
struct Facts<'a> {
    job: &'a JobSummary,
    attempts: &'a [Attempt],
    answer_by: Option<Timestamp>,
    give_up_after: Duration,
}

fn time_line(facts: &Facts<'_>) -> TimeLine {
    let Facts { job, attempts, answer_by, give_up_after } = *facts;
    let since = |moment: Timestamp| moment.since(job.received_at);
    let of = |stage: Stage| attempts.iter().filter(move |attempt| attempt.stage == stage);
    let answer_within = answer_by.map(since);
    let first_delivery = of(Stage::Delivery).next().map(|first| since(first.started_at));
    let give_up = first_delivery.unwrap_or_default() + give_up_after;
    let handler = Lane {
        label: by_handler(job, attempts),
        allowed: (0.0, answer_within.map_or(0.0, scale::percent)),
        bars: bars(of(Stage::Handler), job.received_at),
    };
    let delivery = Lane {
        label: deliveries(job, of(Stage::Delivery).count()),
        allowed: first_delivery.map_or((0.0, 0.0), |first| (scale::percent(first), scale::percent(give_up))),
        bars: bars(of(Stage::Delivery), job.received_at),
    };
    let mut limits =
        vec![Limit { name: "acknowledge", value: amount::age(ACKNOWLEDGE), at: scale::percent(ACKNOWLEDGE) }];
    limits.extend(answer_within.map(|within| Limit {
        name: "answer_within",
        value: amount::age(within),
        at: scale::percent(within),
    }));
    limits.push(Limit {
        name: "give_up_after",
        value: amount::age(give_up_after),
        at: scale::percent(give_up),
    });
    let description = format!(
        "{}. {}. Limits: {}. The table of attempts has every number.",
        handler.label,
        delivery.label,
        limits.iter().map(|limit| format!("{} {}", limit.name, limit.value)).collect::<Vec<_>>().join(", ")
    );
    TimeLine { lanes: [handler, delivery], limits, description }
}

/// The row of each label, from the top: the first one in which it touches no other label.
fn label_rows(limits: &[Limit]) -> Vec<u32> {
    let mut places: Vec<(u32, f64)> = Vec::new();
    for limit in limits {
        let is_free =
            |row: u32| places.iter().all(|(other, at)| *other != row || (at - limit.at).abs() >= LABEL_WIDTH);
        let row = (0..).find(|row| is_free(*row)).unwrap_or_default();
        places.push((row, limit.at));
    }
    places.into_iter().map(|(row, _)| row).collect()
}

/// The bars of attempts. Bars of the same colour that touch become one.
fn bars<'a>(attempts: impl Iterator<Item = &'a Attempt>, received_at: Timestamp) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    for attempt in attempts {
        let start = attempt.started_at.since(received_at);
        let from = scale::percent(start).min(100.0 - MIN_WIDTH);
        let to = scale::percent(start + attempt.duration).max(from + MIN_WIDTH);
        let (tone, ..) = look(attempt.stage, attempt.result);
        match bars.last_mut() {
            Some(last) if last.tone == tone && from - last.to < MIN_GAP => last.to = last.to.max(to),
            _ => bars.push(Bar { tone, from, to }),
        }
    }
    bars
}

fn by_handler(job: &JobSummary, attempts: &[Attempt]) -> String {
    let mut of_handler = attempts.iter().filter(|attempt| attempt.stage == Stage::Handler);
    let Some(last) = of_handler.next_back() else {
        return match job.outcome {
            Some(Outcome::Handler) => "Handler: answered without an attempt".to_owned(),
            _ if job.state == StateName::Running => "Handler: runs now".to_owned(),
            _ => "Handler: not tried yet".to_owned(),
        };
    };
    let after = amount::duration((last.started_at + last.duration).since(job.received_at));
    let number = if last.number > 1 { format!(", attempt {}", last.number) } else { String::new() };
    match last.result {
        AttemptResult::Ok => format!("Handler: answered after {after}{number}"),
        AttemptResult::Accepted => match job.outcome {
            Some(Outcome::Handler) => format!("Handler: accepted after {after}{number}, then called back"),
            _ => format!("Handler: accepted after {after}{number}"),
        },
        _ => {
            let runs = if job.state == StateName::Running { ", runs again" } else { "" };
            format!("Handler: {} failed{runs}", amount::count(last.number.into(), "attempt"))
        }
    }
}

fn deliveries(job: &JobSummary, count: usize) -> String {
    if count == 0 {
        return "Delivery: not tried yet".to_owned();
    }
    let attempts = amount::count(u64::try_from(count).unwrap_or(u64::MAX), "attempt");
    match (job.state, job.finished_at) {
        (StateName::Delivered, Some(end)) => {
            let after = amount::duration(end.since(job.received_at));
            format!("Delivery: accepted after {after}, {attempts}")
        }
        (StateName::Gone, _) => format!("Delivery: {attempts}, no bot waited"),
        _ => format!("Delivery: {attempts}, none accepted"),
    }
}

/// The panel.
pub(super) fn render(seen: &Seen) -> Markup {
    let Seen { summary, attempts, give_up_after, now, .. } = seen;
    let facts = Facts { job: summary, attempts, answer_by: seen.answer_by(), give_up_after: *give_up_after };
    let title = format!("Time line of job {} since receipt, logarithmic", summary.id.shortened());
    let since =
        html! { p.m { "since receipt at " (moment::moment(summary.received_at, *now)) " UTC, logarithmic" } };
    let body = html! { div.in { figure { (chart(&time_line(&facts), &title)) } } };
    panel("h-tl", "Time line", since, body)
}

fn chart(line: &TimeLine, title: &str) -> Markup {
    let rows = label_rows(&line.limits);
    let top = TOP + LABEL_HEIGHT * rows.iter().max().copied().unwrap_or_default();
    let bottom = top + 48 + BAR + 12;
    html! {
        svg.chart width="100%" height=(bottom + 20) role="img" aria-labelledby="tl-t tl-d" {
            title #tl-t { (title) }
            desc #tl-d { (line.description) }
            @for (lane, y) in line.lanes.iter().zip((top..).step_by(STEP)) {
                (rect("track", lane.allowed.0, lane.allowed.1, y))
            }
            @for (limit, row) in line.limits.iter().zip(&rows) { (limit_mark(limit, row * LABEL_HEIGHT, bottom)) }
            line.grid-l x1="0" x2="100%" y1=(bottom) y2=(bottom) {}
            @for (label, at, is_wide) in TICKS { (tick(label, at, is_wide, bottom)) }
            @for (lane, y) in line.lanes.iter().zip((top..).step_by(STEP)) {
                @for bar in &lane.bars {
                    g.(bar.tone.class()) { (rect(if bar.tone == Tone::Warn { "miss" } else { "fill" }, bar.from, bar.to, y)) }
                }
                text.halo.hi x="0" y=(y - 6) { (lane.label) }
            }
        }
        (key(line))
    }
}

/// The labels of the axis, in seconds; whether only wide screens have room for it.
const TICKS: [(&str, f64, bool); 5] = [
    ("0", 0.0, false),
    ("0.5\u{a0}s", 0.5, true),
    ("10\u{a0}s", 10.0, false),
    ("5\u{a0}min", 300.0, false),
    ("20\u{a0}min", 1_200.0, true),
];

fn tick(label: &str, seconds: f64, is_wide: bool, bottom: u32) -> Markup {
    let x = scale::at(Duration::from_secs_f64(seconds));
    let anchor = if seconds > 0.0 { "middle" } else { "start" };
    html! {
        line.grid-l x1=(x) x2=(x) y1=(bottom) y2=(bottom + 4) {}
        text.wide[is_wide] x=(x) y=(bottom + 15) text-anchor=(anchor) { (label) }
    }
}

fn limit_mark(limit: &Limit, top: u32, bottom: u32) -> Markup {
    let x = scale::attribute(limit.at);
    let (text_x, anchor) = if limit.at > 95.0 { ("100%", "end") } else { (x.as_str(), "middle") };
    html! {
        line.limit x1=(x) x2=(x) y1=(top + 30) y2=(bottom) {}
        text.halo x=(text_x) y=(top + 11) text-anchor=(anchor) { (limit.name) }
        text.halo.hi x=(text_x) y=(top + 24) text-anchor=(anchor) { (limit.value) }
    }
}

fn rect(class: &str, from: f64, to: f64, y: u32) -> Markup {
    html! { rect class=(class) x=(scale::attribute(from)) y=(y) width=(scale::attribute((to - from).max(0.0))) height=(BAR) {} }
}

/// What the colours and lines mean, for those that occur.
fn key(line: &TimeLine) -> Markup {
    let has = |tone: Tone| line.lanes.iter().flat_map(|lane| &lane.bars).any(|bar| bar.tone == tone);
    html! {
        figcaption.key {
            @for (tone, words) in [
                (Tone::Ok, "succeeded"),
                (Tone::Active, "accepted, calls back"),
                (Tone::Warn, "failed, was retried"),
                (Tone::Bad, "not accepted"),
            ] {
                @if has(tone) {
                    @let class = if tone == Tone::Warn { "miss" } else { "fill" };
                    span.(tone.class()) {
                        svg width="14" height="10" aria-hidden="true" { rect class=(class) x="1" y="1" width="12" height="8" {} }
                        (words)
                    }
                }
            }
            span { svg width="14" height="10" aria-hidden="true" { rect.track width="14" height="10" {} } "time allowed" }
            span { svg width="6" height="10" aria-hidden="true" { line.limit x1="3" x2="3" y1="0" y2="10" {} } "limit" }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{AccountId, JobId};

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_795_780_061_118);

    fn job(state: StateName) -> JobSummary {
        JobSummary {
            id: JobId::new(START, 7),
            state,
            handler: "greet".parse().unwrap(),
            account_id: AccountId(7),
            entity: None,
            return_url: "https://a.kommo.com/api/v4/salesbot/8123/continue/550917".parse().unwrap(),
            outcome: Some(Outcome::Handler),
            received_at: START,
            due_at: None,
            finished_at: state.is_finished().then_some(START + Duration::from_secs(3_626)),
            handler_attempts: 0,
            delivery_attempts: 0,
            last_error: None,
            error_group: None,
            joined_into: None,
            bodies_dropped: false,
        }
    }

    fn attempt(stage: Stage, number: u32, after_ms: u64, took_ms: u64, result: AttemptResult) -> Attempt {
        let (started_at, duration) =
            (START + Duration::from_millis(after_ms), Duration::from_millis(took_ms));
        Attempt { stage, number, started_at, duration, result, status: None, error: None }
    }

    fn of(job: &JobSummary, attempts: &[Attempt]) -> TimeLine {
        let answer_by = Some(START + Duration::from_secs(50));
        time_line(&Facts { job, attempts, answer_by, give_up_after: Duration::from_secs(3_600) })
    }

    #[test]
    fn attempts_and_limits_are_on_the_scale() {
        let dead = job(StateName::Dead);
        let mut attempts = vec![
            attempt(Stage::Handler, 1, 40, 1_200, AttemptResult::Retry),
            attempt(Stage::Handler, 2, 23_400, 2_800, AttemptResult::Ok),
        ];
        attempts.extend((1..=97_u32).map(|number| {
            let after = 26_300 + u64::from(number - 1) * 37_000;
            attempt(Stage::Delivery, number, after, 10_000, AttemptResult::Retry)
        }));
        let TimeLine { lanes: [handler, delivery], limits, description } = of(&dead, &attempts);
        let plain = |text: &str| text.replace('\u{a0}', " ");
        assert_eq!(plain(&handler.label), "Handler: answered after 26.2 s, attempt 2");
        assert_eq!(plain(&delivery.label), "Delivery: 97 attempts, none accepted");
        assert_eq!(handler.bars.iter().map(|bar| bar.tone).collect::<Vec<_>>(), [Tone::Warn, Tone::Ok]);
        let limits: Vec<_> =
            limits.iter().map(|one| (one.name, plain(&one.value), scale::attribute(one.at))).collect();
        assert_eq!(
            limits,
            [
                ("acknowledge", "2 s".into(), "24.4%".to_owned()),
                ("answer_within", "50 s".into(), "56.24%".into()),
                ("give_up_after", "1 h".into(), "99.8%".into()),
            ]
        );
        assert!(plain(&description).contains("answer_within 50 s"), "{description}");
        let places = handler.bars.iter().chain(&delivery.bars);
        assert!(places.clone().all(|bar| bar.from < bar.to && bar.to <= 100.0 + MIN_WIDTH), "{delivery:?}");
    }

    #[test]
    fn labels_that_would_touch_are_below_one_another() {
        for (places, expected) in [
            ([24.4, 56.2, 99.8], [0, 0, 0]),
            ([24.4, 38.2, 99.8], [0, 1, 0]),
            ([24.4, 38.2, 54.0], [0, 1, 2]),
            ([24.4, 56.2, 54.0], [0, 0, 1]),
        ] {
            let limits = places.map(|at| Limit { name: "x", value: String::new(), at });
            assert_eq!(label_rows(&limits), expected, "{places:?}");
        }
    }

    #[test]
    fn any_number_of_attempts_takes_bounded_space() {
        let attempts: Vec<_> = (1..=20_000_u32)
            .map(|number| {
                attempt(Stage::Delivery, number, u64::from(number) * 180, 100, AttemptResult::Retry)
            })
            .collect();
        let line = of(&job(StateName::Dead), &attempts);
        assert!(chart(&line, "x").into_string().len() < 20_000, "{}", line.lanes[1].bars.len());
    }

    #[test]
    fn a_job_without_attempts_has_limits_and_no_bars() {
        let queued = JobSummary { outcome: None, ..job(StateName::Queued) };
        let TimeLine { lanes: [handler, delivery], limits, .. } = of(&queued, &[]);
        assert_eq!((handler.label.as_str(), handler.bars.len()), ("Handler: not tried yet", 0));
        let running = JobSummary { outcome: None, ..job(StateName::Running) };
        assert_eq!(of(&running, &[]).lanes[0].label, "Handler: runs now");
        assert_eq!((delivery.label.as_str(), delivery.allowed), ("Delivery: not tried yet", (0.0, 0.0)));
        assert_eq!(limits.len(), 3);
    }
}
