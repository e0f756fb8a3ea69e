//! The lines of conversations in the model.

use super::super::*;
use super::known::Known;
use super::model::Model;

impl Known {
    /// Returns the state of a job that is queued again.
    pub(super) fn queued_until(&self, due_at: Timestamp) -> State {
        State::Queued(self.coalesce.map_or(QueueWait::Until(due_at), |_| QueueWait::Messages(due_at)))
    }

    fn is_in_line_of(&self, other: &Self) -> bool {
        let key = |known: &Self| {
            let entity = known.job.request.entity.map(|entity| (entity.kind.code(), entity.id));
            (known.job.handler.clone(), known.job.request.account_id, entity)
        };
        self.turn.is_some() && key(self) == key(other)
    }
}

impl Model {
    /// Returns the place of a new job in its line, and how long it waits for further messages.
    pub(super) fn place(&self, new: &NewJob) -> (Option<i64>, Option<Duration>) {
        let Some(entity) = new.request.entity.filter(|_| new.ordering.is_by_conversation()) else {
            return (None, None);
        };
        let is_there = |known: &&Known| {
            let request = &known.job.request;
            (&known.job.handler, request.account_id, request.entity)
                == (&new.handler, new.request.account_id, Some(entity))
        };
        let last = self.jobs.values().filter(is_there).filter_map(|known| known.turn).max();
        (Some(last.unwrap_or(0) + 1), new.ordering.coalesce())
    }

    /// Returns the line of the conversation of job `id`.
    fn line(&self, id: JobId) -> Vec<JobId> {
        let of = &self.jobs[&id];
        let mut line: Vec<&Known> = self.jobs.values().filter(|known| known.is_in_line_of(of)).collect();
        line.sort_by_key(|known| known.turn);
        assert!(line.is_sorted_by(|a, b| a.turn < b.turn), "two jobs have the same place");
        line.into_iter().map(|known| known.job.id).collect()
    }

    /// Returns the first job of the line of job `id`, if that one waits for further messages; otherwise `id`.
    pub(super) fn first_message(&self, id: JobId) -> JobId {
        let first = self.line(id).first().copied().filter(|first| self.jobs[first].coalesce.is_some());
        first.filter(|_| self.jobs[&id].coalesce.is_some()).unwrap_or(id)
    }

    /// Returns the messages that run as one job, oldest first.
    fn messages(&self, line: &[JobId]) -> Vec<JobId> {
        let joins = |(place, id): &(usize, &JobId)| {
            let known = &self.jobs[id];
            known.coalesce.is_some() && (*place == 0 || known.job.state.name() == StateName::Queued)
        };
        line.iter().enumerate().take_while(joins).map(|(_, id)| *id).collect()
    }

    /// Gives the turn to the first job in the line of job `id`.
    pub(super) fn give(&mut self, id: JobId, now: Timestamp) {
        let line = self.line(id);
        let Some(first) = line.first() else { return };
        let gathering = |id: &JobId| {
            let known = &self.jobs[id];
            known.coalesce.map(|coalesce| Gathering { since: known.waiting_since, coalesce })
        };
        let due = gathering(first).map(|of_first| {
            let last = self.messages(&line).last().and_then(gathering);
            gathered_at(of_first, last.unwrap_or(of_first))
        });
        let known = self.jobs.get_mut(first).unwrap();
        match (known.job.state.name(), due) {
            (StateName::Queued, Some(due_at)) => {
                known.job.state = State::Queued(QueueWait::Messages(due_at));
            }
            (StateName::Queued, None) if known.job.state == State::Queued(QueueWait::Turn) => {
                known.job.state = State::Queued(QueueWait::Until(now));
            }
            _ => {}
        }
    }

    /// Takes job `id` out of its line, and gives the turn to the next one.
    pub(super) fn left(&mut self, id: JobId, now: Timestamp) {
        let known = self.jobs.get_mut(&id).unwrap();
        known.coalesce = None;
        if known.turn.take().is_some() {
            self.give(id, now);
        }
    }

    /// Applies what a worker's report on job `id` changes in its line.
    pub(super) fn after_report(&mut self, id: JobId, now: Timestamp) {
        let is_behind = self.line(id).first().is_some_and(|first| *first != id);
        let known = self.jobs.get_mut(&id).unwrap();
        match known.job.state.name() {
            StateName::Delivering => self.left(id, now),
            StateName::Queued if known.turn.is_some() && is_behind => {
                known.job.state = State::Queued(QueueWait::Turn);
            }
            _ => {}
        }
    }

    /// Joins the messages of which `first` was claimed.
    pub(super) fn join(&mut self, first: JobId, lease_until: Timestamp, now: Timestamp) {
        if self.jobs[&first].coalesce.is_none() {
            return;
        }
        let mut messages = self.messages(&self.line(first));
        let newest = messages.pop().unwrap();
        let mut earlier = Vec::new();
        for id in &messages {
            let known = self.jobs.get_mut(id).unwrap();
            earlier.push(known.job.request.data.clone());
            let prepared =
                PreparedCompletion { completion: CheckedCompletion::superseded(), outcome: Outcome::Handler };
            known.fence += 1;
            (known.turn, known.coalesce, known.job.joined_into) = (None, None, Some(newest));
            known.job.state = State::Delivering { prepared, due_at: now, lease_until: None };
        }
        let known = self.jobs.get_mut(&newest).unwrap();
        known.fence += i64::from(newest != first);
        known.coalesce = None;
        known.job.request.earlier = earlier;
        known.job.state = State::Running { lease_until };
    }
}
