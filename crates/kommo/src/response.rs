//! The response to a call: the status, the relevant headers, and the body as far as it was read.

use std::fmt;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;

use super::problem::ApiProblem;
use super::retry_after;

/// The maximum size of a response to a continue, and of an error, in bytes. Kommo's are shorter.
pub(super) const MAX_BODY_BYTES: usize = 64 << 10;

/// A response, whatever its status.
#[derive(Clone, Default)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The time to wait from the header `Retry-After`.
    pub retry_after: Option<Duration>,
    /// Whether the header `Content-Type` says that the body is JSON.
    pub says_json: bool,
    /// The body, as far as it was read.
    pub body: Vec<u8>,
    /// How reading the body ended.
    pub body_end: BodyEnd,
}

/// How reading a body ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyEnd {
    /// The whole body was read.
    #[default]
    Complete,
    /// The body is longer than the limit.
    TooLong,
    /// The connection broke before the end of the body.
    BrokeOff,
}

impl fmt::Debug for Response {
    /// Omits the body, because it may contain tokens or an account's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Response {
    /// Reads up to `max_body_bytes` of the body, or up to 64 KiB of an error's body.
    pub async fn read(mut response: reqwest::Response, max_body_bytes: usize) -> Self {
        let status = response.status().as_u16();
        let is_success = response.status().is_success();
        let max = if is_success { max_body_bytes } else { max_body_bytes.min(MAX_BODY_BYTES) };
        let retry_after = retry_after::read(response.headers());
        let content_type = response.headers().get(CONTENT_TYPE);
        let says_json =
            content_type.is_some_and(|value| value.as_bytes().windows(4).any(|part| part == b"json"));
        // Only a body that is read to its end lets the client reuse the connection.
        let mut body = Vec::new();
        let body_end = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break BodyEnd::Complete,
                // The status is known, and a truncated body does not change it.
                Err(_) => break BodyEnd::BrokeOff,
            }
            if body.len() > max {
                break BodyEnd::TooLong;
            }
        };
        Self { status, retry_after, says_json, body, body_end }
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether this is a success with an HTML page, which Kommo's API never sends. A success of Kommo has the type
    /// `text/html` and the text `Accepted`, so only the body decides.
    pub(super) fn is_web_page(&self) -> bool {
        matches!(self.status, 200 | 206) && begins_as_markup(&self.body)
    }

    /// The content of an error's body; `None` if the body is not a JSON object, or the beginning of one.
    ///
    /// A truncated body cannot be parsed. But it still matters whether it was JSON, because that decides what a 403 means.
    /// If not even the first byte arrived, the header decides.
    pub(super) fn problem(&self) -> Option<ApiProblem> {
        ApiProblem::read(&self.body).or_else(|| {
            let begins_as_json = match without_bom(&self.body).trim_ascii_start().first() {
                Some(first) => *first == b'{',
                None => self.says_json,
            };
            (self.body_end != BodyEnd::Complete && begins_as_json).then(ApiProblem::default)
        })
    }

    /// Whether this is a success with a truncated body.
    pub(super) fn broke_off(&self) -> bool {
        self.is_success() && self.body_end == BodyEnd::BrokeOff
    }
}

/// Whether a body begins like an HTML or XML document.
fn begins_as_markup(body: &[u8]) -> bool {
    without_bom(body.trim_ascii_start()).trim_ascii_start().starts_with(b"<")
}

fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}
