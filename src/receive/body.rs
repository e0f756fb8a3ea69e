//! What a widget block posts, out of any of the shapes in which it comes.
//!
//! Kommo's documentation shows JSON; real traffic is a PHP-style form. The Content-Type says too little
//! to be asked, so the bytes decide: a body whose first character is `{` is JSON, one that begins with a boundary
//! is `multipart/form-data`, every other one a form. What is read is the same for all:
//!
//! - `token` and `return_url` are strings.
//! - `data` is any JSON value, `Null` if it is absent. From a form its leaves are strings. If it is one
//!   string that holds a JSON object or array, it is that. Values such as `{{lead.id}}` stay as they are.
//! - Other keys are ignored. Of a key that is there twice the last one counts, as in PHP and in `serde_json`.
//! - Half a character, which PHP leaves where it cuts a message, becomes U+FFFD: the bot is worth more. A number that no
//!   machine type holds becomes a string of its digits ([`repaired_json`]).
//!
//! A form has at most [`MAX_FORM_FIELDS`] fields, and `data` nests at most [`MAX_DATA_DEPTH`] deep.

mod form;
mod multipart;
pub(super) mod read;

use std::fmt;

use serde_json::{Map, Value};

use model::repaired_json;

/// The deepest nesting of `data`: `data[a]` and `{"a": 1}` have depth 1.
pub(super) const MAX_DATA_DEPTH: usize = 32;

/// The most fields of a form; PHP's own default.
pub(super) const MAX_FORM_FIELDS: usize = 1_000;

/// A `widget_request` as it came, nothing of it believed yet.
#[derive(Clone, Default, PartialEq)]
pub(super) struct RawRequest {
    /// Says who asks; empty if it is absent.
    pub token: String,
    /// Where the continue goes.
    pub return_url: String,
    /// What the widget sends.
    pub data: Value,
}

impl fmt::Debug for RawRequest {
    /// Nothing of it: a token, and a customer's words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRequest").finish_non_exhaustive()
    }
}

impl RawRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// What is missing or wrong, in words that hold nothing of the body. A missing token is none: who
    /// checks the token refuses it.
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

/// `data` that is one string: the object or array whose JSON it is, else the string.
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

/// Whether `value` nests deeper than `levels`. It recurses no deeper than that.
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
    /// A name, the token or the `return_url` is not UTF-8, as it came or with its escapes undone.
    #[error("a field's name, the token or the return_url is not UTF-8")]
    Utf8,
    /// It begins like `multipart/form-data` and is not.
    #[error(
        "the body begins like multipart/form-data, but {0}; send JSON, or application/x-www-form-urlencoded with `token`, \
         `return_url` and `data`"
    )]
    Multipart(&'static str),
    /// It begins like JSON and is not.
    #[error("the body begins like JSON, but is not at line {line}, column {column}")]
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
    /// The key holds something else.
    #[error("`{0}` is not a string")]
    NoString(&'static str),
    /// More nesting than [`MAX_DATA_DEPTH`].
    #[error("`data` is nested deeper than {MAX_DATA_DEPTH} levels")]
    TooDeep,
    /// More fields than [`MAX_FORM_FIELDS`].
    #[error("the form has more than {MAX_FORM_FIELDS} fields")]
    TooManyFields,
}

#[cfg(test)]
mod tests;
