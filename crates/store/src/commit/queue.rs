//! The operations that wait for the writer, and the choice of the next transaction.
//!
//! Requests overtake all other operations, because their callers wait for an answer only until
//! `server.ack_deadline`. A transaction takes a limited number of the other operations, because requests that arrive in
//! the meantime wait for it to end. [`Fairness`](super::fairness::Fairness) may limit the requests too, but none waits
//! longer than [`MAX_YIELD`] for that reason.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::message::{Accept, Answering, Message};

/// The maximum number of operations in the queue. Further ones wait in the channel.
pub(crate) const MAX_QUEUED: usize = 4_096;
/// The maximum number of requests in one transaction.
const MAX_ACCEPTS: usize = 512;
/// The maximum number of other operations in one transaction. More would save little, and would delay newly arriving
/// requests.
const MAX_OTHERS: usize = 256;
/// The longest time for which a request waits so that open jobs get on.
const MAX_YIELD: Duration = Duration::from_millis(100);

/// Operations in order of arrival, with a separate queue for requests.
pub(crate) struct Queue<C, B> {
    accepts: VecDeque<Box<Accept>>,
    others: VecDeque<Message<C, B>>,
}

impl<C, B> Default for Queue<C, B> {
    fn default() -> Self {
        Self { accepts: VecDeque::new(), others: VecDeque::new() }
    }
}

impl<C: Answering, B: Ord> Queue<C, B> {
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.accepts.len() + self.others.len()
    }

    /// Whether no one waits for an operation in the queue: the sender's reports only end what has already happened.
    pub(crate) fn can_wait(&self) -> bool {
        self.accepts.is_empty() && self.others.iter().all(|other| matches!(other, Message::Sent(..)))
    }

    pub(crate) fn push(&mut self, operation: Message<C, B>) {
        match operation {
            Message::Accept(accept) => self.accepts.push_back(accept),
            other => self.others.push_back(other),
        }
    }

    /// Returns the operations of the next transaction, and what the writer does after it: the greatest step. Takes at most
    /// `max_accepts` requests (`None` for no limit), and those that have waited longer than [`MAX_YIELD`].
    pub(crate) fn batch(&mut self, max_accepts: Option<usize>, now: Instant) -> (Batch<C>, Option<B>) {
        let (mut batch, mut between) = (Batch::default(), None);
        let waited = self.accepts.partition_point(|accept| now.duration_since(accept.asked_at) > MAX_YIELD);
        let accepts = max_accepts.map_or(self.accepts.len(), |max| max.max(waited));
        batch.accepts.extend(self.accepts.drain(..accepts.min(self.accepts.len()).min(MAX_ACCEPTS)));
        for operation in self.others.drain(..self.others.len().min(MAX_OTHERS)) {
            between = between.max(batch.add(operation));
        }
        (batch, between)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::oneshot;

    use model::AfterDelivery;

    use super::*;
    use crate::StoreError;
    use crate::commit::operations::now;
    use crate::tests::{COMMIT_TIMEOUT, Home, sent};

    struct Anything;

    impl Answering for Anything {
        fn complete(self, _: Result<(), StoreError>) {}
    }

    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Step;

    type Message = super::Message<Anything, Step>;

    fn command() -> Message {
        Message::Command(Anything)
    }

    fn accept(asked_at: Instant) -> Message {
        let (job, drop_after) = (Home::new().request(), asked_at + COMMIT_TIMEOUT);
        let reply = oneshot::channel().0;
        Message::Accept(Box::new(Accept { job, known: None, asked_at, drop_after, reply }))
    }

    #[test]
    fn requests_precede_earlier_operations_and_a_transaction_limits_both() {
        let mut queue = Queue::default();
        (0..300).for_each(|_| queue.push(command()));
        let now = now();
        (0..600).for_each(|_| queue.push(accept(now)));
        queue.push(Message::Between(Step));
        let mut sizes = Vec::new();
        while !queue.is_empty() {
            let (batch, step) = queue.batch(None, now);
            sizes.push((batch.accepts(), batch.len() - batch.accepts(), step));
        }
        assert_eq!(sizes, [(512, 256, None), (88, 44, Some(Step))]);
    }

    #[test]
    fn limited_requests_wait_but_not_for_long() {
        let (now, mut queue) = (now(), Queue::default());
        let asked_at = |ms| now + Duration::from_millis(ms);
        [0, 50, 90].into_iter().for_each(|ms| queue.push(accept(asked_at(ms))));
        assert_eq!(queue.batch(Some(1), now).0.accepts(), 1);
        assert_eq!(queue.batch(Some(0), asked_at(150)).0.accepts(), 0);
        assert_eq!(queue.batch(Some(0), asked_at(151)).0.accepts(), 1);
        assert_eq!(queue.batch(Some(9), asked_at(151)).0.accepts(), 1);
    }

    #[tokio::test]
    async fn only_reports_of_the_sender_may_wait_for_company() {
        let home = Home::new();
        let job = home.delivering(&home.serve().await).await;
        let report = Arc::new(sent(job, AfterDelivery::Delivered));
        let sent = || Message::Sent(report.clone(), oneshot::channel().0);
        for (operations, can_wait) in [
            (vec![sent()], true),
            (vec![sent(), sent()], true),
            (vec![sent(), command()], false),
            (vec![sent(), accept(now())], false),
            (vec![command()], false),
            (vec![Message::Between(Step)], false),
        ] {
            let mut queue = Queue::default();
            let count = operations.len();
            operations.into_iter().for_each(|operation| queue.push(operation));
            assert_eq!(queue.can_wait(), can_wait, "{count}");
        }
    }
}
