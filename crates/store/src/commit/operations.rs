//! The callers' side of the writer: they send it operations, and wait for its answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use model::clock::Clock;
use model::{DeliveryReport, HandlerReport, NewJob};

use super::message::{Accept, Message, OnWritten, Reply, answer};
use crate::lock::lock;
use crate::{Accepted, StoreError, Written};

/// The maximum number of operations in the writer's channel. Further senders wait.
const MAX_QUEUED_MESSAGES: usize = 4_096;
/// The delay between two attempts to write a report while the store cannot be written.
pub(crate) const REPORT_RETRY_DELAY: Duration = Duration::from_millis(500);

/// The channel to the writer. `C` and `B` are as in [`Message`].
pub(crate) struct Operations<C, B> {
    /// `None` once the store is closed.
    sender: Mutex<Option<mpsc::Sender<Message<C, B>>>>,
    /// Where the store's own tasks run.
    runtime: Handle,
    /// Whether jobs were written lately.
    was_used: AtomicBool,
    clock: Clock,
}

impl<C: Send + 'static, B: Send + 'static> Operations<C, B> {
    /// Creates the channel. The writer takes its messages from the receiver.
    pub(crate) fn new(clock: Clock) -> (Self, mpsc::Receiver<Message<C, B>>) {
        let (sender, receiver) = mpsc::channel(MAX_QUEUED_MESSAGES);
        let (sender, was_used) = (Mutex::new(Some(sender)), AtomicBool::new(false));
        (Self { sender, runtime: Handle::current(), was_used, clock }, receiver)
    }

    /// Stores a request, unless that takes longer than `within`.
    pub(crate) async fn accept(&self, job: NewJob, within: Duration) -> Result<Accepted, StoreError> {
        let (reply, answered) = oneshot::channel();
        let asked_at = now();
        let accept = Accept { job, known: None, asked_at, drop_after: asked_at + within, reply };
        let stored = async {
            self.send(Message::Accept(Box::new(accept))).await?;
            answered.await.unwrap_or(Err(StoreError::Closed))
        };
        tokio::time::timeout(within, stored).await.unwrap_or(Err(StoreError::Timeout))
    }

    /// Writes a worker's report, and retries for as long as the error may pass.
    pub(crate) async fn handled(&self, report: HandlerReport) -> Result<Written, StoreError> {
        self.handled_again(&Arc::new(report)).await
    }

    async fn handled_again(&self, report: &Arc<HandlerReport>) -> Result<Written, StoreError> {
        let message =
            |reply| Message::Handled(report.clone(), OnWritten::new(move |written| answer(reply, written)));
        self.write_until_ok(message).await
    }

    /// Like [`handled`](Self::handled), but passes the result to `then`. Only a report that cannot be written at once costs
    /// a task.
    pub(crate) fn handled_then(
        self: &Arc<Self>,
        report: HandlerReport,
        then: impl FnOnce(Result<Written, StoreError>) + Send + 'static,
    ) {
        let report = Arc::new(report);
        let (operations, again) = (self.clone(), report.clone());
        let on_written = OnWritten::new(move |written| match written {
            Err(error) if error.is_passing() => {
                let runtime = operations.runtime.clone();
                runtime.spawn(async move {
                    operations.clock.sleep(REPORT_RETRY_DELAY).await;
                    then(operations.handled_again(&again).await);
                });
            }
            settled => then(settled),
        });
        self.send_soon(Message::Handled(report, on_written));
    }

    /// Writes a report of the sender, and retries for as long as the error may pass.
    pub(crate) async fn sent(&self, report: DeliveryReport) -> Result<Written, StoreError> {
        let report = Arc::new(report);
        self.write_until_ok(|reply| Message::Sent(report.clone(), reply)).await
    }

    /// Lets the writer carry out `operation`, and retries for as long as the error may pass, such as a full disk.
    async fn write_until_ok(
        &self,
        operation: impl Fn(Reply<Written>) -> Message<C, B>,
    ) -> Result<Written, StoreError> {
        loop {
            let (reply, answered) = oneshot::channel();
            self.send(operation(reply)).await?;
            match answered.await.unwrap_or(Err(StoreError::Closed)) {
                Err(error) if error.is_passing() => self.clock.sleep(REPORT_RETRY_DELAY).await,
                settled => return settled,
            }
        }
    }

    /// Sends an operation to the writer.
    pub(crate) async fn send(&self, operation: Message<C, B>) -> Result<(), StoreError> {
        let sender = self.sender().ok_or(StoreError::Closed)?;
        if !matches!(operation, Message::Command(_) | Message::Between(_)) {
            self.was_used.store(true, Ordering::Relaxed);
        }
        sender.send(operation).await.map_err(|_| StoreError::Closed)
    }

    /// Sends a report to the writer without waiting. A report for a closed store is dropped.
    fn send_soon(&self, report: Message<C, B>) {
        let Some(sender) = self.sender() else { return };
        self.was_used.store(true, Ordering::Relaxed);
        // With a full channel, a task waits for room.
        if let Err(TrySendError::Full(report)) = sender.try_send(report) {
            self.runtime.spawn(async move {
                let _dropped_if_closed = sender.send(report).await;
            });
        }
    }

    /// The channel itself; `None` once the store is closed.
    pub(crate) fn sender(&self) -> Option<mpsc::Sender<Message<C, B>>> {
        lock(&self.sender).clone()
    }

    /// Lets the writer end once it has written what was sent before.
    pub(crate) fn close(&self) {
        lock(&self.sender).take();
    }

    /// Completes when the writer has ended although the store was not closed.
    pub(crate) async fn ended(&self) {
        if let Some(sender) = self.sender() {
            sender.closed().await;
        }
    }

    /// Whether jobs were written since the last call.
    pub(crate) fn take_was_used(&self) -> bool {
        self.was_used.swap(false, Ordering::Relaxed)
    }
}

/// For tests: what waits in the channel.
#[cfg(test)]
impl<C: Send + 'static, B: Send + 'static> Operations<C, B> {
    /// Waits until `operations` operations wait for the writer. More than a hundred must be sent `unconstrained`,
    /// because tokio counts a slot of the channel as taken before it is filled.
    pub(crate) async fn gathered(&self, operations: usize) {
        while self.waiting() < operations {
            tokio::task::yield_now().await;
        }
    }

    /// The number of operations that wait for the writer.
    pub(crate) fn waiting(&self) -> usize {
        let sender = self.sender().unwrap();
        sender.max_capacity() - sender.capacity()
    }

    /// Waits until the writer has taken all operations from its channel.
    pub(crate) async fn taken(&self) {
        let sender = self.sender().unwrap();
        while sender.capacity() < sender.max_capacity() {
            tokio::task::yield_now().await;
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "callers wait in real time, whatever the clock shows")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
