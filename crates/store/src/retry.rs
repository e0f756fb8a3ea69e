//! An operator's retry: the options, and the decision whether a job allows it.

use model::{CheckedCompletion, JobId, StateName};

use crate::StoreError;

/// Which completion a retry sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Resend {
    /// The completion that was sent last.
    #[default]
    Last,
    /// The completion that the handler returned.
    Handler,
    /// This fallback: `handlers.NAME.fallback` of the job's handler. The store keeps the handler's completion beside it.
    Fallback(CheckedCompletion),
}

/// How to retry one job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryOptions {
    /// Which completion to send.
    pub send: Resend,
    /// Whether to retry even if a newer job has the same `return_url`. The continue may then answer the newer job's
    /// question.
    pub force: bool,
}

/// The result of retrying dead jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetriedDead {
    /// The number of jobs that are delivered again.
    pub retried: u64,
    /// The number of jobs that were skipped because a newer job has the same `return_url`.
    pub superseded: u64,
}

/// The properties of a job that decide whether it may be retried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) state: StateName,
    /// Whether the sender has claimed the job.
    pub(crate) is_leased: bool,
    pub(crate) tried: bool,
    pub(crate) superseded_by: Option<JobId>,
    pub(crate) is_fallback: bool,
    pub(crate) has_handler_completion: bool,
    /// Whether it still has its data and completions.
    pub(crate) has_bodies: bool,
}

/// How a retry changes the job's completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swap {
    Keep,
    /// The handler's completion replaces the fallback.
    Handler,
    /// A fallback replaces the current completion.
    Fallback,
}

/// Decides whether `options` may be applied to a job.
pub(crate) fn decide(id: JobId, found: &Found, options: &RetryOptions) -> Result<Swap, StoreError> {
    let wrong = |allowed| Err(StoreError::WrongState { id, state: found.state, allowed });
    // Only a repeated continue can be superseded; the first one is always sent.
    let mut is_repeated = true;
    match found.state {
        StateName::Dead | StateName::Gone if !found.has_bodies => {
            return wrong("its texts were erased, so there is nothing to send");
        }
        StateName::Dead | StateName::Gone => {}
        StateName::Delivering if found.is_leased => {
            return wrong("its continue is on its way; try again once Kommo has answered");
        }
        StateName::Delivering => is_repeated = found.tried,
        _ => return wrong("only a job that is dead, gone or waiting for delivery can be retried"),
    }
    if let Some(newer) = found.superseded_by.filter(|_| is_repeated && !options.force) {
        return Err(StoreError::Superseded { id, newer });
    }
    match options.send {
        Resend::Last => Ok(Swap::Keep),
        Resend::Handler if !found.is_fallback => Ok(Swap::Keep),
        Resend::Handler if found.has_handler_completion => Ok(Swap::Handler),
        Resend::Handler => Err(StoreError::NoHandlerCompletion(id)),
        Resend::Fallback(_) => Ok(Swap::Fallback),
    }
}

#[cfg(test)]
mod tests;
