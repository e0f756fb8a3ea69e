//! The faults that can be injected, and their names in the control endpoints.

use std::fmt;
use std::str::FromStr;

/// One fault that replaces the usual response to a continue, another call of the API or a token
/// request. The request then has no effect: its bot is not continued, its widget not installed, its
/// token not rotated. The exceptions are [`AnswerLost`](Self::AnswerLost) and a 2xx
/// [`Status`](Self::Status).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Responds with this status: `application/problem+json` from 400 up, with `trace_id` for
    /// 5xx and `validation-errors` for 400. A 2xx status is not a refusal: the simulator handles the
    /// call as usual, and this status replaces that of a success. A 404 as the first fault plays a
    /// bot that is not waiting yet when its continue arrives.
    Status(u16),
    /// Reads the request and never responds.
    Hang,
    /// Resets the connection instead of responding.
    Reset,
    /// Handles the request as usual, then closes the connection without a response. A bot **is**
    /// continued, so later attempts get 404.
    AnswerLost,
    /// 429 with a waiting time in seconds, in the header, the body or both. Without `body`, the body is
    /// not JSON.
    TooManyRequests {
        /// The header `Retry-After`.
        header: Option<u32>,
        /// The key `retry_after` of the body.
        body: Option<u32>,
    },
    /// 403 with an HTML page: the caller's address is blocked.
    HtmlForbidden,
    /// 404 with an HTML page: a proxy or a parked domain answers in place of Kommo.
    HtmlNotFound,
    /// 200 with an HTML page: a captive portal answers in place of Kommo.
    HtmlOk,
    /// 403 with a problem document: the user has no rights.
    Forbidden,
    /// 401, whatever the bearer.
    Unauthorized,
    /// 402: the account's plan has ended.
    PaymentRequired,
    /// 307 to this location: asks the client to repeat the POST there, bearer included.
    Redirect(String),
    /// Bytes that are not HTTP, then the end of the connection.
    Garbage,
    /// A response head that arrives one byte at a time and never ends.
    Drip,
}

/// The names of faults, and what each does instead of the usual response. Any other status from 200 to
/// 599 is also a name.
pub const FAULTS: [(&str, &str); 14] = [
    ("hang", "reads the request and never answers"),
    ("reset", "resets the connection"),
    ("answer-lost", "continues the bot, then closes the connection without an answer"),
    ("429", "429, with `retry_after` of 1 s in the body"),
    ("429-header", "429, with `Retry-After: 1` and a body that is not JSON"),
    ("html-403", "403 with an HTML page: the caller's address is blocked"),
    ("html-404", "404 with an HTML page: a proxy or a parked domain answers in place of Kommo"),
    ("html-200", "200 with an HTML page: a captive portal answers in place of Kommo"),
    ("403", "403 with a problem: the user has no rights"),
    ("401", "401, whatever the bearer"),
    ("402", "402: the account's plan has ended"),
    ("redirect", "307 to a path that is not served"),
    ("garbage", "bytes that are not HTTP"),
    ("drip", "a response head that comes one byte at a time and never ends"),
];

/// The name is not that of a fault. The message lists the names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown fault `{0}` (expected one of: {names}, or another status from 200 to 599)", names = names())]
pub struct UnknownFault(String);

fn names() -> String {
    FAULTS.map(|(name, _)| name).join(", ")
}

/// The target of the fault named `redirect`: a path that the simulator never serves.
const ELSEWHERE: &str = "/simulator/redirected";

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(match name {
            "hang" => Self::Hang,
            "reset" => Self::Reset,
            "answer-lost" => Self::AnswerLost,
            "429" => Self::TooManyRequests { header: None, body: Some(1) },
            "429-header" => Self::TooManyRequests { header: Some(1), body: None },
            "html-403" => Self::HtmlForbidden,
            "html-404" => Self::HtmlNotFound,
            "html-200" => Self::HtmlOk,
            "403" => Self::Forbidden,
            "401" => Self::Unauthorized,
            "402" => Self::PaymentRequired,
            "redirect" => Self::Redirect(ELSEWHERE.to_owned()),
            "garbage" => Self::Garbage,
            "drip" => Self::Drip,
            other => match other.parse() {
                Ok(status @ 200..=599) => Self::Status(status),
                _ => return Err(UnknownFault(other.chars().take(40).collect())),
            },
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status(status) => return write!(f, "{status}"),
            Self::Hang => "hang",
            Self::Reset => "reset",
            Self::AnswerLost => "answer-lost",
            Self::TooManyRequests { header: None, .. } => "429",
            Self::TooManyRequests { header: Some(_), .. } => "429-header",
            Self::HtmlForbidden => "html-403",
            Self::HtmlNotFound => "html-404",
            Self::HtmlOk => "html-200",
            Self::Forbidden => "403",
            Self::Unauthorized => "401",
            Self::PaymentRequired => "402",
            Self::Redirect(_) => "redirect",
            Self::Garbage => "garbage",
            Self::Drip => "drip",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_and_prints_as_itself() {
        for name in FAULTS.map(|(name, _)| name).into_iter().chain(["500", "503", "204"]) {
            assert_eq!(name.parse::<Fault>().map(|fault| fault.to_string()), Ok(name.to_owned()));
        }
        for name in ["", "199", "600", "Hang", "-500"] {
            let error = name.parse::<Fault>().unwrap_err().to_string();
            assert!(FAULTS.iter().all(|(name, _)| error.contains(name)), "{error}");
        }
    }
}
