//! Parses what a widget block posts, in any of its formats.
//!
//! Kommo's documentation shows JSON; real traffic is a PHP-style form. The Content-Type is unreliable, so the bytes
//! decide: a body that starts with `{` is JSON, one that starts with a boundary is `multipart/form-data`, and any
//! other is a form. All formats yield the same:
//!
//! - `token` and `return_url` are strings.
//! - `data` is any JSON value, `Null` if absent. In a form, its leaves are strings. If it is a single string that
//!   contains a JSON object or array, it becomes that object or array. Values such as `{{lead.id}}` stay unchanged.
//! - Other keys are ignored. If a key occurs twice, the last one wins, as in PHP and `serde_json`.
//! - A character that PHP cut in half when it truncated a message becomes U+FFFD, because answering the bot matters more
//!   than that character. A number that does not fit any machine type becomes a string of its digits
//!   ([`repaired_json`]).
//!
//! A form has at most [`MAX_FORM_FIELDS`] fields, and `data` is nested at most [`MAX_DATA_DEPTH`] levels deep.

mod form;
mod multipart;

use std::fmt;

use serde_json::{Map, Value};

use model::repaired_json;

/// The maximum nesting of `data`: `data[a]` and `{"a": 1}` have depth 1.
pub(super) const MAX_DATA_DEPTH: usize = 32;

/// The maximum number of fields of a form; PHP's default.
pub(super) const MAX_FORM_FIELDS: usize = 1_000;

/// An unverified `widget_request`.
#[derive(Clone, Default, PartialEq)]
pub(super) struct RawRequest {
    /// Proves who sent the request; empty if absent.
    pub token: String,
    /// Where the continue is sent.
    pub return_url: String,
    /// The data that the widget sends.
    pub data: Value,
}

impl fmt::Debug for RawRequest {
    /// Prints no content, because that is a token and a customer's words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRequest").finish_non_exhaustive()
    }
}

impl RawRequest {
    /// Parses a body.
    ///
    /// # Errors
    /// The body is not a `widget_request`. The error contains nothing of the body. A missing token is not an error here;
    /// the check of the token refuses it.
    pub(super) fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
        let request = match body {
            [b'{', ..] => from_json(&repaired_json(body))?,
            _ => match multipart::parts(body) {
                Some(parts) => form::collect(parts?.into_iter().map(|part| part.into_field()))?,
                None => form::parse(body)?,
            },
        };
        if request.return_url.is_empty() {
            return Err(BodyError::Missing("return_url"));
        }
        Ok(request)
    }
}

fn from_json(text: &str) -> Result<RawRequest, BodyError> {
    let mut map: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| BodyError::Json { line: error.line(), column: error.column() })?;
    let data = match map.remove("data") {
        Some(Value::String(text)) => from_text(text)?,
        Some(data) if deeper_than(&data, MAX_DATA_DEPTH) => return Err(BodyError::TooDeep),
        data => data.unwrap_or_default(),
    };
    Ok(RawRequest {
        token: string(map.remove("token"), "token")?,
        return_url: string(map.remove("return_url"), "return_url")?,
        data,
    })
}

fn string(value: Option<Value>, key: &'static str) -> Result<String, BodyError> {
    match value {
        Some(Value::String(text)) => Ok(text),
        None | Some(Value::Null) => Ok(String::new()),
        Some(_) => Err(BodyError::NoString(key)),
    }
}

/// Converts a `data` string: to the object or array if it contains one as JSON, else to a string.
pub(super) fn from_text(text: String) -> Result<Value, BodyError> {
    let looks_like_json = text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']);
    let value =
        if looks_like_json { serde_json::from_str(&repaired_json(text.as_bytes())).ok() } else { None };
    match value {
        Some(value) if deeper_than(&value, MAX_DATA_DEPTH) => Err(BodyError::TooDeep),
        Some(value) => Ok(value),
        None => Ok(Value::String(text)),
    }
}

/// Whether `value` is nested deeper than `levels`. Recurses only that far.
pub(super) fn deeper_than(value: &Value, levels: usize) -> bool {
    let below = |inner: &Value| levels == 0 || deeper_than(inner, levels - 1);
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(below),
        Value::Object(map) => levels == 0 || map.values().any(below),
        _ => false,
    }
}

/// Why a body is not a `widget_request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    /// A name, the token or the `return_url` is not UTF-8, before or after decoding its escapes.
    #[error("a field's name, the token or the return_url is not UTF-8; send UTF-8")]
    Utf8,
    /// It starts like `multipart/form-data`, but is not valid.
    #[error(
        "the body starts like multipart/form-data, but {0}; send JSON, or application/x-www-form-urlencoded with `token`, \
         `return_url` and `data`"
    )]
    Multipart(&'static str),
    /// It starts like JSON, but is not valid.
    #[error("the body starts like JSON, but is invalid at line {line}, column {column}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1, in bytes.
        column: usize,
    },
    /// The key is absent, null or empty.
    #[error(
        "the body has no `{0}`: a widget_request is JSON or a form with `token`, `return_url` and `data`"
    )]
    Missing(&'static str),
    /// The key has another type.
    #[error("`{0}` is not a string")]
    NoString(&'static str),
    /// `data` is nested deeper than [`MAX_DATA_DEPTH`].
    #[error("`data` is nested deeper than {MAX_DATA_DEPTH} levels")]
    TooDeep,
    /// There are more fields than [`MAX_FORM_FIELDS`].
    #[error("the form has more than {MAX_FORM_FIELDS} fields")]
    TooManyFields,
}

#[cfg(test)]
mod tests;
