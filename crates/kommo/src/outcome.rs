//! The outcome of a call to Kommo. Only this module interprets a status and a body.
//!
//! The sender, the typed client and the token renewal decide on a [`CallOutcome`], never on a status. The title and detail
//! of Kommo's errors can be Russian, so the classification uses only the status, codes, and whether the body is JSON.
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
//! | no response | [`NoResponse`](CallOutcome::NoResponse) |

use std::fmt;
use std::time::Duration;

use model::{HostRefusal, error_chain};

use super::problem::ApiProblem;
use super::reason::Reason;
use super::response::Response;

/// The outcome of a call to Kommo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// Kommo accepted the call.
    Accepted {
        /// 2xx.
        status: u16,
    },
    /// A redirect, which the client does not follow.
    Redirected {
        /// 3xx.
        status: u16,
        /// The content of the body.
        problem: ApiProblem,
    },
    /// Kommo refuses the content of the call.
    Rejected {
        /// 400 or 422.
        status: u16,
        /// The content of the body.
        problem: ApiProblem,
    },
    /// 401: Kommo refuses the token.
    Unauthorized {
        /// The content of the body.
        problem: ApiProblem,
    },
    /// 402: the account's plan has ended.
    PaymentRequired {
        /// The content of the body.
        problem: ApiProblem,
    },
    /// 403 with JSON: the token's user may not do this.
    Forbidden {
        /// The content of the body.
        problem: ApiProblem,
    },
    /// 403 without JSON: Kommo blocks the IP address that the call came from, or a firewall refuses the call.
    Blocked,
    /// 404 with JSON.
    NotFound {
        /// The content of the body.
        problem: ApiProblem,
    },
    /// 429: Kommo asks the account to wait.
    TooManyRequests {
        /// The time to wait, from the header or else from the body.
        retry_after: Option<Duration>,
        /// The content of the body.
        problem: ApiProblem,
    },
    /// Kommo has a problem that may pass.
    Unavailable {
        /// 408, 425 or 5xx.
        status: u16,
        /// The content of the body.
        problem: ApiProblem,
    },
    /// Something other than Kommo's API answered.
    NotKommo {
        /// 404 without JSON, 200 or 206 with an HTML page.
        status: u16,
    },
    /// A status that Kommo does not document.
    Unexpected {
        /// The HTTP status.
        status: u16,
        /// The content of the body.
        problem: ApiProblem,
    },
    /// The call has no response.
    NoResponse(CallFailure),
}

/// The reason why a call has no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    /// The host rules forbid this URL; nothing was sent.
    #[error(transparent)]
    NotAllowed(HostRefusal),
    /// The call was not sent, because no connection could be opened.
    #[error(transparent)]
    NotSent(Reason),
    /// The call may have arrived, but its response was lost.
    #[error("the response was lost")]
    Lost {
        /// The cause.
        #[source]
        reason: Reason,
        /// Whether the call timed out.
        timed_out: bool,
    },
}

/// Classifies a response.
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
    /// Classifies the result of a call, which may have no response.
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

    /// The content of an error's body; `None` for outcomes that have none.
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

    /// Whether the call may have taken effect although Kommo's own response was lost.
    ///
    /// This includes the responses of a gateway (502, 504), even of Kommo's own, and a web page that may have replaced a
    /// success.
    pub const fn may_have_arrived(&self) -> bool {
        match self {
            Self::NoResponse(failure) => matches!(failure, CallFailure::Lost { .. }),
            Self::Unavailable { status, .. } => matches!(status, 502 | 504),
            Self::NotKommo { status } => *status < 300,
            _ => false,
        }
    }

    /// Whether the problem may pass without intervention. A 429 does not count, because it is a limit of the account.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Redirected { .. } | Self::Unavailable { .. } | Self::NotKommo { .. } => true,
            Self::NoResponse(failure) => !matches!(failure, CallFailure::NotAllowed(_)),
            _ => false,
        }
    }
}

/// A short text for a response that is not from Kommo's API.
pub(super) fn not_kommo(status: u16) -> String {
    let body = if status < 300 { "with an HTML page" } else { "without JSON" };
    format!("{status} {body}, which is not Kommo's API")
}

impl fmt::Display for CallOutcome {
    /// Writes one line with Kommo's text.
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
