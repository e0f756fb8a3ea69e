//! What a call to Kommo came to: the one place where a status and a body get their meaning.
//!
//! The sender, the typed client and token renewal all decide on a [`CallOutcome`], never on a status. Titles and details of
//! Kommo's errors can be Russian, so the meaning comes from the status, from whether the body is JSON, and from codes.
//!
//! | response | outcome |
//! |---|---|
//! | 2xx | [`Accepted`](CallOutcome::Accepted) |
//! | 200 or 206 with an HTML page, 404 without JSON | [`NotKommo`](CallOutcome::NotKommo): a proxy, a parked domain, a captive portal |
//! | 3xx | [`Redirected`](CallOutcome::Redirected) |
//! | 400, 422 | [`Rejected`](CallOutcome::Rejected) |
//! | 401, 402, 404 | [`Unauthorized`](CallOutcome::Unauthorized), [`PaymentRequired`](CallOutcome::PaymentRequired), [`NotFound`](CallOutcome::NotFound) |
//! | 403 | [`Forbidden`](CallOutcome::Forbidden); without JSON [`Blocked`](CallOutcome::Blocked) |
//! | 429 | [`TooManyRequests`](CallOutcome::TooManyRequests) |
//! | 408, 425, 5xx | [`Unavailable`](CallOutcome::Unavailable) |
//! | any other | [`Unexpected`](CallOutcome::Unexpected) |
//! | none | [`NoResponse`](CallOutcome::NoResponse) |

use std::fmt;
use std::time::Duration;

use model::{HostRefusal, error_chain};

use super::problem::ApiProblem;
use super::reason::Reason;
use super::response::Response;

/// What a call to Kommo came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// Kommo did what was asked.
    Accepted {
        /// 2xx.
        status: u16,
    },
    /// Something sends the call elsewhere. No redirect is ever followed.
    Redirected {
        /// 3xx.
        status: u16,
        /// What the body says.
        problem: ApiProblem,
    },
    /// Kommo refuses what was sent.
    Rejected {
        /// 400 or 422.
        status: u16,
        /// What the body says.
        problem: ApiProblem,
    },
    /// 401: Kommo refuses the token.
    Unauthorized {
        /// What the body says.
        problem: ApiProblem,
    },
    /// 402: the account's plan has ended.
    PaymentRequired {
        /// What the body says.
        problem: ApiProblem,
    },
    /// 403 with JSON: the token's user may not do this.
    Forbidden {
        /// What the body says.
        problem: ApiProblem,
    },
    /// 403 without JSON: Kommo blocks the address that the call came from.
    Blocked,
    /// 404 with JSON.
    NotFound {
        /// What the body says.
        problem: ApiProblem,
    },
    /// 429: the account has to wait.
    TooManyRequests {
        /// How long: the header decides, else the body.
        retry_after: Option<Duration>,
        /// What the body says.
        problem: ApiProblem,
    },
    /// Kommo is in trouble.
    Unavailable {
        /// 408, 425 or 5xx.
        status: u16,
        /// What the body says.
        problem: ApiProblem,
    },
    /// Something answered in place of Kommo's API.
    NotKommo {
        /// 404 without JSON, 200 or 206 with an HTML page.
        status: u16,
    },
    /// A status that Kommo does not document.
    Unexpected {
        /// The HTTP status.
        status: u16,
        /// What the body says.
        problem: ApiProblem,
    },
    /// There is no response.
    NoResponse(CallFailure),
}

/// Why a call has no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    /// The host rules forbid this URL; nothing was sent.
    #[error(transparent)]
    NotAllowed(HostRefusal),
    /// There was no connection, so the call cannot have arrived.
    #[error(transparent)]
    NotSent(Reason),
    /// The call may have arrived, but its response did not.
    #[error("the answer was lost")]
    Lost {
        /// What went wrong.
        #[source]
        reason: Reason,
        /// Whether time ran out.
        timed_out: bool,
    },
}

/// Says what a response means.
pub fn classify(response: &Response) -> CallOutcome {
    let status = response.status;
    let problem = if response.is_success() { None } else { response.problem() };
    let is_json = problem.is_some();
    let problem = problem.unwrap_or_default();
    match status {
        200 | 206 if response.is_web_page() => CallOutcome::NotKommo { status },
        200..=299 => CallOutcome::Accepted { status },
        300..=399 => CallOutcome::Redirected { status, problem },
        400 | 422 => CallOutcome::Rejected { status, problem },
        401 => CallOutcome::Unauthorized { problem },
        402 => CallOutcome::PaymentRequired { problem },
        403 if is_json => CallOutcome::Forbidden { problem },
        403 => CallOutcome::Blocked,
        404 if is_json => CallOutcome::NotFound { problem },
        404 => CallOutcome::NotKommo { status },
        429 => {
            let retry_after = response.retry_after.or(problem.retry_after);
            CallOutcome::TooManyRequests { retry_after, problem }
        }
        408 | 425 | 500..=599 => CallOutcome::Unavailable { status, problem },
        _ => CallOutcome::Unexpected { status, problem },
    }
}

impl CallOutcome {
    /// The same for a call that may have no response.
    pub(super) fn of(result: &Result<Response, CallFailure>) -> Self {
        match result {
            Ok(response) => classify(response),
            Err(failure) => Self::NoResponse(failure.clone()),
        }
    }

    /// The HTTP status; `None` if there is no response.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Accepted { status }
            | Self::Redirected { status, .. }
            | Self::Rejected { status, .. }
            | Self::Unavailable { status, .. }
            | Self::NotKommo { status }
            | Self::Unexpected { status, .. } => Some(*status),
            Self::Unauthorized { .. } => Some(401),
            Self::PaymentRequired { .. } => Some(402),
            Self::Forbidden { .. } | Self::Blocked => Some(403),
            Self::NotFound { .. } => Some(404),
            Self::TooManyRequests { .. } => Some(429),
            Self::NoResponse(_) => None,
        }
    }

    /// What the body of an error says, if it was read.
    pub const fn problem(&self) -> Option<&ApiProblem> {
        match self {
            Self::Redirected { problem, .. }
            | Self::Rejected { problem, .. }
            | Self::Unauthorized { problem }
            | Self::PaymentRequired { problem }
            | Self::Forbidden { problem }
            | Self::NotFound { problem }
            | Self::TooManyRequests { problem, .. }
            | Self::Unavailable { problem, .. }
            | Self::Unexpected { problem, .. } => Some(problem),
            Self::Accepted { .. } | Self::Blocked | Self::NotKommo { .. } | Self::NoResponse(_) => None,
        }
    }

    /// Whether Kommo's own response may have been lost, so that the call may have been carried out.
    ///
    /// Behind a gateway (502, 504) that holds though it is Kommo's own gateway that answers, and a web page in place of a
    /// success may hide one.
    pub const fn may_have_arrived(&self) -> bool {
        match self {
            Self::NoResponse(failure) => matches!(failure, CallFailure::Lost { .. }),
            Self::Unavailable { status, .. } => matches!(status, 502 | 504),
            Self::NotKommo { status } => *status < 300,
            _ => false,
        }
    }

    /// Whether the trouble may pass without anyone doing anything, and is not a limit of the account.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Redirected { .. } | Self::Unavailable { .. } | Self::NotKommo { .. } => true,
            Self::NoResponse(failure) => !matches!(failure, CallFailure::NotAllowed(_)),
            _ => false,
        }
    }
}

/// Says in a few words that something answered in place of Kommo's API.
pub(super) fn not_kommo(status: u16) -> String {
    let body = if status < 300 { "with an HTML page" } else { "without JSON" };
    format!("{status} {body}, which is not Kommo's API")
}

impl fmt::Display for CallOutcome {
    /// What happened, in one line, with what Kommo wrote.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self {
            Self::NoResponse(failure) => return f.write_str(&error_chain(failure)),
            Self::NotKommo { status } => return f.write_str(&not_kommo(*status)),
            other => other.status().unwrap_or_default(),
        };
        write!(f, "Kommo answered {status}")?;
        if let Some(problem) = self.problem().filter(|problem| !problem.text.is_empty()) {
            write!(f, ": {}", problem.text)?;
        }
        if matches!(self, Self::Redirected { .. }) {
            f.write_str(": redirects are not followed")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
