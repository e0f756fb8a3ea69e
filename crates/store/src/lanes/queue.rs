//! Which lane is looked at next: an ordered structure, no I/O and no clock.
//!
//! A lane with waiting jobs is in one place: it is due *later*, stands in the *line*, is *out* (its room asks whether
//! it may go), or is *parked*. A parked lane cannot go, and its room does not look at it until a moment comes or an
//! event frees it. So a look costs as much as there are lanes that can go, however many wait.
//!
//! The line is a round: a lane that was served goes to its end, also if it is parked before it is in the line again. So two
//! lanes that one event frees, as those of an account that has moved, take turns. What a room may do with all lanes at
//! once, as to ask for the earliest due time, is for rooms with few lanes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;

/// A parked lane is looked at after this time at the latest: the fallback if the event that should free it was missed.
const MAX_PARKED: Duration = Duration::from_secs(60);
/// The same for a lane that only an event frees.
const MAX_PARKED_FOR_EVENT: Duration = Duration::from_secs(5);

/// The lanes of a room that have waiting jobs.
#[derive(Debug, Default)]
pub(crate) struct LaneQueue {
    lanes: HashMap<Arc<str>, Lane>,
    later: BTreeSet<(Timestamp, Arc<str>)>,
    line: BTreeMap<Turn, Arc<str>>,
    next_turn: Turn,
    parked: BTreeSet<(Duration, Arc<str>)>,
    /// Parked lanes that more places would free, in the order in which they were parked.
    crowd: BTreeMap<Turn, Arc<str>>,
    /// Lanes that ask under another name than their own, by that name.
    aliases: HashMap<Arc<str>, Vec<Arc<str>>>,
    out: Vec<Arc<str>>,
}

type Turn = u64;

#[derive(Debug)]
struct Lane {
    /// When the earliest of its jobs is due.
    due: Timestamp,
    state: LaneState,
    /// Its place in the line whenever it stands there: who was served before others goes before them.
    turn: Turn,
    /// The name under which it asks, if that is not its own.
    alias: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LaneState {
    Later,
    Line,
    Out {
        /// An event came after it was taken, so what its room was told may be out of date.
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

    /// When the earliest job of `lane` is due.
    pub(crate) fn due_at(&self, lane: &str) -> Option<Timestamp> {
        self.lanes.get(lane).map(|known| known.due)
    }

    /// All lanes, wherever they are, and when the earliest job of each is due.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Arc<str>, Timestamp)> {
        self.lanes.iter().map(|(name, lane)| (name, lane.due))
    }

    /// A job is due in `lane` at `due`. Says whether that is a reason to look.
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

    /// The earliest job of `lane` is due at `due`; `None` if no job waits there.
    pub(crate) fn set(&mut self, lane: &str, due: Option<Timestamp>) {
        match (due, self.lanes.get(lane).map(|known| known.state)) {
            (None, _) => self.remove(lane),
            (Some(due), None) => self.insert(lane.into(), due),
            // Its room has claimed for it: that was its turn.
            (Some(due), Some(LaneState::Out { .. })) => {
                self.set_due(lane, due);
                self.was_served(lane);
                self.move_to(lane, LaneState::Later);
            }
            (Some(due), Some(_)) => self.set_due(lane, due),
        }
    }

    /// Replaces all that is known of what is due. A parked lane stays parked.
    pub(crate) fn replace(&mut self, due: HashMap<Arc<str>, Timestamp>) {
        let gone: Vec<Arc<str>> =
            self.lanes.keys().filter(|lane| !due.contains_key(*lane)).cloned().collect();
        gone.iter().for_each(|lane| self.remove(lane));
        let mut due = Vec::from_iter(due);
        // New ones stand in the line in this order.
        due.sort_by_key(|(_, due)| *due);
        for (lane, due) in due {
            if self.lanes.contains_key(&lane) {
                self.set_due(&lane, due);
            } else {
                self.insert(lane, due);
            }
        }
    }

    /// Begins a round: what is due by now, and what was parked until now, goes to the end of the line.
    ///
    /// So does what was out when the last round ended: its claim failed.
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

    /// Takes the first lane of the line. It is then to be parked, put back or claimed for.
    pub(crate) fn take(&mut self) -> Option<Arc<str>> {
        let lane = self.line.first_key_value()?.1.clone();
        self.move_to(&lane, LaneState::Out { changed: false });
        self.out.push(lane.clone());
        Some(lane)
    }

    /// `lane`, which was taken, asks under another name: events of that name concern it.
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

    /// `lane`, which was taken, cannot go before `until`, unless an event frees it; `None` if only an event does.
    pub(crate) fn park(&mut self, lane: &str, until: Option<Duration>, elapsed: Duration) {
        let latest = elapsed + until.map_or(MAX_PARKED_FOR_EVENT, |_| MAX_PARKED);
        let until = until.map_or(latest, |until| until.min(latest));
        self.leave(lane, LaneState::Parked { until, crowd: None });
    }

    /// `lane`, which was taken, cannot go before there are more places.
    pub(crate) fn park_for_place(&mut self, lane: &str, elapsed: Duration) {
        let crowd = Some(self.turn());
        self.leave(lane, LaneState::Parked { until: elapsed + MAX_PARKED_FOR_EVENT, crowd });
    }

    /// `lane`, which was taken, is the first in the line again: what holds it holds all others too.
    pub(crate) fn put_back(&mut self, lane: &str) {
        if let Some(LaneState::Out { .. }) = self.lanes.get(lane).map(|known| known.state) {
            self.move_to(lane, LaneState::Line);
        }
    }

    /// Something changed for `name`, and perhaps a place became free. Says whether there is a reason to look.
    pub(crate) fn freed(&mut self, name: &str) -> bool {
        let mut freed = self.free(name);
        for lane in self.aliases.get(name).cloned().unwrap_or_default() {
            freed |= self.free(&lane);
        }
        // One at a time. Each of them has a place already, so at the latest that one frees it.
        if let Some(lane) = self.crowd.first_key_value().map(|(_, lane)| lane.clone()) {
            freed |= self.free(&lane);
        }
        freed || !self.line.is_empty()
    }

    /// How long nothing changes by the time alone: until a job is due, or a parked lane is to be looked at.
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

    /// A lane that was taken goes into `state`, unless an event came meanwhile: then it is looked at again.
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
        self.take_from_its_place(lane);
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
        let Some(name) = self.take_from_its_place(lane) else { return };
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

    fn take_from_its_place(&mut self, lane: &str) -> Option<Arc<str>> {
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
