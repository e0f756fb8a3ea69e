//! An operator's retry: what can be asked for, and whether a job allows it.

use model::{CheckedCompletion, JobId, StateName};

use crate::StoreError;

/// Which completion a retry sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Resend {
    /// What was sent last.
    #[default]
    Last,
    /// What the handler returned.
    Handler,
    /// This fallback: `handlers.NAME.fallback` of the job's handler. What the handler returned is kept beside it.
    Fallback(CheckedCompletion),
}

/// How one job is retried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryOptions {
    /// What is sent.
    pub send: Resend,
    /// Also if a newer job has the same `return_url`, whose question the continue may then answer.
    pub force: bool,
}

/// What became of the dead jobs that were to be retried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetriedDead {
    /// Jobs that are delivered again.
    pub retried: u64,
    /// Jobs that were left alone, because a newer job has the same `return_url`.
    pub superseded: u64,
}

/// What is known of a job that is to be retried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) state: StateName,
    /// The sender has it.
    pub(crate) is_leased: bool,
    pub(crate) tried: bool,
    pub(crate) superseded_by: Option<JobId>,
    pub(crate) is_fallback: bool,
    pub(crate) has_handler_completion: bool,
}

/// What becomes of the job's completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swap {
    Keep,
    /// The handler's takes the place of the fallback.
    Handler,
    /// A fallback takes the place of what there is.
    Fallback,
}

/// Decides whether a job may be retried so.
pub(crate) fn decide(id: JobId, found: &Found, options: &RetryOptions) -> Result<Swap, StoreError> {
    let wrong = |allowed| Err(StoreError::WrongState { id, state: found.state, allowed });
    // The first continue of a job is never superseded.
    let mut is_repeated = true;
    match found.state {
        StateName::Dead | StateName::Gone => {}
        StateName::Delivering if found.is_leased => {
            return wrong("its continue is on its way; look at it again once Kommo has answered");
        }
        StateName::Delivering => is_repeated = found.tried,
        _ => return wrong("only a job that is dead or gone, or that waits to be delivered, can be retried"),
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
