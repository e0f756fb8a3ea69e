//! As much HTTP/1.1 as two ends need that are both of this project: a head with a `Content-Length`.

/// A message whose head is complete.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    /// The request or status line.
    pub(super) line: &'a str,
    /// The value of `Authorization`, or empty.
    pub(super) authorization: &'a str,
    /// Whether the peer ends the connection after this message.
    pub(super) closes: bool,
    /// Where the body begins.
    pub(super) body: usize,
    /// Where the message ends, and the next one begins.
    pub(super) end: usize,
}

/// What cannot be read: the connection is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what came is no HTTP with a Content-Length")]
pub(super) struct NoHttp;

/// No client or server that we know sends a longer head.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Reads the first message in `bytes`; `None` until it is there with all its body.
///
/// # Errors
/// It is no HTTP, or its body has no length.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Head<'_>>, NoHttp> {
    let Some(body) = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) else {
        return if bytes.len() > MAX_HEAD_BYTES { Err(NoHttp) } else { Ok(None) };
    };
    let head = std::str::from_utf8(&bytes[..body - 4]).map_err(|_| NoHttp)?;
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let (mut authorization, mut closes, mut length) = ("", false, 0);
    for header in lines {
        let (name, value) = header.split_once(':').ok_or(NoHttp)?;
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().map_err(|_| NoHttp)?;
        } else if name.eq_ignore_ascii_case("authorization") {
            authorization = value;
        } else if name.eq_ignore_ascii_case("connection") {
            closes = value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(NoHttp);
        }
    }
    let end = body.checked_add(length).ok_or(NoHttp)?;
    Ok((bytes.len() >= end).then_some(Head { line, authorization, closes, body, end }))
}

/// The status of a status line.
pub(super) fn status(line: &str) -> Result<u16, NoHttp> {
    let rest = line.strip_prefix("HTTP/1.1 ").ok_or(NoHttp)?;
    rest.get(..3).and_then(|status| status.parse().ok()).ok_or(NoHttp)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str =
        "POST /a HTTP/1.1\r\nhost: b\r\nAuthorization:  Bearer c \r\nContent-Length: 4\r\n\r\nbody";

    #[test]
    fn a_message_is_read_when_its_last_byte_is_there_and_not_before() {
        for length in 0..FIRST.len() {
            assert_eq!(read(&FIRST.as_bytes()[..length]), Ok(None), "{length}");
        }
        let line = "POST /a HTTP/1.1";
        let (body, end) = (FIRST.len() - 4, FIRST.len());
        let expected = Head { line, authorization: "Bearer c", closes: false, body, end };
        assert_eq!(read(FIRST.as_bytes()), Ok(Some(expected)));
    }

    #[test]
    fn of_two_messages_the_first_ends_where_the_second_begins() {
        let both = format!("{FIRST}HTTP/1.1 202 Accepted\r\nconnection: Close\r\n\r\n");
        let first = read(both.as_bytes()).unwrap().unwrap();
        let second = read(&both.as_bytes()[first.end..]).unwrap().unwrap();
        assert_eq!((second.line, second.closes), ("HTTP/1.1 202 Accepted", true));
        assert_eq!((second.end, second.authorization), (both.len() - first.end, ""));
        assert_eq!(status(second.line), Ok(202));
    }

    #[test]
    fn what_has_no_length_or_no_end_is_refused() {
        for head in [
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: four\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 18446744073709551615\r\n\r\n",
            "POST / HTTP/1.1\r\nno header\r\n\r\n",
        ] {
            assert_eq!(read(head.as_bytes()), Err(NoHttp), "{head}");
        }
        assert_eq!(read(&vec![b'x'; MAX_HEAD_BYTES + 1]), Err(NoHttp));
        for line in ["HTTP/1.1 2x2 No", "HTTP/1.1 ", "HTTP/2 200", ""] {
            assert_eq!(status(line), Err(NoHttp), "{line}");
        }
    }
}
