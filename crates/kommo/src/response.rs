//! What came back from a call: status, headers that matter, and the body as far as it was read.

use std::fmt;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;

use super::problem::ApiProblem;
use super::retry_after;

/// No response to a continue, and no error, that matters is longer.
pub(super) const MAX_BODY_BYTES: usize = 64 << 10;

/// A response, whatever its status.
#[derive(Clone, Default)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The time that the header `Retry-After` asks for.
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
    /// All of it was read.
    #[default]
    Complete,
    /// It is longer than what is read of it.
    TooLong,
    /// The connection broke before its end.
    BrokeOff,
}

impl fmt::Debug for Response {
    /// Without the body: tokens and what an account holds come in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Response {
    /// Reads up to `max_body_bytes` of a body; of an error no more than [`MAX_BODY_BYTES`].
    pub(super) async fn read(mut response: reqwest::Response, max_body_bytes: usize) -> Self {
        let status = response.status().as_u16();
        let is_success = response.status().is_success();
        let max = if is_success { max_body_bytes } else { max_body_bytes.min(MAX_BODY_BYTES) };
        let retry_after = retry_after::read(response.headers());
        let content_type = response.headers().get(CONTENT_TYPE);
        let says_json =
            content_type.is_some_and(|value| value.as_bytes().windows(4).any(|part| part == b"json"));
        // To the end, if it is near: only then can the connection be used again.
        let mut body = Vec::new();
        let body_end = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break BodyEnd::Complete,
                // Kommo has spoken: a body that breaks off does not change what its status says.
                Err(_) => break BodyEnd::BrokeOff,
            }
            if body.len() > max {
                break BodyEnd::TooLong;
            }
        };
        Self { status, retry_after, says_json, body, body_end }
    }

    /// 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A success with an HTML page, which Kommo's API never sends. Kommo's own success has the type `text/html` and the text
    /// `Accepted`, so the header decides nothing.
    pub(super) fn is_web_page(&self) -> bool {
        matches!(self.status, 200 | 206) && begins_as_markup(&self.body)
    }

    /// What the body of an error says; `None` if it is not a JSON object, nor the beginning of one.
    ///
    /// A body that broke off says nothing that can be read, but that it was JSON decides what a 403 means. If not even its
    /// first byte came, the header decides.
    pub(super) fn problem(&self) -> Option<ApiProblem> {
        ApiProblem::read(&self.body).or_else(|| {
            let begins_as_json = match without_bom(&self.body).trim_ascii_start().first() {
                Some(first) => *first == b'{',
                None => self.says_json,
            };
            (self.body_end != BodyEnd::Complete && begins_as_json).then(ApiProblem::default)
        })
    }

    /// Whether this is a success whose body did not come to its end.
    pub(super) fn broke_off(&self) -> bool {
        self.is_success() && self.body_end == BodyEnd::BrokeOff
    }
}

/// Whether a body begins as an HTML or XML document does.
fn begins_as_markup(body: &[u8]) -> bool {
    without_bom(body.trim_ascii_start()).trim_ascii_start().starts_with(b"<")
}

fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}
