//! Bots that call the bridge, and the answers of each.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;
use futures_util::stream;
use simulator::{Ack, Bot, CallError};
use tokio::sync::Notify;

use super::plan::BotPlan;

/// The maximum number of calls at the same time.
const MAX_CONCURRENT_CALLS: usize = 24;

/// A bot, and its answers so far.
pub struct AskedBot {
    pub bot: Bot,
    pub plan: BotPlan,
    /// The jobs of its 200 answers, in order. More than one only if it repeated its request.
    pub jobs: Vec<String>,
    pub refused: usize,
    pub unanswered: usize,
    /// Answers that no bot should get.
    pub wrong: Vec<String>,
}

impl AskedBot {
    pub fn new(bot: Bot, plan: BotPlan) -> Self {
        Self { bot, plan, jobs: Vec::new(), refused: 0, unanswered: 0, wrong: Vec::new() }
    }

    pub fn is_acknowledged(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Whether it calls again in a later life.
    pub fn calls_again(&self) -> bool {
        match self.jobs.len() {
            0 => self.plan.persists,
            1 => self.plan.repeats,
            _ => false,
        }
    }

    fn hear(&mut self, answer: Result<Ack, CallError>) {
        match answer {
            Ok(ack) if ack.status == 200 => {
                let body = ack.json();
                match body["job_id"].as_str() {
                    Some(id) => self.jobs.push(id.to_owned()),
                    None => self.wrong.push(ack.body),
                }
            }
            // The disk was too slow, on a busy machine.
            Ok(ack) if ack.status == 503 => self.refused += 1,
            Ok(ack) => self.wrong.push(format!("{} {}", ack.status, ack.body)),
            Err(_killed) => self.unanswered += 1,
        }
    }
}

/// Lets the bots with these numbers call, until `killed`. Notifies `reached` after `answers` answers, or after all.
/// Returns how many calls had no answer.
pub async fn call(
    bots: &mut [AskedBot],
    numbers: &[usize],
    url: impl Fn(&str) -> String,
    answers: usize,
    reached: &Notify,
    killed: &AtomicBool,
) -> usize {
    if answers == 0 {
        reached.notify_one();
    }
    let calls: Vec<_> = numbers
        .iter()
        .map(|number| (*number, bots[*number].bot.clone(), url(bots[*number].plan.handler())))
        .collect();
    let calls = calls.into_iter().map(|(number, bot, url)| async move { (number, bot.call(&url).await) });
    let calls = calls.take_while(|_| !killed.load(Ordering::Relaxed));
    let mut calls = pin!(stream::iter(calls).buffer_unordered(MAX_CONCURRENT_CALLS));
    let (mut heard, mut unanswered) = (0, 0);
    while let Some((number, answer)) = calls.next().await {
        unanswered += usize::from(answer.is_err());
        bots[number].hear(answer);
        heard += 1;
        if heard == answers {
            reached.notify_one();
        }
    }
    reached.notify_one();
    unanswered
}
