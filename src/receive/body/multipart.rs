//! `multipart/form-data`, which some clients send instead of a form.
//!
//! The boundary is the first line of the body, so no header is needed. Names are parsed as in a form. Files and parts
//! without a name are ignored, because Kommo sends none. `server.max_body` limits the body, and [`MAX_FORM_FIELDS`] the
//! number of parts.

use std::borrow::Cow;

use super::{BodyError, MAX_FORM_FIELDS};

/// RFC 2046 allows 70 characters; some clients use more.
const MAX_BOUNDARY_BYTES: usize = 200;

/// A field's name and value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    name: Cow<'a, [u8]>,
    value: &'a [u8],
}

impl<'a> Part<'a> {
    pub(super) fn into_field(self) -> (Cow<'a, [u8]>, Cow<'a, [u8]>) {
        (self.name, Cow::Borrowed(self.value))
    }
}

/// Returns the parts of `body`; `None` if it does not start with a boundary.
pub(super) fn parts(body: &[u8]) -> Option<Result<Vec<Part<'_>>, BodyError>> {
    // First, because a form is usually a single line, which may be long.
    if !body.starts_with(b"--") {
        return None;
    }
    let (boundary, rest) = line(body)?;
    let is_boundary =
        (3..=MAX_BOUNDARY_BYTES).contains(&boundary.len()) && boundary.iter().all(u8::is_ascii_graphic);
    // A form may start with two hyphens too, but its second line does not start like this.
    let is_header = rest.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
    (is_boundary && is_header).then(|| read(boundary, rest))
}

fn read<'a>(boundary: &[u8], mut rest: &'a [u8]) -> Result<Vec<Part<'a>>, BodyError> {
    let mut parts = Vec::new();
    loop {
        let mut name = None;
        loop {
            let (header, after) =
                line(rest).ok_or(BodyError::Multipart("the headers of a part are incomplete"))?;
            rest = after;
            if header.is_empty() {
                break;
            }
            name = name.or_else(|| field_name(header));
        }
        let (value, after) =
            part_end(rest, boundary).ok_or(BodyError::Multipart("its last part is incomplete"))?;
        if let Some(name) = name {
            if parts.len() == MAX_FORM_FIELDS {
                return Err(BodyError::TooManyFields);
            }
            parts.push(Part { name, value });
        }
        // The last boundary ends with two more hyphens; anything after it is ignored.
        if after.starts_with(b"--") {
            return Ok(parts);
        }
        (_, rest) = line(after).ok_or(BodyError::Multipart("its last part is incomplete"))?;
    }
}

/// Returns the first line without its line ending, and the rest.
fn line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    let line = &text[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &text[end + 1..]))
}

/// Returns the value at the start of `rest`, and the text after the next boundary. Both use the same line endings.
fn part_end<'a>(rest: &'a [u8], boundary: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    // An empty value may lack its own line.
    if let Some(after) = after_boundary(rest, boundary) {
        return Some((&[], after));
    }
    let mut from = 0;
    loop {
        let end = from + rest[from..].iter().position(|byte| *byte == b'\n')?;
        if let Some(after) = after_boundary(&rest[end + 1..], boundary) {
            let value = &rest[..end];
            return Some((value.strip_suffix(b"\r").unwrap_or(value), after));
        }
        from = end + 1;
    }
}

/// Returns the text after the boundary at the start of `text`; `None` if there is no boundary, or only a longer word.
fn after_boundary<'a>(text: &'a [u8], boundary: &[u8]) -> Option<&'a [u8]> {
    let after = text.strip_prefix(boundary)?;
    matches!(after, [b'\r' | b'\n' | b' ' | b'\t', ..] | [b'-', b'-', ..]).then_some(after)
}

/// Returns a field's name from `Content-Disposition: form-data; name="data[a]"`; `None` for another header, or a
/// file.
fn field_name(header: &[u8]) -> Option<Cow<'_, [u8]>> {
    const NAME: &[u8] = b"content-disposition:";
    let (start, mut rest) = header.split_at_checked(NAME.len())?;
    if !start.eq_ignore_ascii_case(NAME) {
        return None;
    }
    let mut name = None;
    while let Some(semicolon) = rest.iter().position(|byte| *byte == b';') {
        rest = rest[semicolon + 1..].trim_ascii_start();
        let equals = rest.iter().position(|byte| *byte == b'=')?;
        let key = rest[..equals].trim_ascii();
        let (value, after) = parameter(rest[equals + 1..].trim_ascii_start());
        rest = after;
        if key.eq_ignore_ascii_case(b"filename") || key.eq_ignore_ascii_case(b"filename*") {
            return None;
        }
        if key.eq_ignore_ascii_case(b"name") {
            name = Some(value);
        }
    }
    name
}

/// Returns a value, quoted or not, and the text after it.
fn parameter(text: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| *byte == b';').unwrap_or(text.len());
        return (Cow::Borrowed(text[..end].trim_ascii_end()), &text[end..]);
    };
    let mut value = Vec::new();
    let mut rest = quoted.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => break,
            b'\\' => value.extend(rest.next()),
            byte => value.push(*byte),
        }
    }
    (Cow::Owned(value), rest.as_slice())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::RawRequest;
    use super::*;

    fn multipart(parts: &[(&str, &str)], end: &str) -> Vec<u8> {
        let part = |(head, value): &(&str, &str)| {
            format!("--X-1{end}Content-Disposition: form-data; {head}{end}{end}{value}{end}")
        };
        format!("{}--X-1--{end}", parts.iter().map(part).collect::<String>()).into_bytes()
    }

    #[test]
    fn multipart_yields_the_same_as_a_form() {
        let fields = [
            ("name=\"token\"", "a.b.c"),
            ("name=\"data[message]\"", "Grüße & +1%41\r\nsecond line\r\n--X-12"),
            ("name=data[lead][id]; x=y", "31764961"),
            ("NAME = \"data[tags][]\"", "a"),
            ("name=\"data[tags][]\"", ""),
            ("name=\"data[file]\"; filename=\"a;b.txt\"", "left out"),
            ("x=\"name=data[no]\"", "no name"),
            ("name=\"return_url\"", "https://x.kommo.com/api/v4/salesbot/1/continue/2"),
        ];
        let expected = RawRequest {
            token: "a.b.c".into(),
            return_url: "https://x.kommo.com/api/v4/salesbot/1/continue/2".into(),
            data: json!({"message": "Grüße & +1%41\r\nsecond line\r\n--X-12", "lead": {"id": "31764961"}, "tags": ["a", ""]}),
        };
        for end in ["\r\n", "\n"] {
            assert_eq!(RawRequest::parse(&multipart(&fields, end)), Ok(expected.clone()), "{end:?}");
        }
        let json = [("name=\"data\"", "{\"a\": [1]}"), ("name=\"return_url\"", "r")];
        assert_eq!(RawRequest::parse(&multipart(&json, "\r\n")).unwrap().data, json!({"a": [1]}));
        let half = [&multipart(&[("name=\"data\"", "Hi ?")], "\r\n")[..], b""].concat();
        let half: Vec<u8> = half.iter().map(|byte| if *byte == b'?' { 0xf0 } else { *byte }).collect();
        let text = parts(&half).unwrap().unwrap().remove(0).into_field();
        assert_eq!(String::from_utf8_lossy(&text.1), "Hi \u{fffd}");
    }

    #[test]
    fn truncated_and_oversized_bodies_say_what_to_send() {
        let whole = multipart(&[("name=\"token\"", "t"), ("name=\"return_url\"", "r")], "\r\n");
        for length in 0..whole.len() - 4 {
            assert!(RawRequest::parse(&whole[..length]).is_err(), "{length}");
        }
        let cut = RawRequest::parse(&whole[..whole.len() - 10]).unwrap_err().to_string();
        assert!(cut.contains("multipart/form-data") && cut.contains("send JSON"), "{cut}");
        let many = vec![("name=\"data[]\"", "1"); MAX_FORM_FIELDS + 1];
        assert_eq!(RawRequest::parse(&multipart(&many, "\n")), Err(BodyError::TooManyFields));
        // A form whose first name begins like a boundary stays a form.
        assert_eq!(RawRequest::parse(b"--x\n=1&return_url=r").unwrap().return_url, "r");
    }
}
