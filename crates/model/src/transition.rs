//! The transitions of a claimed job. A report consumes the claim, so a claim is reported only once.

use super::{Attempt, DeliveringJob, Delivery, PreparedCompletion, RunningJob, StateName, Timestamp};

/// A worker's report on the job that it claimed.
#[derive(Debug, PartialEq)]
pub struct HandlerReport {
    /// The claim.
    pub job: RunningJob,
    /// The attempt to charge; `None` if the handler did not run, or a stop interrupted it.
    pub attempt: Option<Attempt>,
    /// The next step.
    pub next: AfterHandler,
    /// The error as text for people. If present, it replaces the job's last error.
    pub error: Option<String>,
}

/// The next step of a job that a worker claimed.
#[derive(Clone, Debug, PartialEq)]
pub enum AfterHandler {
    /// `running → delivering`: the job has a completion.
    Deliver(PreparedCompletion),
    /// `running → queued`: retry at `due_at` or later.
    Retry {
        /// The earliest moment for a claim.
        due_at: Timestamp,
    },
    /// `running → awaiting_callback`: the handler accepted the job and answers later.
    AwaitCallback,
    /// `running → queued`: the bridge stops. No attempt is charged, and the job is due at once.
    HandBack,
}

impl AfterHandler {
    /// The state that follows.
    pub const fn state(&self) -> StateName {
        match self {
            Self::Deliver(_) => StateName::Delivering,
            Self::Retry { .. } | Self::HandBack => StateName::Queued,
            Self::AwaitCallback => StateName::AwaitingCallback,
        }
    }
}

/// The sender's report on the job that it claimed.
#[derive(Debug, PartialEq)]
pub struct DeliveryReport {
    /// The claim.
    pub job: DeliveringJob,
    /// The attempt to charge; `None` if Kommo asked to wait, or nothing was sent.
    pub attempt: Option<Attempt>,
    /// The next step.
    pub next: AfterDelivery,
    /// The error as text for people. If present, it replaces the job's last error.
    pub error: Option<String>,
}

/// The next step of a job that the sender claimed.
#[derive(Clone, Debug, PartialEq)]
pub enum AfterDelivery {
    /// `delivering → delivered`: Kommo accepted the continue.
    Delivered,
    /// `delivering → gone`: no bot waits for the continue.
    Gone,
    /// `delivering → dead`: the sender gave up.
    Dead {
        /// Whether an attempt may have arrived although its response was lost. Kept for an operator who retries the job.
        answer_lost: bool,
    },
    /// Stays `delivering`: retry at `due_at` or later.
    Retry {
        /// The earliest moment for a claim.
        due_at: Timestamp,
        /// The history of the delivery.
        delivery: Delivery,
    },
    /// Stays `delivering`: the account is paused.
    Wait {
        /// The history of the delivery.
        delivery: Delivery,
        /// Whether the job keeps its place in the order by age. If not, it moves behind all due jobs. Then the next call is
        /// for another job, in case Kommo refuses only this one.
        keeps_place: bool,
    },
    /// Stays `delivering`: another completion is sent at once.
    Replace {
        /// The completion to send instead.
        prepared: PreparedCompletion,
        /// The history of the delivery.
        delivery: Delivery,
    },
}

impl AfterDelivery {
    /// Whether the job is finished.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Delivered | Self::Gone | Self::Dead { .. })
    }
}
