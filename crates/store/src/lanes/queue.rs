//! Which lane the room checks next: an ordered structure without I/O or a clock.
//!
//! A lane with waiting jobs is in exactly one state. It is due *later*, waits in the *line*, is *out* (its room asks
//! whether it may proceed), or is *parked*. A parked lane cannot proceed, so its room does not check it until a moment
//! comes or an event frees it. The cost of a round thus grows with the lanes that can proceed, not with the lanes that
//! wait.
//!
//! The line is round-robin: a lane that was served goes to its end, even if it is parked before it joins the line again.
//! So two lanes that one event frees, such as those of a moved account, take turns. Operations over all lanes, such as
//! finding the earliest due time, are for rooms with few lanes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;

/// A parked lane is checked after this time at the latest, in case the event that should free it was missed.
const MAX_PARKED: Duration = Duration::from_secs(60);
/// The same for a lane that only an event can free.
const MAX_PARKED_FOR_EVENT: Duration = Duration::from_secs(5);

/// The lanes of a room that have waiting jobs.
#[derive(Debug, Default)]
pub(crate) struct LaneQueue {
    lanes: HashMap<Arc<str>, Lane>,
    later: BTreeSet<(Timestamp, Arc<str>)>,
    line: BTreeMap<Turn, Arc<str>>,
    next_turn: Turn,
    parked: BTreeSet<(Duration, Arc<str>)>,
    /// Parked lanes that wait for more permits, in the order in which they were parked.
    crowd: BTreeMap<Turn, Arc<str>>,
    /// Lanes that wait under another name than their own, by that name.
    aliases: HashMap<Arc<str>, Vec<Arc<str>>>,
    out: Vec<Arc<str>>,
}

type Turn = u64;

#[derive(Debug)]
struct Lane {
    /// When the earliest of its jobs is due.
    due: Timestamp,
    state: LaneState,
    /// Its position in the line. Lanes that were served earlier come first.
    turn: Turn,
    /// The name under which it waits, if not its own.
    alias: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LaneState {
    Later,
    Line,
    Out {
        /// An event came after the lane was taken, so what the room knows may be out of date.
        changed: bool,
    },
    Parked {
        until: Duration,
        crowd: Option<Turn>,
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
            (Some(due), Some(LaneState::Out { .. })) => {
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
        // New lanes join the line in this order.
        due.sort_by_key(|(_, due)| *due);
        for (lane, due) in due {
            if self.lanes.contains_key(&lane) {
                self.set_due(&lane, due);
            } else {
                self.insert(lane, due);
            }
        }
    }

    /// Starts a round: lanes that are due, and lanes whose parking has ended, join the line.
    ///
    /// So do lanes that were out when the last round ended, because their claim failed.
    pub(crate) fn begin(&mut self, now: Timestamp, elapsed: Duration) {
        for lane in std::mem::take(&mut self.out) {
            if self.lanes.get(&lane).is_some_and(|known| matches!(known.state, LaneState::Out { .. })) {
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
            self.move_to(&lane, LaneState::Line);
        }
    }

    /// Takes the first lane from the line. The caller then parks it, puts it back or claims for it.
    pub(crate) fn take(&mut self) -> Option<Arc<str>> {
        let lane = self.line.first_key_value()?.1.clone();
        self.move_to(&lane, LaneState::Out { changed: false });
        self.out.push(lane.clone());
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
        self.leave(lane, LaneState::Parked { until, crowd: None });
    }

    /// Parks `lane`, which was taken, until it can get more permits.
    pub(crate) fn park_for_place(&mut self, lane: &str, elapsed: Duration) {
        let crowd = Some(self.turn());
        self.leave(lane, LaneState::Parked { until: elapsed + MAX_PARKED_FOR_EVENT, crowd });
    }

    /// Puts `lane`, which was taken, back at the front of the line, because its obstacle holds up all lanes.
    pub(crate) fn put_back(&mut self, lane: &str) {
        if let Some(LaneState::Out { .. }) = self.lanes.get(lane).map(|known| known.state) {
            self.move_to(lane, LaneState::Line);
        }
    }

    /// Frees the lanes that wait under `name`, and one lane that waits for a permit. Returns whether the room should
    /// check its lanes.
    pub(crate) fn freed(&mut self, name: &str) -> bool {
        let mut freed = self.free(name);
        for lane in self.aliases.get(name).cloned().unwrap_or_default() {
            freed |= self.free(&lane);
        }
        // One lane at a time. Each of these lanes already holds a permit, and the release of that permit frees it at the
        // latest.
        if let Some(lane) = self.crowd.first_key_value().map(|(_, lane)| lane.clone()) {
            freed |= self.free(&lane);
        }
        freed || !self.line.is_empty()
    }

    /// Returns the time until a job becomes due or a parking ends, unless an event comes earlier.
    pub(crate) fn next_poll(&self, now: Timestamp, elapsed: Duration) -> Option<Duration> {
        if !self.line.is_empty() {
            return Some(Duration::ZERO);
        }
        let due = self.later.first().map(|(due, _)| due.since(now));
        let parked = self.parked.first().map(|(until, _)| until.saturating_sub(elapsed));
        due.into_iter().chain(parked).min()
    }

    fn free(&mut self, lane: &str) -> bool {
        match self.lanes.get_mut(lane).map(|known| &mut known.state) {
            Some(LaneState::Out { changed }) => {
                *changed = true;
                true
            }
            Some(LaneState::Parked { .. }) => {
                self.move_to(lane, LaneState::Later);
                true
            }
            Some(LaneState::Later | LaneState::Line) | None => false,
        }
    }

    /// Moves a lane that was taken into `state`. If an event came in the meantime, the lane is checked again instead.
    fn leave(&mut self, lane: &str, state: LaneState) {
        match self.lanes.get(lane).map(|known| known.state) {
            Some(LaneState::Out { changed: false }) => self.move_to(lane, state),
            Some(LaneState::Out { changed: true }) => self.move_to(lane, LaneState::Later),
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
            LaneState::Line => {
                self.line.insert(known.turn, name);
            }
            LaneState::Out { .. } => {}
            LaneState::Parked { until, crowd } => {
                if let Some(turn) = crowd {
                    self.crowd.insert(turn, name.clone());
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
            LaneState::Line => {
                self.line.remove(&known.turn);
            }
            LaneState::Out { .. } => {}
            LaneState::Parked { until, crowd } => {
                self.parked.remove(&(until, name.clone()));
                if let Some(turn) = crowd {
                    self.crowd.remove(&turn);
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
