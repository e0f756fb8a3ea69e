//! The PHP-style form: `token=…&data[lead][id]=1&data[tags][]=a&return_url=…`.
//!
//! Brackets may be percent-encoded or not. As in PHP, a later field replaces an earlier one that conflicts with it,
//! `[]` is the next free number, and anything after the last `]` is ignored. A level whose keys are exactly 0, 1, 2 …
//! becomes an array, any other level an object, so a huge index costs nothing. Invalid UTF-8 becomes U+FFFD in a
//! value of `data`, and is refused elsewhere. The fields of `multipart/form-data` have the same kind of names.

use std::borrow::Cow;
use std::collections::BTreeMap;

use memchr::{memchr, memchr_iter, memchr2};
use serde_json::Value;

use super::{BodyError, MAX_DATA_DEPTH, MAX_FORM_FIELDS, RawRequest, from_text};

/// Parses a form.
pub(super) fn parse(body: &[u8]) -> Result<RawRequest, BodyError> {
    let mut start = 0;
    let ends = memchr_iter(b'&', body).chain([body.len()]);
    let fields = ends.map(|end| &body[std::mem::replace(&mut start, end + 1)..end]);
    let fields = fields.filter(|field| !field.is_empty()).map(|field| {
        let cut = memchr(b'=', field);
        let (key, value) = cut.map_or((field, &[][..]), |cut| (&field[..cut], &field[cut + 1..]));
        (unescape(key), unescape(value))
    });
    collect(fields)
}

/// Builds a request from the names and values of a form.
pub(super) fn collect<'a>(
    fields: impl Iterator<Item = (Cow<'a, [u8]>, Cow<'a, [u8]>)>,
) -> Result<RawRequest, BodyError> {
    let mut request = RawRequest::default();
    let mut data = Node::Leaf(None);
    for (index, (key, value)) in fields.enumerate() {
        if index == MAX_FORM_FIELDS {
            return Err(BodyError::TooManyFields);
        }
        let key = text(&key)?;
        let (name, path) = key.split_at(key.find('[').unwrap_or(key.len()));
        match name {
            "token" if path.is_empty() => request.token = text(&value)?.to_owned(),
            "token" => return Err(BodyError::NoString("token")),
            "return_url" if path.is_empty() => request.return_url = text(&value)?.to_owned(),
            "return_url" => return Err(BodyError::NoString("return_url")),
            // A customer's words, which PHP may have truncated within a character: answering the bot matters more than
            // that character.
            "data" => data.insert(path, String::from_utf8_lossy(&value).into_owned())?,
            _ => {}
        }
    }
    request.data = match data {
        Node::Leaf(Some(text)) => from_text(text)?,
        other => other.into_value(),
    };
    Ok(request)
}

/// Decodes a name, a token or a URL.
fn text(bytes: &[u8]) -> Result<&str, BodyError> {
    std::str::from_utf8(bytes).map_err(|_| BodyError::Utf8)
}

/// Decodes `+` and `%41`. A `%` without two hexadecimal digits stays, as in PHP.
fn unescape(escaped: &[u8]) -> Cow<'_, [u8]> {
    if memchr2(b'%', b'+', escaped).is_none() {
        return Cow::Borrowed(escaped);
    }
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = memchr2(b'%', b'+', rest) {
        bytes.extend_from_slice(&rest[..at]);
        let (byte, length) = match rest[at..] {
            [b'%', high, low, ..] => match hex(high).zip(hex(low)) {
                Some((high, low)) => (high << 4 | low, 3),
                None => (b'%', 1),
            },
            [b'+', ..] => (b' ', 1),
            _ => (b'%', 1),
        };
        bytes.push(byte);
        rest = &rest[at + length..];
    }
    bytes.extend_from_slice(rest);
    Cow::Owned(bytes)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

enum Node {
    /// `None` until a field sets it.
    Leaf(Option<String>),
    Branch(Branch),
}

#[derive(Default)]
struct Branch {
    entries: BTreeMap<String, Node>,
    /// The number for `[]`: one more than the highest so far.
    next: usize,
    /// How many keys are not numbers.
    names: usize,
}

impl Node {
    /// Inserts `value` at `path`, such as `[lead][id]`.
    fn insert(&mut self, path: &str, value: String) -> Result<(), BodyError> {
        let mut node = self;
        let mut depth = 0;
        for key in segments(path) {
            depth += 1;
            if depth > MAX_DATA_DEPTH {
                return Err(BodyError::TooDeep);
            }
            if let Self::Leaf(_) = node {
                *node = Self::Branch(Branch::default());
            }
            let Self::Branch(branch) = node else { return Ok(()) };
            node = branch.entry(key);
        }
        *node = Self::Leaf(Some(value));
        Ok(())
    }

    fn into_value(self) -> Value {
        match self {
            Self::Leaf(text) => text.map_or(Value::Null, Value::String),
            Self::Branch(branch) => branch.into_value(),
        }
    }
}

impl Branch {
    fn entry(&mut self, key: &str) -> &mut Node {
        let number = if key.is_empty() { Some(self.next) } else { number(key) };
        let key = if key.is_empty() { self.next.to_string() } else { key.to_owned() };
        match number {
            Some(number) => self.next = self.next.max(number + 1),
            None if self.entries.contains_key(&key) => {}
            None => self.names += 1,
        }
        self.entries.entry(key).or_insert(Node::Leaf(None))
    }

    fn into_value(mut self) -> Value {
        // All keys are numbers, and there are as many as the highest one requires, so none is missing.
        if self.names == 0 && self.next == self.entries.len() {
            let items = (0..self.next).filter_map(|index| self.entries.remove(&index.to_string()));
            return Value::Array(items.map(Node::into_value).collect());
        }
        Value::Object(self.entries.into_iter().map(|(key, node)| (key, node.into_value())).collect())
    }
}

/// Returns the keys in `[a][][b]c`: `a`, empty, `b`.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let (key, tail) = rest.strip_prefix('[')?.split_once(']')?;
        rest = tail;
        Some(key)
    })
}

/// Parses a key that is a number in its shortest form, as PHP counts it. At most nine digits: no one sends a list of
/// a billion entries.
fn number(key: &str) -> Option<usize> {
    let shortest = key == "0" || !key.starts_with('0');
    let digits = key.len() <= 9 && key.bytes().all(|byte| byte.is_ascii_digit());
    if shortest && digits { key.parse().ok() } else { None }
}
