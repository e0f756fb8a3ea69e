//! The part of a life that concerns processes: crashes, restarts, and changes of the calendar.

use std::cell::Cell;

use futures_util::future::join_all;

use super::super::hand_over::Room;
use super::super::*;
use super::known::Known;
use super::life::Life;
use super::model::Model;
use super::steps::Step;

/// A start does not move times by less than this.
const MIN_SHIFT: i64 = 1_000;

impl Life {
    /// Registers the rooms of a process. The rooms of the previous process are gone.
    pub(super) fn register_rooms(&mut self, workers: usize, senders: usize) {
        (self.free_workers, self.free_senders) = (Room::with(workers), Room::with(senders));
        self.free_workers.offers_itself_to(self.store.work());
        self.free_senders.offers_itself_to(self.store.delivery());
    }

    /// Ends the process like a kill: nothing is handed back, and nothing is closed.
    pub(super) async fn die(&self) {
        self.store.0.die().await;
    }

    pub(super) async fn open_again(&mut self) {
        self.store = self.home.serve().await;
        let now = self.store.0.moment();
        self.model.began(self.noted, now);
        self.noted = now;
        self.model.freed(None, now.steady);
        self.register_rooms(0, 0);
    }

    /// Sets the calendar forward by `millis`; back if `millis` is negative.
    pub(super) fn jump(&self, millis: i64) {
        self.home.clock.set(Timestamp::from_millis(self.home.now().as_millis() + millis));
    }

    /// Moves some of the keys, or moves all of them and deletes expired ones.
    pub(super) async fn move_keys(&mut self, all: bool) {
        let now = over(&self.store);
        if all {
            self.store.0.move_keys(now, 1).await.unwrap();
            self.store.0.forget_keys(now).await.unwrap();
            self.model.forgotten(now);
        } else {
            self.store.0.move_some_keys(now).await;
        }
    }

    /// Runs a step in another process. The owner reads the change at its next poll.
    pub(super) async fn observe(&mut self, step: Step) {
        let observer = self.home.open(Role::Observer).await.unwrap();
        let own = std::mem::replace(&mut self.store, observer);
        self.together(vec![step]).await;
        let observer = std::mem::replace(&mut self.store, own);
        observer.close().await;
        self.store.0.reload().await;
    }
}

impl Model {
    /// Moves the schedule as a start does. The previous process last stored the moment `last`.
    pub(super) fn began(&mut self, last: Moment, now: Moment) {
        let tried = now.steady.as_millis() - last.steady.as_millis();
        let down = now.calendar.as_millis() - last.calendar.as_millis();
        let promises = Some(tried - down.max(0)).filter(|by| by.abs() >= MIN_SHIFT).unwrap_or(0);
        let budgets = Some(tried).filter(|by| by.abs() >= MIN_SHIFT).unwrap_or(0);
        let later =
            |moment: &mut Timestamp, by: i64| *moment = Timestamp::from_millis(moment.as_millis() + by);
        for known in self.jobs.values_mut() {
            let rank = known.rank();
            let Known { job, delivery, waiting_since, .. } = known;
            match &mut job.state {
                State::Queued(QueueWait::Until(due_at) | QueueWait::Messages(due_at)) => {
                    later(due_at, promises)
                }
                State::Queued(QueueWait::Turn) | State::Running { .. } | State::AwaitingCallback => {}
                State::Delivering { due_at, .. } => {
                    later(due_at, promises);
                    if rank > 0 {
                        delivery.failing_since.iter_mut().for_each(|since| later(since, budgets));
                        delivery.refused_at.iter_mut().for_each(|refused_at| later(refused_at, budgets));
                    }
                }
                State::Dead { .. } => {
                    later(waiting_since, promises);
                    delivery.refused_at.iter_mut().for_each(|refused_at| later(refused_at, promises));
                    continue;
                }
                _ => continue,
            }
            later(waiting_since, promises);
            later(&mut job.answer_by, promises);
        }
    }
}

/// Lets the writer wait until it has all these operations, so that they share a transaction. An operation that finds nothing
/// to change may end without the writer.
pub(super) async fn at_once<T>(store: &Store, asking: Vec<impl Future<Output = T>>) -> Vec<T> {
    let (open, count, ended) = (hold(store).await, asking.len(), Cell::new(0));
    let asking = asking.into_iter().map(async |asked| {
        let answer = asked.await;
        ended.set(ended.get() + 1);
        answer
    });
    let release = async {
        while store.0.waiting() + ended.get() < count {
            tokio::task::yield_now().await;
        }
        open.send(()).unwrap();
    };
    tokio::join!(join_all(asking), release).0
}
