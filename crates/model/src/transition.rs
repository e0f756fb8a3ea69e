//! How a claimed job goes on. A report consumes the claim, so no job can be reported on twice.

use super::{Attempt, DeliveringJob, Delivery, PreparedCompletion, RunningJob, Timestamp};

/// What a worker says of the job that it claimed.
#[derive(Debug, PartialEq)]
pub struct HandlerReport {
    /// The job, as it was claimed.
    pub job: RunningJob,
    /// The attempt to charge; `None` if the handler did not run to an end of its own.
    pub attempt: Option<Attempt>,
    /// What comes next.
    pub next: AfterHandler,
    /// What went wrong, for a person; replaces the job's last error if there is one.
    pub error: Option<String>,
}

/// What comes after a claim by a worker.
#[derive(Clone, Debug, PartialEq)]
pub enum AfterHandler {
    /// `running → delivering`: there is something to send.
    Deliver(PreparedCompletion),
    /// `running → queued`: try again, not before `due_at`.
    Retry {
        /// Not to be claimed before.
        due_at: Timestamp,
    },
    /// `running → queued`: the bridge stops; nothing is charged, and the job is due at once.
    HandBack,
}

/// What the sender says of the job that it claimed.
#[derive(Debug, PartialEq)]
pub struct DeliveryReport {
    /// The job, as it was claimed.
    pub job: DeliveringJob,
    /// The attempt to charge; `None` if Kommo asked to wait or nothing was sent.
    pub attempt: Option<Attempt>,
    /// What comes next.
    pub next: AfterDelivery,
    /// What went wrong, for a person; replaces the job's last error if there is one.
    pub error: Option<String>,
}

/// What comes after a claim by the sender.
#[derive(Clone, Debug, PartialEq)]
pub enum AfterDelivery {
    /// `delivering → delivered`: Kommo took it.
    Delivered,
    /// `delivering → gone`: no bot waits for it.
    Gone,
    /// `delivering → dead`: gave up.
    Dead {
        /// An attempt may have arrived although its answer did not: remembered for an operator who retries the job.
        answer_lost: bool,
    },
    /// Stays `delivering`: again, not before `due_at`.
    Retry {
        /// Not to be claimed before.
        due_at: Timestamp,
        /// How the delivery went so far.
        delivery: Delivery,
    },
    /// Stays `delivering`: the account has to wait.
    Wait {
        /// How the delivery went so far.
        delivery: Delivery,
        /// Whether it goes back to where its age puts it. If not it is behind all that is due: the next one to
        /// be tried is then another, because it may be this job alone that Kommo refuses.
        keeps_place: bool,
    },
    /// Stays `delivering`: something else is sent, at once.
    Replace {
        /// What is sent instead.
        prepared: PreparedCompletion,
        /// How the delivery went so far.
        delivery: Delivery,
    },
}
