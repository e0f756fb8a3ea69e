//! What one transaction carries out.

use std::sync::Arc;
use std::time::Instant;

use model::{DeliveryReport, HandlerReport};

use crate::sqlite::file::log::LogStep;
use crate::sqlite::write::command::Errand;
use crate::sqlite::write::message::{Accept, Op, Reply, answer};
use crate::{StoreError, Written};

/// Operations by kind, in the order in which a transaction carries them out: errands last, because
/// claims then see what the same transaction made due.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) accepts: Vec<Accept>,
    pub(crate) handled: Vec<(Arc<HandlerReport>, Reply<Written>)>,
    pub(crate) sent: Vec<(Arc<DeliveryReport>, Reply<Written>)>,
    pub(crate) errands: Vec<Box<dyn Errand>>,
}

impl Batch {
    /// Sorts an operation in; gives back what is not part of a transaction.
    pub(crate) fn add(&mut self, operation: Op) -> Option<LogStep> {
        match operation {
            Op::Accept(accept) => self.accepts.push(*accept),
            Op::Handled(report, reply) => self.handled.push((report, reply)),
            Op::Sent(report, reply) => self.sent.push((report, reply)),
            Op::Errand(errand) => self.errands.push(errand),
            Op::Log(step) => return Some(step),
        }
        None
    }

    pub(crate) fn len(&self) -> usize {
        self.accepts.len() + self.handled.len() + self.sent.len() + self.errands.len()
    }

    #[cfg(test)]
    pub(crate) fn accepts(&self) -> usize {
        self.accepts.len()
    }

    /// Drops the requests whose callers have their 503 already.
    pub(crate) fn drop_late(&mut self, now: impl Fn() -> Instant) {
        for late in self.accepts.extract_if(.., |accept| accept.drop_after < now()) {
            answer(late.reply, Err(StoreError::Timeout));
        }
    }

    pub(crate) fn singles(self) -> impl Iterator<Item = Self> {
        let accepts = self.accepts.into_iter().map(|accept| Op::Accept(Box::new(accept)));
        let handled = self.handled.into_iter().map(|(report, reply)| Op::Handled(report, reply));
        let sent = self.sent.into_iter().map(|(report, reply)| Op::Sent(report, reply));
        let errands = self.errands.into_iter().map(Op::Errand);
        accepts.chain(handled).chain(sent).chain(errands).map(|operation| {
            let mut single = Self::default();
            single.add(operation);
            single
        })
    }

    pub(crate) fn fail(self, error: &StoreError) {
        tracing::warn!(%error, operations = self.len(), "nothing could be written");
        self.accepts.into_iter().for_each(|accept| answer(accept.reply, Err(error.clone())));
        self.handled.into_iter().for_each(|(_, reply)| answer(reply, Err(error.clone())));
        self.sent.into_iter().for_each(|(_, reply)| answer(reply, Err(error.clone())));
        self.errands.into_iter().for_each(|errand| errand.settle(Err(error.clone())));
    }
}
