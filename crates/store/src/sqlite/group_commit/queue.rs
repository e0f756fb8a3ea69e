//! What waits for the writer, and what of it goes into the next transaction.
//!
//! Requests come first, whatever waits before them: their callers wait for an answer, and have two seconds. All else waits
//! for nobody's patience, and a transaction takes only so much of it, because the requests that come meanwhile have to wait
//! for its end.

use std::collections::VecDeque;

use crate::sqlite::file::log::LogStep;
use crate::sqlite::group_commit::writer::{Batch, Op};

/// Operations that may wait here; further ones wait in front, in the channel.
pub(crate) const WAITING: usize = 4_096;
/// The most requests in one transaction.
const MOST_ACCEPTS: usize = 512;
/// The most of all else: more in one transaction makes it hardly cheaper, and longer for those who come meanwhile.
const MOST_OTHERS: usize = 256;

/// Operations in the order in which they came, requests apart.
#[derive(Default)]
pub(crate) struct Queue {
    accepts: VecDeque<Op>,
    others: VecDeque<Op>,
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.accepts.len() + self.others.len()
    }

    pub(crate) fn push(&mut self, operation: Op) {
        match operation {
            Op::Accept(_) => self.accepts.push_back(operation),
            _ => self.others.push_back(operation),
        }
    }

    /// The next transaction, and what is done with the log after it.
    pub(crate) fn batch(&mut self) -> (Batch, Option<LogStep>) {
        let (mut batch, mut log) = (Batch::default(), None);
        let accepts = self.accepts.drain(..self.accepts.len().min(MOST_ACCEPTS));
        let others = self.others.drain(..self.others.len().min(MOST_OTHERS));
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
    use crate::sqlite::maintenance::delete::Probe;
    use crate::sqlite::write::command::Pending;

    fn errand() -> Op {
        Op::Errand(Pending::new(Probe).0)
    }

    fn accept() -> Op {
        Op::Accept(Box::new(crate::tests::an_accept(oneshot::channel().0)))
    }

    #[test]
    fn requests_go_before_all_that_came_earlier_and_a_transaction_takes_only_so_much_else() {
        let mut queue = Queue::default();
        (0..300).for_each(|_| queue.push(errand()));
        (0..600).for_each(|_| queue.push(accept()));
        queue.push(Op::Log(LogStep::Restart));
        let mut sizes = Vec::new();
        while !queue.is_empty() {
            let (batch, log) = queue.batch();
            sizes.push((batch.accepts(), batch.len() - batch.accepts(), log));
        }
        assert_eq!(sizes, [(512, 256, None), (88, 44, Some(LogStep::Restart))]);
    }
}
