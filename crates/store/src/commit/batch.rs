//! The operations of one transaction.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use model::{DeliveryReport, HandlerReport};

use super::message::{Accept, Answering, Message, OnWritten, Reply, answer};
use crate::{StoreError, Written};

/// Operations by kind, in the order in which a transaction carries them out. Commands come last, so that claims see the
/// jobs that the same transaction made due.
pub(crate) struct Batch<C> {
    #[allow(clippy::vec_box, reason = "a request is large, and moves from list to list")]
    pub(crate) accepts: Vec<Box<Accept>>,
    pub(crate) handled: Vec<(Arc<HandlerReport>, OnWritten)>,
    pub(crate) sent: Vec<(Arc<DeliveryReport>, Reply<Written>)>,
    pub(crate) commands: Vec<C>,
}

impl<C> Default for Batch<C> {
    fn default() -> Self {
        Self { accepts: Vec::new(), handled: Vec::new(), sent: Vec::new(), commands: Vec::new() }
    }
}

impl<C: Answering> Batch<C> {
    /// Adds an operation to its list. Returns what runs between transactions instead of adding it.
    pub(crate) fn add<B>(&mut self, operation: Message<C, B>) -> Option<B> {
        match operation {
            Message::Accept(accept) => self.accepts.push(accept),
            Message::Handled(report, on_written) => self.handled.push((report, on_written)),
            Message::Sent(report, reply) => self.sent.push((report, reply)),
            Message::Command(command) => self.commands.push(command),
            Message::Between(step) => return Some(step),
        }
        None
    }

    pub(crate) fn len(&self) -> usize {
        self.accepts.len() + self.handled.len() + self.sent.len() + self.commands.len()
    }

    /// Whether it contains requests or reports, and not only commands.
    pub(crate) fn has_jobs(&self) -> bool {
        self.len() > self.commands.len()
    }

    #[cfg(test)]
    pub(crate) fn accepts(&self) -> usize {
        self.accepts.len()
    }

    /// Drops the requests whose callers no longer wait, because they have already answered 503.
    pub(crate) fn drop_late(&mut self, now: impl Fn() -> Instant) {
        for late in self.accepts.extract_if(.., |accept| accept.drop_after < now()) {
            answer(late.reply, Err(StoreError::Timeout));
        }
    }

    /// Splits the batch into batches of one operation each.
    pub(crate) fn singles(self) -> impl Iterator<Item = Self> {
        let accepts = self.accepts.into_iter().map(Message::Accept);
        let handled = self.handled.into_iter().map(|(report, then)| Message::Handled(report, then));
        let sent = self.sent.into_iter().map(|(report, reply)| Message::Sent(report, reply));
        let commands = self.commands.into_iter().map(Message::Command);
        accepts.chain(handled).chain(sent).chain(commands).map(|operation| {
            let mut single = Self::default();
            single.add::<Infallible>(operation);
            single
        })
    }

    /// Answers every caller with `error`.
    pub(crate) fn fail(self, error: &StoreError) {
        tracing::warn!(%error, operations = self.len(), "the transaction failed; none of its operations was written");
        self.accepts.into_iter().for_each(|accept| answer(accept.reply, Err(error.clone())));
        self.handled.into_iter().for_each(|(_, on_written)| on_written.answer(Err(error.clone())));
        self.sent.into_iter().for_each(|(_, reply)| answer(reply, Err(error.clone())));
        self.commands.into_iter().for_each(|command| command.complete(Err(error.clone())));
    }
}
