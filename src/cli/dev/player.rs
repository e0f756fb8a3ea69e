//! Plays one bot, from its request to its continue, and reports each event.

use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use model::JobId;
use model::clock::Clock;
use simulator::{Ack, Bot, CallError};

use super::answer::Answer;
use super::calls::Calls;
use super::changes::{Look, Seen};
use super::event::{Event, What};

/// The time between two looks at a job while its bot waits.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The same after the continue, when the bridge only has to write the job's end.
const END_INTERVAL: Duration = Duration::from_millis(5);

/// What all bots of a session share. Cheap to clone.
#[derive(Clone)]
pub(super) struct Player {
    pub(super) client: reqwest::Client,
    /// The URL that the bots call.
    pub(super) url: String,
    /// The origin of the admin listener.
    pub(super) admin: String,
    pub(super) calls: Calls,
    pub(super) answer_within: Duration,
    pub(super) clock: Clock,
    pub(super) events: UnboundedSender<Event>,
}

/// The request of one bot.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) number: u32,
    pub(super) lead: u32,
    pub(super) data: Value,
    pub(super) replay: bool,
}

/// A bot that was played to its end.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) number: u32,
    /// Whether it got the handler's answer.
    pub(super) is_answered: bool,
    /// The body of the last request to the handler; `None` if no URL was called.
    pub(super) sent: Option<String>,
    /// The body of its continue; `null` if there is none.
    pub(super) completion: Value,
    /// Its last event, which is shown with the rest of this.
    pub(super) last: Event,
}

impl Player {
    /// Plays `bot` to its end.
    ///
    /// # Errors
    /// The bridge does not say what happens to its job.
    pub(super) async fn play(self, bot: Bot, request: Request) -> anyhow::Result<Played> {
        let Request { number, lead, data, replay } = request;
        let begun = self.clock.elapsed();
        self.emit(self.event(number, begun, What::Request { lead, data, replay }));
        let job = match accepted(bot.call(&self.url).await) {
            Ok(job) => job,
            Err(refused) => {
                let last = self.event(number, begun, refused);
                return Ok(Played { number, is_answered: false, sent: None, completion: Value::Null, last });
            }
        };
        let mut seen = Seen::default();
        loop {
            let now = self.look_at(job).await?;
            let left = self.answer_within.saturating_sub(self.clock.elapsed().saturating_sub(begun));
            let look = Look { now: self.clock.now(), left };
            for what in now.since(&seen, look, |attempt| self.calls.status(job, attempt)) {
                self.emit(self.event(number, begun, what));
            }
            seen = now;
            if seen.is_finished() {
                break;
            }
            if bot.report().is_done() {
                tokio::time::sleep(END_INTERVAL).await;
            } else {
                let _or_not = tokio::time::timeout(POLL_INTERVAL, bot.continued()).await;
            }
        }
        let what = match bot.continues().last() {
            Some(with) => {
                let outcome = seen.outcome.as_deref().unwrap_or_default();
                What::Answer(Answer::new(with, bot.report().said, outcome))
            }
            None => seen.unanswered(),
        };
        Ok(Played {
            number,
            is_answered: matches!(&what, What::Answer(answer) if answer.is_of_handler()),
            sent: self.calls.take_last_request(job),
            completion: seen.completion,
            last: self.event(number, begun, what),
        })
    }

    async fn look_at(&self, job: JobId) -> anyhow::Result<Seen> {
        let url = format!("{}/api/v1/jobs/{job}", self.admin);
        let response = self.client.get(url).send().await.and_then(reqwest::Response::error_for_status);
        let response = response.context("the bridge does not show a job")?;
        response.json().await.context("the bridge shows a job in an unknown form")
    }

    fn event(&self, request: u32, begun: Duration, what: What) -> Event {
        let after = self.clock.elapsed().saturating_sub(begun);
        Event { at: self.clock.now(), request, after, what }
    }

    fn emit(&self, event: Event) {
        // The session ends before its players only if it stops.
        let _session_is_over = self.events.send(event);
    }
}

/// The job of a request that the bridge accepted.
fn accepted(ack: Result<Ack, CallError>) -> Result<JobId, What> {
    let ack = ack.map_err(|error| What::Refused { status: None, error: error.to_string() })?;
    let body = ack.json();
    let job = body["job_id"].as_str().and_then(|id| id.parse().ok()).filter(|_| ack.status == 200);
    job.ok_or_else(|| {
        let why = body["detail"].as_str().or(body["title"].as_str()).unwrap_or("no reason given");
        What::Refused { status: Some(ack.status), error: why.to_owned() }
    })
}
