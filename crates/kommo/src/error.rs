//! The errors of a call.
//!
//! Each text says what to do, followed by Kommo's own text in one line of at most 1,000 characters. That text can be
//! Russian, so match on the variant, not on the text. No error contains a body or a token. The underlying error is the
//! [`source`](std::error::Error::source), so print the whole chain for operators.

use std::fmt;
use std::time::Duration;

use super::credentials::NoBearer;
use super::http_client::HttpClientError;
use super::outcome::{CallFailure, CallOutcome, not_kommo};
use super::problem::ValidationError;
use super::reason::Reason;
use super::settings::SettingMistake;

/// The reason why a call failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was sent, because the call is invalid.
    #[error(transparent)]
    Refused(Reason),
    /// Nothing was installed, because the settings do not fit the widget.
    #[error(
        "nothing was installed: these settings do not fit the widget `{code}`: {}",
        mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Settings {
        /// The code of the widget.
        code: String,
        /// All mistakes.
        mistakes: Vec<SettingMistake>,
    },
    /// Nothing was sent, because there is no token for the account.
    #[error(transparent)]
    NotConnected(NoBearer),
    /// Nothing was sent, because calls to the account are paused for longer than the call may wait.
    #[error("calls to this account are paused{}: try again later", for_span(*left))]
    Paused {
        /// The remaining time, if known.
        left: Option<Duration>,
    },
    /// 401, and a renewal of the token did not help.
    #[error("Kommo answered 401: {0}")]
    Unauthorized(NoBearer),
    /// 402: the account's plan has ended.
    #[error("the account's plan has ended (402): its owner must renew it{0}")]
    PaymentRequired(ProblemText),
    /// 403 with JSON: the token's user may not do this.
    #[error("the token's user may not do this (403): most such calls need an administrator's token{0}")]
    Forbidden(ProblemText),
    /// 403 without JSON: Kommo blocks this IP address, or a firewall refuses the call.
    #[error(
        "Kommo answered 403 without JSON: it blocks this IP address (make fewer calls per second, or ask Kommo's support), \
         or a firewall refuses the content of the call"
    )]
    Blocked,
    /// 404 with JSON: there is no such thing, or the token's user may not see it.
    #[error("not found, or not visible to the token's user (404){0}")]
    NotFound(ProblemText),
    /// 400 or 422: Kommo refuses the content of the call.
    #[error("Kommo refuses the content of the call ({status}){said}")]
    Invalid {
        /// The HTTP status.
        status: u16,
        /// Kommo's text.
        said: ProblemText,
        /// The mistakes, with their places; empty if Kommo named none.
        errors: Vec<ValidationError>,
    },
    /// 429 in each try, or with a wait that is longer than the call may wait.
    #[error("too many calls to this account (429){}: try again later", for_span(*retry_after))]
    RateLimited {
        /// The time to wait, if Kommo named one.
        retry_after: Option<Duration>,
    },
    /// Any other status that is not a success; for a read, after all tries.
    #[error("Kommo answered {status}{said}{}", if *status >= 500 { ": try again later" } else { "" })]
    Status {
        /// The HTTP status.
        status: u16,
        /// Kommo's text.
        said: ProblemText,
    },
    /// Kommo accepted the call, but its response has an unexpected form.
    #[error("Kommo's response is not {expected}: {why}")]
    Unexpected {
        /// The expected form.
        expected: String,
        /// The difference, without content of the response.
        why: String,
    },
    /// Kommo did not respond; for a read, after all tries.
    #[error("{}", if *sent {
        "the call was sent but its response was lost, so the call may have taken effect"
    } else {
        "Kommo was not reached, so the call had no effect"
    })]
    Transport {
        /// The cause.
        #[source]
        reason: Reason,
        /// Whether the call may have arrived.
        sent: bool,
    },
    /// The HTTP client could not be created.
    #[error(transparent)]
    Setup(#[from] HttpClientError),
}

/// Kommo's text about an error: title, hint and detail in one line. It may be Russian, or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProblemText(String);

impl ProblemText {
    /// The text; empty if Kommo wrote nothing.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProblemText {
    /// Writes `; Kommo says: ` and the text, as the end of a sentence; nothing if the text is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "; Kommo says: {}", self.0) }
    }
}

impl Error {
    /// Whether the same call may succeed later without any intervention.
    ///
    /// This includes a write that was sent and got no response. Retry such a write only if it may take effect twice.
    ///
    /// ```
    /// # use salesbot_bridge_kommo::{Client, Error};
    /// # async fn price(kommo: &Client) -> Result<Option<String>, Error> {
    /// match kommo.get_json("/api/v4/leads/7").await {
    ///     Ok(lead) => Ok(Some(lead["price"].to_string())),
    ///     // A retry may help.
    ///     Err(error) if error.is_worth_retrying() => Ok(None),
    ///     Err(error) => Err(error),
    /// }
    /// # }
    /// ```
    pub fn is_worth_retrying(&self) -> bool {
        match self {
            Self::Paused { .. } | Self::RateLimited { .. } | Self::Transport { .. } => true,
            Self::NotConnected(why) | Self::Unauthorized(why) => matches!(why, NoBearer::NotRenewed { .. }),
            Self::Status { status, .. } => matches!(status, 300..=399 | 408 | 425 | 500..=599),
            _ => false,
        }
    }

    /// The time to wait before a retry, if Kommo or the pace named one.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Paused { left } => *left,
            Self::RateLimited { retry_after } => *retry_after,
            _ => None,
        }
    }

    /// Converts an outcome for the caller of the typed client.
    ///
    /// # Errors
    /// Kommo did not accept the call.
    pub(super) fn check(outcome: CallOutcome) -> Result<(), Self> {
        let said = ProblemText(outcome.problem().map(|problem| problem.text.clone()).unwrap_or_default());
        Err(match outcome {
            CallOutcome::Accepted { .. } => return Ok(()),
            CallOutcome::Unauthorized { .. } => Self::Unauthorized(NoBearer::NeedsAuthorization {
                why: "Kommo refuses even a renewed token".to_owned(),
            }),
            CallOutcome::PaymentRequired { .. } => Self::PaymentRequired(said),
            CallOutcome::Forbidden { .. } => Self::Forbidden(said),
            CallOutcome::Blocked => Self::Blocked,
            CallOutcome::NotFound { .. } => Self::NotFound(said),
            CallOutcome::Rejected { status, problem } => {
                Self::Invalid { status, said, errors: problem.errors }
            }
            CallOutcome::TooManyRequests { retry_after, .. } => Self::RateLimited { retry_after },
            CallOutcome::Redirected { status, .. }
            | CallOutcome::Unavailable { status, .. }
            | CallOutcome::Unexpected { status, .. } => Self::Status { status, said },
            CallOutcome::NotKommo { status } => {
                Self::Transport { reason: Reason::new(not_kommo(status)), sent: outcome.may_have_arrived() }
            }
            CallOutcome::NoResponse(CallFailure::NotAllowed(refusal)) => Self::Refused(Reason::caused_by(
                "nothing was sent, because the account's address may not be called",
                refusal,
            )),
            CallOutcome::NoResponse(CallFailure::NotSent(reason)) => Self::Transport { reason, sent: false },
            CallOutcome::NoResponse(CallFailure::Lost { reason, .. }) => {
                Self::Transport { reason, sent: true }
            }
        })
    }
}

fn for_span(span: Option<Duration>) -> String {
    span.map(|span| format!(" for {} s", span.as_secs_f64().ceil())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::outcome::classify;
    use super::super::response::Response;
    use super::*;
    use model::{HostRefusal, error_chain};

    fn error(status: u16, body: &str) -> Error {
        let response = Response { status, body: body.into(), ..Response::default() };
        Error::check(classify(&response)).unwrap_err()
    }

    fn failed(failure: CallFailure) -> Error {
        Error::check(CallOutcome::NoResponse(failure)).unwrap_err()
    }

    #[test]
    fn each_status_has_its_error_with_the_right_retry_advice() {
        let said = |text: &str| ProblemText(text.to_owned());
        let not_kommo = |text: &'static str, sent| Error::Transport { reason: Reason::new(text), sent };
        let problem = r#"{"title":"Нет","detail":"прав"}"#;
        for (status, body, expected, retry) in [
            (402, problem, Error::PaymentRequired(said("Нет: прав")), false),
            (403, problem, Error::Forbidden(said("Нет: прав")), false),
            (403, "<html>", Error::Blocked, false),
            (404, problem, Error::NotFound(said("Нет: прав")), false),
            (404, "", not_kommo("404 without JSON, which is not Kommo's API", false), true),
            (200, "<html>", not_kommo("200 with an HTML page, which is not Kommo's API", true), true),
            (
                429,
                r#"{"retry_after":5}"#,
                Error::RateLimited { retry_after: Some(Duration::from_secs(5)) },
                true,
            ),
            (500, problem, Error::Status { status: 500, said: said("Нет: прав") }, true),
            (408, "", Error::Status { status: 408, said: said("") }, true),
            (409, "", Error::Status { status: 409, said: said("") }, false),
            (302, "", Error::Status { status: 302, said: said("") }, true),
        ] {
            let error = error(status, body);
            assert_eq!(error, expected, "{status}");
            assert_eq!(error.is_worth_retrying(), retry, "{status}");
        }
        let Error::Unauthorized(why) = error(401, problem) else { panic!("401 is not Unauthorized") };
        assert!(why.to_string().contains("accounts authorize"), "{why}");
        let accepted = classify(&Response { status: 202, ..Response::default() });
        assert_eq!(Error::check(accepted), Ok(()));
    }

    #[test]
    fn validation_errors_name_their_places() {
        let body = r#"{"title":"Bad Request","detail":"failed","validation-errors":
            [{"request_id":"0","errors":[{"code":"FieldMissing","path":"password","detail":"This field is missing."}]}]}"#;
        let refused = error(400, body);
        assert_eq!(
            refused.to_string(),
            "Kommo refuses the content of the call (400); Kommo says: Bad Request: failed; FieldMissing at password: This \
             field is missing"
        );
        let Error::Invalid { errors, .. } = refused else { panic!("{refused:?}") };
        assert_eq!((errors.len(), &*errors[0].path), (1, "password"));
    }

    #[test]
    fn errors_distinguish_calls_not_sent_from_lost_responses() {
        let lost = failed(CallFailure::Lost { reason: Reason::new("reset"), timed_out: false });
        let not_sent = failed(CallFailure::NotSent(Reason::new("refused")));
        assert_eq!(
            error_chain(&lost),
            "the call was sent but its response was lost, so the call may have taken effect: reset"
        );
        assert_eq!(error_chain(&not_sent), "Kommo was not reached, so the call had no effect: refused");
        assert!(lost.is_worth_retrying() && not_sent.is_worth_retrying());
        let not_allowed = failed(CallFailure::NotAllowed(HostRefusal::Scheme));
        assert!(!not_allowed.is_worth_retrying());
        assert_eq!(
            error_chain(&not_allowed),
            "nothing was sent, because the account's address may not be called: its scheme is not https"
        );
        let paused = Error::Paused { left: Some(Duration::from_millis(1_500)) };
        assert_eq!(paused.to_string(), "calls to this account are paused for 2 s: try again later");
        assert_eq!(paused.retry_after(), Some(Duration::from_millis(1_500)));
    }
}
