//! The operations that wait for the writer, and the choice of the next transaction.
//!
//! Requests overtake all other operations, because their callers wait for an answer only until
//! `server.ack_deadline`. A transaction takes a limited number of the other operations, because requests that arrive in
//! the meantime wait for it to end.

use std::collections::VecDeque;

use super::batch::Batch;
use crate::sqlite::file::log::LogStep;
use crate::sqlite::write::message::Message;

/// The maximum number of operations in the queue. Further ones wait in the channel.
pub(crate) const MAX_QUEUED: usize = 4_096;
/// The maximum number of requests in one transaction.
const MAX_ACCEPTS: usize = 512;
/// The maximum number of other operations in one transaction. More would save little, and would delay newly arriving
/// requests.
const MAX_OTHERS: usize = 256;

/// Operations in order of arrival, with a separate queue for requests.
#[derive(Default)]
pub(crate) struct Queue {
    accepts: VecDeque<Message>,
    others: VecDeque<Message>,
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.accepts.len() + self.others.len()
    }

    pub(crate) fn push(&mut self, operation: Message) {
        match operation {
            Message::Accept(_) => self.accepts.push_back(operation),
            _ => self.others.push_back(operation),
        }
    }

    /// Returns the operations of the next transaction, and what the writer does with the log after it.
    pub(crate) fn batch(&mut self) -> (Batch, Option<LogStep>) {
        let (mut batch, mut log) = (Batch::default(), None);
        let accepts = self.accepts.drain(..self.accepts.len().min(MAX_ACCEPTS));
        let others = self.others.drain(..self.others.len().min(MAX_OTHERS));
        for operation in accepts.chain(others) {
            log = log.max(batch.add(operation));
        }
        (batch, log)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::sqlite::accounts::waits::ForgetWaits;
    use crate::sqlite::jobs::accept::deadline;
    use crate::sqlite::write::command::Queued;
    use crate::sqlite::write::message::Accept;
    use crate::tests::{COMMIT_TIMEOUT, Home};

    fn command() -> Message {
        Message::Command(Queued::new(ForgetWaits).0)
    }

    fn accept() -> Message {
        let (job, drop_after) = (Home::new().request(), deadline(COMMIT_TIMEOUT));
        Message::Accept(Box::new(Accept { job, known: None, drop_after, reply: oneshot::channel().0 }))
    }

    #[test]
    fn requests_precede_earlier_operations_and_a_transaction_limits_both() {
        let mut queue = Queue::default();
        (0..300).for_each(|_| queue.push(command()));
        (0..600).for_each(|_| queue.push(accept()));
        queue.push(Message::Log(LogStep::Restart));
        let mut sizes = Vec::new();
        while !queue.is_empty() {
            let (batch, log) = queue.batch();
            sizes.push((batch.accepts(), batch.len() - batch.accepts(), log));
        }
        assert_eq!(sizes, [(512, 256, None), (88, 44, Some(LogStep::Restart))]);
    }
}
