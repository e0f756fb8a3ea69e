//! The health of the bridge, as a shared note: the rooms write it, and the admin listener shows it.
//!
//! This room is below the others, so `deliver` can note that an account waits without knowing who reads the note. The
//! note does not say whether the store is writable: `admin` checks that on each request.
//!
//! The note also remembers which waits have changed, so that `accounts` can write them to the store, where commands read
//! them.

mod missed;
mod nonce;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;
use utoipa::ToSchema;

use model::{ALL_ACCOUNTS, AccountWait, Timestamp};

pub use missed::{Misdirected, Refused};
pub use nonce::Nonce;

/// The phase of the bridge. Draining is final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Some parts do not run yet.
    #[default]
    Starting,
    /// The bridge takes requests.
    Ready,
    /// The bridge is stopping: it refuses new requests and finishes its work in progress.
    Draining,
}

/// An account whose deliveries wait for an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Waiting {
    /// The account's host, `example.kommo.com`, with its port if that is not the scheme's own.
    pub account: String,
    /// What is wrong and what an operator has to do.
    pub why: String,
}

/// The deliveries of all accounts wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EverybodyWaits {
    /// What is wrong and what an operator has to do.
    pub why: String,
    /// When the wait ends; null if that depends on the response to the next delivery.
    #[schema(value_type = Option<crate::schema::Moment>)]
    pub until: Option<Timestamp>,
}

type AskEverybody = Box<dyn Fn() -> Option<EverybodyWaits> + Send + Sync>;

/// The shared note. Cheap to clone; clones share it. It begins with [`Phase::Starting`].
#[derive(Clone, Default)]
pub struct Health(Arc<Shared>);

#[derive(Default)]
struct Shared {
    note: Mutex<Note>,
    /// Whether all accounts wait. A function and not a note, because such a wait ends as time passes.
    everybody: OnceLock<AskEverybody>,
    nonce: OnceLock<Nonce>,
    /// A wait changed.
    changed: Notify,
    missed: Mutex<missed::Missed>,
}

#[derive(Debug, Default)]
struct Note {
    phase: Phase,
    /// By the account's paced origin, or [`ALL_ACCOUNTS`].
    waits: BTreeMap<Arc<str>, AccountWait>,
    /// The origins whose waits have changed since the changes were last taken.
    changed: BTreeSet<Arc<str>>,
    callers_wait_since: Option<Instant>,
    failed_tasks: BTreeMap<&'static str, &'static str>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Health").field(&*self.note()).finish()
    }
}

impl Health {
    /// The note of a bridge that is starting.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that the bridge takes requests, unless it is already draining: a stop can come during the start.
    pub fn ready(&self) {
        let mut note = self.note();
        if note.phase == Phase::Starting {
            note.phase = Phase::Ready;
        }
    }

    /// Notes that the bridge is stopping.
    pub fn draining(&self) {
        self.note().phase = Phase::Draining;
    }

    /// The current phase.
    pub fn phase(&self) -> Phase {
        self.note().phase
    }

    /// Notes that deliveries to the account at `origin` wait. If the cause is the same as before, the start of the wait
    /// stays.
    ///
    /// Returns whether that is news for an operator, so that the caller logs it only once.
    pub fn account_waits(&self, origin: &str, wait: AccountWait) -> bool {
        let mut note = self.note();
        let known = note.waits.get(origin);
        let since = known.filter(|known| known.cause == wait.cause).map_or(wait.since, |known| known.since);
        let is_news = known.is_none_or(|known| known.text() != wait.text());
        let wait = AccountWait { since, ..wait };
        if known != Some(&wait) {
            note.waits.insert(origin.into(), wait);
            self.has_changed(note, origin);
        }
        is_news
    }

    /// Notes that deliveries to the account at `origin` resume. Returns whether they were waiting.
    pub fn account_resumes(&self, origin: &str) -> bool {
        let mut note = self.note();
        let waited = note.waits.remove(origin).is_some();
        if waited {
            self.has_changed(note, origin);
        }
        waited
    }

    /// Removes `wait` of the account at `origin`, unless a different wait has replaced it. Returns whether it was removed.
    pub fn forget_wait(&self, origin: &str, wait: &AccountWait) -> bool {
        let mut note = self.note();
        if note.waits.get(origin) != Some(wait) {
            return false;
        }
        note.waits.remove(origin);
        self.has_changed(note, origin);
        true
    }

    /// The wait of the account at `origin`; `None` if its deliveries do not wait.
    pub fn wait_of(&self, origin: &str) -> Option<AccountWait> {
        self.note().waits.get(origin).cloned()
    }

    /// All waits, by origin.
    pub fn waits(&self) -> Vec<(Arc<str>, AccountWait)> {
        self.note().waits.iter().map(|(origin, wait)| (origin.clone(), wait.clone())).collect()
    }

    /// Takes the origins whose waits have changed since the last call, each with its current wait; `None` if there is no
    /// wait.
    pub fn take_changed_waits(&self) -> Vec<(Arc<str>, Option<AccountWait>)> {
        let mut note = self.note();
        let changed = std::mem::take(&mut note.changed);
        changed.into_iter().map(|origin| (origin.clone(), note.waits.get(&origin).cloned())).collect()
    }

    /// Returns changes that could not be written, so that the next `take_changed_waits` takes them again.
    pub fn give_back_changed_waits(&self, origins: impl IntoIterator<Item = Arc<str>>) {
        self.note().changed.extend(origins);
    }

    /// A future that completes when a wait has changed since the last such future completed.
    pub fn wait_changes(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    /// The accounts that wait for an operator, ordered by origin.
    pub fn waiting(&self) -> Vec<Waiting> {
        let note = self.note();
        let needed = note
            .waits
            .iter()
            .filter(|(origin, wait)| wait.cause.needs_operator() && &***origin != ALL_ACCOUNTS);
        needed.map(|(origin, wait)| Waiting { account: host(origin).to_owned(), why: wait.text() }).collect()
    }

    /// Sets the function that reports whether all accounts wait. Only the first call has an effect.
    pub fn on_everybody(&self, ask: impl Fn() -> Option<EverybodyWaits> + Send + Sync + 'static) {
        let _there_is_one_pace = self.0.everybody.set(Box::new(ask));
    }

    /// Whether the deliveries of all accounts wait, and why.
    pub fn everybody_waits(&self) -> Option<EverybodyWaits> {
        self.0.everybody.get()?()
    }

    /// Sets the nonce of this process. Only the first call has an effect.
    pub fn set_nonce(&self, nonce: Nonce) {
        let _a_process_has_one = self.0.nonce.set(nonce);
    }

    /// The nonce of this process; `None` if it has none.
    pub fn nonce(&self) -> Option<&Nonce> {
        self.0.nonce.get()
    }

    /// Notes since when new connections to the public listener find no free slot; `None` if they find one.
    pub fn callers_wait(&self, since: Option<Instant>) {
        self.note().callers_wait_since = since;
    }

    /// Since when new connections to the public listener find no free slot; `None` if they find one.
    pub fn callers_wait_since(&self) -> Option<Instant> {
        self.note().callers_wait_since
    }

    fn has_changed(&self, mut note: MutexGuard<'_, Note>, origin: &str) {
        note.changed.insert(origin.into());
        drop(note);
        self.0.changed.notify_one();
    }

    /// Notes that a background task failed and is being restarted. `why` is a clause such as "it panicked".
    pub fn task_failed(&self, task: &'static str, why: &'static str) {
        self.note().failed_tasks.insert(task, why);
    }

    /// Notes that a background task runs well again after a failure.
    pub fn task_runs(&self, task: &str) {
        self.note().failed_tasks.remove(task);
    }

    /// The background tasks that failed recently, as sentences for an operator.
    pub fn failed_tasks(&self) -> Vec<String> {
        let sentence = |(task, why): (&&str, &&str)| {
            format!("the background task `{task}` failed ({why}) and is being restarted: see the log")
        };
        self.note().failed_tasks.iter().map(sentence).collect()
    }

    fn note(&self) -> MutexGuard<'_, Note> {
        // Each change is a single step, so a panic elsewhere cannot leave the note inconsistent.
        self.0.note.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host of an origin, with its port if there is one: `example.kommo.com` for `https://example.kommo.com`.
fn host(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::WaitCause;

    fn wait(cause: WaitCause, why: &str, since: i64) -> AccountWait {
        let (why, advice) = (why.to_owned(), "do that".to_owned());
        AccountWait { cause, why, advice, since: Timestamp::from_millis(since), until: None }
    }

    #[test]
    fn a_stop_during_the_start_is_final() {
        let health = Health::new();
        assert_eq!(health.phase(), Phase::Starting);
        health.ready();
        assert_eq!(health.clone().phase(), Phase::Ready);
        health.draining();
        health.ready();
        assert_eq!(health.phase(), Phase::Draining);
    }

    #[test]
    fn the_first_registered_function_says_whether_all_accounts_wait() {
        let health = Health::new();
        assert_eq!(health.everybody_waits(), None);
        let waits = EverybodyWaits { why: "blocked".into(), until: None };
        let (asked, answer) = (health.clone(), waits.clone());
        health.on_everybody(move || Some(answer.clone()));
        health.on_everybody(|| None);
        assert_eq!(asked.everybody_waits(), Some(waits));
    }

    #[test]
    fn accounts_wait_until_they_resume_and_only_changes_are_news() {
        let health = Health::new();
        let is_news =
            |origin, why, since| health.account_waits(origin, wait(WaitCause::Unauthorized, why, since));
        assert!(is_news("https://b.kommo.com", "authorize it", 1));
        assert!(!is_news("https://b.kommo.com", "authorize it", 2));
        assert!(is_news("https://b.kommo.com", "pay the plan", 3));
        assert!(is_news("https://a.kommo.com", "authorize it", 4));
        let hosts: Vec<_> = health.waiting().into_iter().map(|waiting| waiting.account).collect();
        assert_eq!(hosts, ["a.kommo.com", "b.kommo.com"]);
        assert_eq!(health.waiting()[0].why, "authorize it; do that");
        assert_eq!(health.wait_of("https://b.kommo.com").unwrap().since, Timestamp::from_millis(1));
        assert!(health.account_resumes("https://b.kommo.com"));
        assert!(!health.account_resumes("https://b.kommo.com"));
        assert_eq!(health.waiting().len(), 1);
    }

    #[test]
    fn only_a_wait_that_needs_an_operator_is_listed() {
        let health = Health::new();
        health.account_waits("https://a.kommo.com", wait(WaitCause::TooMany, "429", 1));
        health.account_waits(ALL_ACCOUNTS, wait(WaitCause::Blocked, "403", 1));
        assert_eq!((health.waiting(), health.waits().len()), (vec![], 2));
        health.account_waits("https://a.kommo.com", wait(WaitCause::Unauthorized, "401", 5));
        let since = health.wait_of("https://a.kommo.com").map(|wait| wait.since);
        assert_eq!((health.waiting().len(), since), (1, Some(Timestamp::from_millis(5))), "another cause");
    }

    #[tokio::test]
    async fn each_changed_wait_is_taken_once_and_again_if_it_was_not_written() {
        let health = Health::new();
        health.account_waits("https://a.kommo.com", wait(WaitCause::Unauthorized, "401", 1));
        health.wait_changes().await;
        let taken = health.take_changed_waits();
        assert!(matches!(&taken[..], [(origin, Some(_))] if **origin == *"https://a.kommo.com"), "{taken:?}");
        health.account_waits("https://a.kommo.com", wait(WaitCause::Unauthorized, "401", 2));
        assert_eq!(health.take_changed_waits(), [], "nothing is new");
        health.give_back_changed_waits(taken.into_iter().map(|(origin, _)| origin));
        health.account_resumes("https://a.kommo.com");
        assert_eq!(health.take_changed_waits(), [("https://a.kommo.com".into(), None)]);
    }
}
