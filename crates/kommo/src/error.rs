//! What can go wrong with a call, for the programs that make them.
//!
//! Each text says what to do about it. What Kommo wrote stands behind it, in one line and cut at a thousand letters:
//! it can be Russian, so decide on the variant, not on a text. Bodies and tokens are in none of them.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::credentials::NoBearer;
use super::problem::{Problem, entries, shorten, word};
use super::settings::SettingMistake;
use super::transport::{Failure, Response};

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was sent: what was asked for cannot be asked.
    #[error("{0}")]
    Refused(String),
    /// Nothing was installed: the settings do not fit the widget.
    #[error(
        "nothing was installed: these settings do not fit the widget `{code}`: {}",
        mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Settings {
        /// The widget.
        code: String,
        /// Every mistake.
        mistakes: Vec<SettingMistake>,
    },
    /// Nothing was sent: there is no token for the account.
    #[error("{0}")]
    NotConnected(NoBearer),
    /// Nothing was sent: calls to the account are paused, and the pause is longer than the call may wait.
    #[error("calls to this account are paused{}: try again later", behind(*left))]
    Paused {
        /// How long it would take, if that is known.
        left: Option<Duration>,
    },
    /// 401, also after the token was renewed.
    #[error("Kommo does not take the token (401): {0}")]
    Unauthorized(NoBearer),
    /// 402
    #[error("the account's plan has ended (402): its owner has to renew it{0}")]
    PaymentRequired(Said),
    /// 403: the token's user may not do this.
    #[error("the user of the token may not do this (403): most such calls want an administrator's token{0}")]
    Forbidden(Said),
    /// 403 without JSON.
    #[error(
        "Kommo answered 403 without JSON: it blocks this address (make fewer calls a second, or ask Kommo's support), or \
         a firewall refuses what the call carries"
    )]
    Blocked,
    /// 404
    #[error("Kommo does not know it, or does not show it to this user (404){0}")]
    NotFound(Said),
    /// 400 or 422: Kommo does not take what was sent.
    #[error("Kommo refuses what was sent ({status}){said}")]
    Invalid {
        /// The HTTP status.
        status: u16,
        /// What Kommo wrote.
        said: Said,
        /// What is wrong, place by place; empty if Kommo did not say.
        errors: Vec<ValidationError>,
    },
    /// 429, again and again, or with a time to wait that is longer than the call may wait.
    #[error("too many calls to this account (429){}: try again later", behind(*retry_after))]
    RateLimited {
        /// How long to wait, if Kommo said so.
        retry_after: Option<Duration>,
    },
    /// Any other status that is none of success; for a read, after all its tries.
    #[error("Kommo answered {status}{said}{}", if *status >= 500 { ": try again later" } else { "" })]
    Status {
        /// The HTTP status.
        status: u16,
        /// What Kommo wrote.
        said: Said,
    },
    /// Kommo answered well, but with something else than it should.
    #[error("Kommo's answer is not {expected}: {why}")]
    Unexpected {
        /// What it should be.
        expected: String,
        /// Where it differs; nothing of what was there.
        why: String,
    },
    /// There is no answer; for a read, after all its tries.
    #[error("{}: {why}", if *sent {
        "the call was sent but its answer is lost, so it may have been carried out"
    } else {
        "Kommo was not reached, so nothing was done"
    })]
    Transport {
        /// What went wrong.
        why: String,
        /// Whether the call may have arrived.
        sent: bool,
    },
    /// There is no HTTP client.
    #[error("{0}")]
    Setup(String),
}

/// What Kommo wrote about an error: title, hint and detail in one line, perhaps Russian, perhaps nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said(String);

impl Said {
    /// The text; empty if Kommo wrote nothing.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Said {
    /// With a colon before it, to be put behind a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "; Kommo says: {}", self.0) }
    }
}

/// One entry of `validation-errors`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ValidationError {
    /// Which of the entities that were sent, counted by Kommo from `0`.
    pub request_id: String,
    /// `FieldMissing`, `TooLong`, ….
    pub code: String,
    /// Where: `execute_handlers.params.value`.
    pub path: String,
    /// Kommo's words.
    pub detail: String,
}

impl Error {
    /// Whether the same call may succeed later without anybody doing anything. Of a write that was sent and whose
    /// answer is lost, it says yes too: make sure that it may be carried out twice.
    ///
    /// ```
    /// # use salesbot_bridge_kommo::{Client, Error};
    /// # async fn price(kommo: &Client) -> Result<Option<String>, Error> {
    /// match kommo.get_json("/api/v4/leads/7").await {
    ///     Ok(lead) => Ok(Some(lead["price"].to_string())),
    ///     // Worth another try later.
    ///     Err(error) if error.is_worth_retrying() => Ok(None),
    ///     Err(error) => Err(error),
    /// }
    /// # }
    /// ```
    pub fn is_worth_retrying(&self) -> bool {
        match self {
            Self::Paused { .. } | Self::RateLimited { .. } | Self::Transport { .. } => true,
            Self::NotConnected(why) | Self::Unauthorized(why) => matches!(why, NoBearer::NotRenewed { .. }),
            Self::Status { status, .. } => matches!(status, 408 | 425 | 500..=599),
            _ => false,
        }
    }

    /// How long to wait before that, if Kommo or the pace said so.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Paused { left } => *left,
            Self::RateLimited { retry_after } => *retry_after,
            _ => None,
        }
    }

    /// What a response that is no success means.
    pub(super) fn of(response: &Response) -> Self {
        let problem = response.problem();
        let is_json = problem.is_some();
        let Problem { retry_after, text, .. } = problem.unwrap_or_default();
        let said = Said(text);
        match response.status {
            401 => Self::Unauthorized(NoBearer::NeedsAuthorization {
                why: "Kommo refuses even a renewed token".to_owned(),
            }),
            402 => Self::PaymentRequired(said),
            403 if is_json => Self::Forbidden(said),
            403 => Self::Blocked,
            404 => Self::NotFound(said),
            status @ (400 | 422) => {
                Self::Invalid { status, said, errors: ValidationError::read(&response.body) }
            }
            429 => Self::RateLimited { retry_after: response.retry_after.or(retry_after) },
            status => Self::Status { status, said },
        }
    }
}

impl ValidationError {
    /// All that a body holds; a part of another shape than documented is left out, the others are not.
    fn read(body: &[u8]) -> Vec<Self> {
        let document: Value = serde_json::from_slice(body).unwrap_or_default();
        let of_entity = |invalid: &Value| {
            let request_id = match invalid.get("request_id") {
                Some(Value::Number(number)) => number.to_string(),
                _ => word(invalid, "request_id").to_owned(),
            };
            let errors = invalid.get("errors").map(entries).unwrap_or_default();
            let read = move |error: &Value| {
                let [code, path, detail] = ["code", "path", "detail"].map(|key| shorten(word(error, key)));
                Self { request_id: request_id.clone(), code, path, detail }
            };
            errors.into_iter().map(read).collect::<Vec<_>>()
        };
        let invalid = document.get("validation-errors").map(entries).unwrap_or_default();
        invalid.into_iter().flat_map(of_entity).collect()
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotAllowed(why) => Self::Refused(format!(
                "nothing was sent, because the account's address may not be called: {why}"
            )),
            Failure::NotSent(why) => Self::Transport { why, sent: false },
            Failure::Lost { why, .. } => Self::Transport { why, sent: true },
        }
    }
}

fn behind(span: Option<Duration>) -> String {
    span.map(|span| format!(" for {} s", span.as_secs_f64().ceil())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> Error {
        Error::of(&Response { status, body: body.into(), ..Response::default() })
    }

    #[test]
    fn each_status_has_its_error_and_says_whether_to_retry() {
        let said = |text: &str| Said(text.to_owned());
        let problem = r#"{"title":"Нет","detail":"прав"}"#;
        for (status, body, expected, retry) in [
            (402, problem, Error::PaymentRequired(said("Нет: прав")), false),
            (403, problem, Error::Forbidden(said("Нет: прав")), false),
            (403, "<html>", Error::Blocked, false),
            (404, "", Error::NotFound(said("")), false),
            (
                429,
                r#"{"retry_after":5}"#,
                Error::RateLimited { retry_after: Some(Duration::from_secs(5)) },
                true,
            ),
            (500, problem, Error::Status { status: 500, said: said("Нет: прав") }, true),
            (408, "", Error::Status { status: 408, said: said("") }, true),
            (409, "", Error::Status { status: 409, said: said("") }, false),
            (302, "", Error::Status { status: 302, said: said("") }, false),
        ] {
            let error = error(status, body);
            assert_eq!(error, expected, "{status}");
            assert_eq!(error.is_worth_retrying(), retry, "{status}");
        }
        let Error::Unauthorized(why) = error(401, problem) else { panic!("401 is something else") };
        assert!(why.to_string().contains("accounts authorize"), "{why}");
    }

    #[test]
    fn a_refusal_whose_json_broke_off_is_no_blocked_address() {
        let cut = |body: &str, says_json| {
            Error::of(&Response {
                status: 403,
                says_json,
                body: body.into(),
                is_cut: true,
                ..Response::default()
            })
        };
        let forbidden = Error::Forbidden(Said(String::new()));
        assert_eq!(cut(r#"{"title":"Forbi"#, false), forbidden);
        assert_eq!(cut(" \n{", false), forbidden);
        assert_eq!(cut("", true), forbidden);
        assert_eq!(cut("", false), Error::Blocked);
        assert_eq!(cut("<html><he", true), Error::Blocked);
        // Whole, and no JSON all the same.
        assert_eq!(error(403, r#"{"title":"Forbi"#), Error::Blocked);
    }

    #[test]
    fn validation_errors_are_told_with_their_places() {
        let body = r#"{"title":"Bad Request","detail":"failed","validation-errors":
            [{"request_id":"0","errors":[{"code":"FieldMissing","path":"password","detail":"This field is missing."}]}]}"#;
        let refused = error(400, body);
        assert_eq!(
            refused.to_string(),
            "Kommo refuses what was sent (400); Kommo says: Bad Request: failed; FieldMissing at password: This \
             field is missing"
        );
        let Error::Invalid { errors, .. } = refused else { panic!("{refused:?}") };
        let expected = ValidationError {
            request_id: "0".into(),
            code: "FieldMissing".into(),
            path: "password".into(),
            detail: "This field is missing.".into(),
        };
        assert_eq!(errors, [expected]);
    }

    #[test]
    fn what_was_not_sent_and_what_may_have_arrived_are_told_apart() {
        let lost = Error::from(Failure::Lost { why: "reset".into(), timed_out: false });
        let not_sent = Error::from(Failure::NotSent("refused".into()));
        assert!(lost.to_string().contains("may have been carried out"), "{lost}");
        assert!(not_sent.to_string().contains("nothing was done"), "{not_sent}");
        assert!(lost.is_worth_retrying() && not_sent.is_worth_retrying());
        assert!(!Error::from(Failure::NotAllowed("x".into())).is_worth_retrying());
        let paused = Error::Paused { left: Some(Duration::from_millis(1_500)) };
        assert_eq!(paused.to_string(), "calls to this account are paused for 2 s: try again later");
        assert_eq!(paused.retry_after(), Some(Duration::from_millis(1_500)));
    }
}
