//! How the bridge is, as a shared note: the rooms write it, the admin listener shows it.
//!
//! It lies below the rooms, so that `deliver` can say that an account waits without knowing who asks.
//! It holds no more than that. Whether the store can be written is found out when somebody asks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;
use tokio::time::Instant;

use crate::model::Timestamp;

/// How far the bridge is. Draining is the end: nothing leads back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Not all of it runs yet.
    #[default]
    Starting,
    /// It takes requests.
    Ready,
    /// It stops: it takes no more requests and finishes what is under way.
    Draining,
}

/// An account whose deliveries wait for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// The account's host, `example.kommo.com`, with its port if that is not the scheme's own.
    pub account: String,
    /// What is wrong and what a person has to do.
    pub why: String,
}

/// The deliveries of all accounts wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EverybodyWaits {
    /// What is wrong and what an operator has to do.
    pub why: String,
    /// Until when; `None` if it depends on the answer to the next delivery.
    pub until: Option<Timestamp>,
}

type AskEverybody = Box<dyn Fn() -> Option<EverybodyWaits> + Send + Sync>;

/// The note. Cheap to clone; clones share one note. A new one says [`Phase::Starting`].
#[derive(Clone, Default)]
pub struct Health(Arc<Shared>);

#[derive(Default)]
struct Shared {
    note: Mutex<Note>,
    /// Not noted but asked for, because it ends as time passes.
    everybody: OnceLock<AskEverybody>,
}

#[derive(Debug, Default)]
struct Note {
    phase: Phase,
    waiting: BTreeMap<String, String>,
    callers_wait_since: Option<Instant>,
    failed_tasks: BTreeMap<&'static str, &'static str>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Health").field(&*self.note()).finish()
    }
}

impl Health {
    /// A bridge that starts.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on it takes requests; unless it drains already, because a stop can come during the start.
    pub fn ready(&self) {
        let mut note = self.note();
        if note.phase == Phase::Starting {
            note.phase = Phase::Ready;
        }
    }

    /// From now on it stops.
    pub fn draining(&self) {
        self.note().phase = Phase::Draining;
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        self.note().phase
    }

    /// The deliveries to `host` wait for a person; `why` says what is wrong and what to do, without any token.
    ///
    /// Says whether that is news, so that the caller can log it once.
    pub fn account_waits(&self, host: impl Into<String>, why: impl Into<String>) -> bool {
        let why = why.into();
        self.note().waiting.insert(host.into(), why.clone()).is_none_or(|known| known != why)
    }

    /// The deliveries to `host` go on. Says whether they had waited.
    pub fn account_goes_on(&self, host: &str) -> bool {
        self.note().waiting.remove(host).is_some()
    }

    /// The accounts that wait for a person, by host.
    pub fn waiting(&self) -> Vec<Waiting> {
        let entry =
            |(account, why): (&String, &String)| Waiting { account: account.clone(), why: why.clone() };
        self.note().waiting.iter().map(entry).collect()
    }

    /// Learns from `ask` whether all accounts wait. The first wish counts.
    pub fn on_everybody(&self, ask: impl Fn() -> Option<EverybodyWaits> + Send + Sync + 'static) {
        let _there_is_one_pace = self.0.everybody.set(Box::new(ask));
    }

    /// Whether the deliveries of all accounts wait, and why.
    pub fn everybody_waits(&self) -> Option<EverybodyWaits> {
        self.0.everybody.get()?()
    }

    /// New connections to the public listener find no place since then; `None`: they do.
    pub fn callers_wait(&self, since: Option<Instant>) {
        self.note().callers_wait_since = since;
    }

    /// Since when new connections to the public listener find no place; `None` if they do.
    pub fn callers_wait_since(&self) -> Option<Instant> {
        self.note().callers_wait_since
    }

    /// A background task failed (`why`: "it panicked"), and is started again.
    pub fn task_failed(&self, task: &'static str, why: &'static str) {
        self.note().failed_tasks.insert(task, why);
    }

    /// A background task that had failed has run for a while since.
    pub fn task_runs(&self, task: &str) {
        self.note().failed_tasks.remove(task);
    }

    /// The background tasks that failed not long ago, in sentences for an operator.
    pub fn failed_tasks(&self) -> Vec<String> {
        let sentence = |(task, why): (&&str, &&str)| {
            format!("the background task `{task}` failed ({why}) and is started again: see the log")
        };
        self.note().failed_tasks.iter().map(sentence).collect()
    }

    fn note(&self) -> MutexGuard<'_, Note> {
        // Each change is a single step, so a panic elsewhere leaves nothing half done.
        self.0.note.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_during_the_start_stays_a_stop() {
        let health = Health::new();
        assert_eq!(health.phase(), Phase::Starting);
        health.ready();
        assert_eq!(health.clone().phase(), Phase::Ready);
        health.draining();
        health.ready();
        assert_eq!(health.phase(), Phase::Draining);
    }

    #[test]
    fn whether_all_wait_is_asked_for_each_time() {
        let health = Health::new();
        assert_eq!(health.everybody_waits(), None);
        let waits = EverybodyWaits { why: "blocked".into(), until: None };
        let (asked, answer) = (health.clone(), waits.clone());
        health.on_everybody(move || Some(answer.clone()));
        health.on_everybody(|| None);
        assert_eq!(asked.everybody_waits(), Some(waits));
    }

    #[test]
    fn accounts_wait_until_they_go_on_and_only_news_is_news() {
        let health = Health::new();
        assert!(health.account_waits("b.kommo.com", "authorize it"));
        assert!(!health.account_waits("b.kommo.com", "authorize it"));
        assert!(health.account_waits("b.kommo.com", "pay the plan"));
        assert!(health.account_waits("a.kommo.com", "authorize it"));
        let hosts: Vec<_> = health.waiting().into_iter().map(|waiting| waiting.account).collect();
        assert_eq!(hosts, ["a.kommo.com", "b.kommo.com"]);
        assert!(health.account_goes_on("b.kommo.com"));
        assert!(!health.account_goes_on("b.kommo.com"));
        assert_eq!(health.waiting().len(), 1);
    }
}
