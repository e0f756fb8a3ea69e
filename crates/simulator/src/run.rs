//! The state of one bot: what it waits for, and what has happened to it.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::sync::Notify;

use super::account::{Account, lock};
use super::fault::Fault;
use super::placeholders::Known;
use super::plan::Plan;
use super::report::{BotReport, Continue, Event, What};

#[derive(Debug)]
pub(super) struct Run {
    pub(super) id: i64,
    pub(super) continue_id: i64,
    pub(super) plan: Plan,
    record: bool,
    /// Whether another task runs the handlers of its continues.
    scripted: bool,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    faults: VecDeque<Fault>,
    wait: Wait,
    waits: u32,
    attempts: u32,
    continued: u32,
    continues: Vec<Continue>,
    events: Vec<Event>,
    said: Vec<String>,
    end: Option<Result<String, String>>,
}

/// The data that differs between the waits of one session.
#[derive(Debug, Clone)]
pub(super) struct Wait {
    pub(super) jti: String,
    pub(super) issued: SystemTime,
    pub(super) data: Value,
}

impl Run {
    pub(super) fn new(account: &Account, id: i64, mut plan: Plan, scripted: bool) -> Self {
        let wait = Wait::begin(account, std::mem::take(&mut plan.data));
        let state = State {
            faults: std::mem::take(&mut plan.faults).into(),
            wait,
            waits: 1,
            attempts: 0,
            continued: 0,
            continues: Vec::new(),
            events: Vec::new(),
            said: Vec::new(),
            end: None,
        };
        Self {
            id,
            continue_id: account.number(),
            plan,
            record: account.options.record,
            scripted,
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    /// The path of its `return_url`, the same for every wait.
    pub(super) fn path(&self) -> String {
        format!("/api/v4/{}/{}/continue/{}", self.plan.bot_type.as_str(), self.id, self.continue_id)
    }

    pub(super) fn wait(&self) -> Wait {
        lock(&self.state).wait.clone()
    }

    pub(super) fn next_wait(&self, wait: Wait) {
        let mut state = lock(&self.state);
        state.wait = wait;
        state.waits += 1;
    }

    pub(super) fn note(&self, at: Duration, what: What) {
        if self.record {
            lock(&self.state).events.push(Event { at, what });
        }
    }

    /// Counts an attempt and returns its fault: `outer`, else the next one of the plan.
    pub(super) fn attempt(&self, outer: Option<Fault>) -> Option<Fault> {
        let mut state = lock(&self.state);
        state.attempts += 1;
        outer.or_else(|| state.faults.pop_front())
    }

    pub(super) fn is_waiting(&self) -> bool {
        let state = lock(&self.state);
        state.continued < state.waits
    }

    /// Continues the bot; returns false if it does not wait.
    pub(super) fn resume(&self, with: Continue) -> bool {
        let mut state = lock(&self.state);
        if state.continued >= state.waits {
            return false;
        }
        state.continued += 1;
        if self.record {
            state.events.push(Event { at: with.at, what: What::Continued });
        } else {
            state.continues.clear();
            state.said.clear();
        }
        if !self.scripted {
            let said = said(&with);
            state.said.extend(said);
        }
        state.continues.push(with);
        drop(state);
        self.changed.notify_waiters();
        true
    }

    pub(super) async fn continued(&self) -> Continue {
        loop {
            let changed = self.changed.notified();
            if let Some(done) = self.done() {
                return done;
            }
            changed.await;
        }
    }

    fn done(&self) -> Option<Continue> {
        let state = lock(&self.state);
        if state.continued < state.waits { None } else { state.continues.last().cloned() }
    }

    pub(super) fn say(&self, said: Vec<String>) {
        lock(&self.state).said.extend(said);
    }

    /// Records how the bot ended: by an exit, or stuck for a reason.
    pub(super) fn end(&self, end: Result<String, String>) {
        lock(&self.state).end = Some(end);
        self.changed.notify_waiters();
    }

    pub(super) async fn ended(&self) -> BotReport {
        loop {
            let changed = self.changed.notified();
            if lock(&self.state).end.is_some() {
                return self.report();
            }
            changed.await;
        }
    }

    pub(super) fn continues(&self) -> Vec<Continue> {
        lock(&self.state).continues.clone()
    }

    pub(super) fn report(&self) -> BotReport {
        let state = lock(&self.state);
        BotReport {
            id: self.id,
            waits: state.waits,
            continued: state.continued,
            attempts: state.attempts,
            events: state.events.clone(),
            said: state.said.clone(),
            exit: state.end.clone().and_then(Result::ok),
            stuck: state.end.clone().and_then(Result::err),
        }
    }
}

/// The messages of a continue's `show` handlers, with the continue's own data inserted.
fn said(with: &Continue) -> Vec<String> {
    let known = Known { json: with.data.clone(), ..Known::default() };
    let handlers = with.execute_handlers.iter().flatten();
    let shows = handlers.filter(|entry| entry["handler"] == "show");
    shows.filter_map(|entry| entry["params"]["value"].as_str()).map(|text| known.text(text)).collect()
}

impl Wait {
    pub(super) fn begin(account: &Account, data: Value) -> Self {
        Self { jti: account.uuid(), issued: account.options.clock.now(), data }
    }
}
