//! What waits for the writer, and what of it goes into the next transaction.
//!
//! Requests come first, whatever waits before them: their callers wait for an answer, and have two seconds. All else waits
//! for no one's patience, and a transaction takes only so much of it, because the requests that come meanwhile have to wait
//! for its end.

use std::collections::VecDeque;

use super::batch::Batch;
use crate::sqlite::file::log::LogStep;
use crate::sqlite::write::message::Message;

/// Operations that may wait here; further ones wait in front, in the channel.
pub(crate) const MAX_QUEUED: usize = 4_096;
/// The most requests in one transaction.
const MAX_ACCEPTS: usize = 512;
/// The most of all else: more in one transaction makes it hardly cheaper, and longer for those who come meanwhile.
const MAX_OTHERS: usize = 256;

/// Operations in the order in which they came, requests apart.
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

    /// The next transaction, and what is done with the log after it.
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
    use crate::tests::{Home, PATIENCE};

    fn command() -> Message {
        Message::Command(Queued::new(ForgetWaits).0)
    }

    fn accept() -> Message {
        let (job, drop_after) = (Home::new().request(), deadline(PATIENCE));
        Message::Accept(Box::new(Accept { job, known: None, drop_after, reply: oneshot::channel().0 }))
    }

    #[test]
    fn requests_go_before_all_that_came_earlier_and_a_transaction_takes_only_so_much_else() {
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
