//! Decides which lane the room checks next. Pure: no I/O and no clock.
//!
//! A lane with waiting jobs is in exactly one state. It is due *later*, is in the *ready* queue, is *taken* (its room
//! asks whether it may proceed), or is *parked*. A parked lane cannot proceed, so its room does not check it until a
//! set time or until an event frees it. So the cost of a round grows with the lanes that can proceed, not with the
//! lanes that wait.
//!
//! The ready queue is round-robin: a lane that was served goes to its end, even if it is parked before it becomes ready
//! again. So two lanes that one event frees, such as those of a moved account, take turns. Operations over all lanes,
//! such as finding the earliest due time, are for rooms with few lanes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;
use model::maps::HashMap;

/// A parked lane is checked after this time at the latest, in case the event that should free it was missed.
const MAX_PARKED: Duration = Duration::from_secs(60);
/// The same limit for a lane that only an event can free.
const MAX_PARKED_FOR_EVENT: Duration = Duration::from_secs(5);

/// The lanes of a room that have waiting jobs.
#[derive(Debug, Default)]
pub(crate) struct LaneQueue {
    lanes: HashMap<Arc<str>, Lane>,
    later: BTreeSet<(Timestamp, Arc<str>)>,
    ready: BTreeMap<Turn, Arc<str>>,
    next_turn: Turn,
    parked: BTreeSet<(Duration, Arc<str>)>,
    /// Parked lanes that wait for a permit, in the order in which they were parked.
    permit_waiters: BTreeMap<Turn, Arc<str>>,
    /// Lanes that wait under an alias, by alias.
    aliases: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// The lanes that were taken since the last round began.
    taken: Vec<Arc<str>>,
}

type Turn = u64;

#[derive(Debug)]
struct Lane {
    /// When the earliest of its jobs is due.
    due: Timestamp,
    state: LaneState,
    /// Its position in the ready queue. Lanes that were served earlier come first.
    turn: Turn,
    /// The name under which it waits; `None` for its own name.
    alias: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LaneState {
    Later,
    Ready,
    Taken {
        /// Whether an event came after the lane was taken, so that the room's decision may be out of date.
        changed: bool,
    },
    Parked {
        until: Duration,
        permit_turn: Option<Turn>,
    },
}

impl LaneQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Returns when the earliest job of `lane` is due.
    pub(crate) fn due_at(&self, lane: &str) -> Option<Timestamp> {
        self.lanes.get(lane).map(|known| known.due)
    }

    /// Returns all lanes, in any state, with the due time of their earliest job.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Arc<str>, Timestamp)> {
        self.lanes.iter().map(|(name, lane)| (name, lane.due))
    }

    /// Adds a job of `lane` that is due at `due`. Returns whether the room should check its lanes.
    pub(crate) fn add(&mut self, lane: &str, due: Timestamp) -> bool {
        match self.lanes.get(lane).map(|known| (known.due, known.state)) {
            None => self.insert(lane.into(), due),
            Some((earliest, LaneState::Parked { .. })) => {
                self.set_due(lane, due.min(earliest));
                return false;
            }
            Some((earliest, _)) => self.set_due(lane, due.min(earliest)),
        }
        true
    }

    /// Sets the due time of the earliest job of `lane`; `None` if no job waits there.
    pub(crate) fn set(&mut self, lane: &str, due: Option<Timestamp>) {
        match (due, self.lanes.get(lane).map(|known| known.state)) {
            (None, _) => self.remove(lane),
            (Some(due), None) => self.insert(lane.into(), due),
            // The room has claimed jobs of this lane, so its turn is over.
            (Some(due), Some(LaneState::Taken { .. })) => {
                self.set_due(lane, due);
                self.was_served(lane);
                self.move_to(lane, LaneState::Later);
            }
            (Some(due), Some(_)) => self.set_due(lane, due),
        }
    }

    /// Replaces all due times. A parked lane stays parked.
    pub(crate) fn replace(&mut self, due: HashMap<Arc<str>, Timestamp>) {
        let gone: Vec<Arc<str>> =
            self.lanes.keys().filter(|lane| !due.contains_key(*lane)).cloned().collect();
        gone.iter().for_each(|lane| self.remove(lane));
        let mut due = Vec::from_iter(due);
        // New lanes become ready in this order.
        due.sort_by_key(|(_, due)| *due);
        for (lane, due) in due {
            if self.lanes.contains_key(&lane) {
                self.set_due(&lane, due);
            } else {
                self.insert(lane, due);
            }
        }
    }

    /// Starts a round: lanes that are due, and lanes whose parking has ended, become ready. So do lanes that are still
    /// taken from the last round, because their claim failed.
    pub(crate) fn begin(&mut self, now: Timestamp, elapsed: Duration) {
        for lane in std::mem::take(&mut self.taken) {
            if self.lanes.get(&lane).is_some_and(|known| matches!(known.state, LaneState::Taken { .. })) {
                self.move_to(&lane, LaneState::Later);
            }
        }
        while let Some((until, lane)) = self.parked.first()
            && *until <= elapsed
        {
            let lane = lane.clone();
            self.move_to(&lane, LaneState::Later);
        }
        while let Some((due, lane)) = self.later.first()
            && *due <= now
        {
            let lane = lane.clone();
            self.move_to(&lane, LaneState::Ready);
        }
    }

    /// Takes the first ready lane. The caller then parks it, puts it back or claims jobs of it.
    pub(crate) fn take(&mut self) -> Option<Arc<str>> {
        let lane = self.ready.first_key_value()?.1.clone();
        self.move_to(&lane, LaneState::Taken { changed: false });
        self.taken.push(lane.clone());
        Some(lane)
    }

    /// Makes `lane`, which was taken, wait under another name: events of that name concern it.
    pub(crate) fn ask_as(&mut self, lane: &str, name: &Arc<str>) {
        if let Some((own, known)) = self.lanes.get_key_value(lane)
            && known.alias.as_ref() != Some(name)
        {
            let own = own.clone();
            self.forget_alias(lane);
            self.aliases.entry(name.clone()).or_default().push(own);
            if let Some(known) = self.lanes.get_mut(lane) {
                known.alias = Some(name.clone());
            }
        }
    }

    /// Parks `lane`, which was taken, until `until` or until an event frees it; `None` waits for an event only.
    pub(crate) fn park(&mut self, lane: &str, until: Option<Duration>, elapsed: Duration) {
        let latest = elapsed + until.map_or(MAX_PARKED_FOR_EVENT, |_| MAX_PARKED);
        let until = until.map_or(latest, |until| until.min(latest));
        self.leave(lane, LaneState::Parked { until, permit_turn: None });
    }

    /// Parks `lane`, which was taken, until it can get a permit.
    pub(crate) fn park_for_place(&mut self, lane: &str, elapsed: Duration) {
        let permit_turn = Some(self.turn());
        self.leave(lane, LaneState::Parked { until: elapsed + MAX_PARKED_FOR_EVENT, permit_turn });
    }

    /// Puts `lane`, which was taken, back at the front of the ready queue, because its obstacle stops all lanes.
    pub(crate) fn put_back(&mut self, lane: &str) {
        if let Some(LaneState::Taken { .. }) = self.lanes.get(lane).map(|known| known.state) {
            self.move_to(lane, LaneState::Ready);
        }
    }

    /// Frees the lanes that wait under `name`, and one lane that waits for a permit. Returns whether the room should
    /// check its lanes.
    pub(crate) fn freed(&mut self, name: &str) -> bool {
        let mut freed = self.free(name);
        for lane in self.aliases.get(name).cloned().unwrap_or_default() {
            freed |= self.free(&lane);
        }
        // Free one lane at a time. Each of these lanes already holds a permit, so its release frees the lane at the
        // latest.
        if let Some(lane) = self.permit_waiters.first_key_value().map(|(_, lane)| lane.clone()) {
            freed |= self.free(&lane);
        }
        freed || !self.ready.is_empty()
    }

    /// Returns the time until a job becomes due or a parking ends, unless an event comes earlier.
    pub(crate) fn next_poll(&self, now: Timestamp, elapsed: Duration) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let due = self.later.first().map(|(due, _)| due.since(now));
        let parked = self.parked.first().map(|(until, _)| until.saturating_sub(elapsed));
        due.into_iter().chain(parked).min()
    }

    fn free(&mut self, lane: &str) -> bool {
        match self.lanes.get_mut(lane).map(|known| &mut known.state) {
            Some(LaneState::Taken { changed }) => {
                *changed = true;
                true
            }
            Some(LaneState::Parked { .. }) => {
                self.move_to(lane, LaneState::Later);
                true
            }
            Some(LaneState::Later | LaneState::Ready) | None => false,
        }
    }

    /// Moves a lane that was taken into `state`. If an event came after it was taken, the next round checks it instead.
    fn leave(&mut self, lane: &str, state: LaneState) {
        match self.lanes.get(lane).map(|known| known.state) {
            Some(LaneState::Taken { changed: false }) => self.move_to(lane, state),
            Some(LaneState::Taken { changed: true }) => self.move_to(lane, LaneState::Later),
            _ => {}
        }
    }

    fn turn(&mut self) -> Turn {
        self.next_turn += 1;
        self.next_turn
    }

    fn insert(&mut self, lane: Arc<str>, due: Timestamp) {
        let turn = self.turn();
        self.later.insert((due, lane.clone()));
        self.lanes.insert(lane, Lane { due, state: LaneState::Later, turn, alias: None });
    }

    fn was_served(&mut self, lane: &str) {
        let turn = self.turn();
        if let Some(known) = self.lanes.get_mut(lane) {
            known.turn = turn;
        }
    }

    fn remove(&mut self, lane: &str) {
        self.forget_alias(lane);
        self.remove_from_collection(lane);
        self.lanes.remove(lane);
    }

    fn set_due(&mut self, lane: &str, due: Timestamp) {
        let Some((name, known)) = self.lanes.get_key_value(lane) else { return };
        if known.state == LaneState::Later && known.due != due {
            let name = name.clone();
            self.later.remove(&(known.due, name.clone()));
            self.later.insert((due, name));
        }
        if let Some(known) = self.lanes.get_mut(lane) {
            known.due = due;
        }
    }

    fn move_to(&mut self, lane: &str, state: LaneState) {
        let Some(name) = self.remove_from_collection(lane) else { return };
        let Some(known) = self.lanes.get_mut(lane) else { return };
        known.state = state;
        match state {
            LaneState::Later => {
                self.later.insert((known.due, name));
            }
            LaneState::Ready => {
                self.ready.insert(known.turn, name);
            }
            LaneState::Taken { .. } => {}
            LaneState::Parked { until, permit_turn } => {
                if let Some(turn) = permit_turn {
                    self.permit_waiters.insert(turn, name.clone());
                }
                self.parked.insert((until, name));
            }
        }
    }

    fn remove_from_collection(&mut self, lane: &str) -> Option<Arc<str>> {
        let (name, known) = self.lanes.get_key_value(lane)?;
        let name = name.clone();
        match known.state {
            LaneState::Later => {
                self.later.remove(&(known.due, name.clone()));
            }
            LaneState::Ready => {
                self.ready.remove(&known.turn);
            }
            LaneState::Taken { .. } => {}
            LaneState::Parked { until, permit_turn } => {
                self.parked.remove(&(until, name.clone()));
                if let Some(turn) = permit_turn {
                    self.permit_waiters.remove(&turn);
                }
            }
        }
        Some(name)
    }

    fn forget_alias(&mut self, lane: &str) {
        let Some(name) = self.lanes.get_mut(lane).and_then(|known| known.alias.take()) else { return };
        if let Some(lanes) = self.aliases.get_mut(&name) {
            lanes.retain(|known| **known != *lane);
            if lanes.is_empty() {
                self.aliases.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests;
