//! The subset of HTTP/1.1 that generator, sink and bridge use with each other: messages with a `Content-Length`.

/// The head of a complete message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    /// The request or status line.
    pub(super) line: &'a str,
    /// The value of `Authorization`; empty if there is none.
    pub(super) authorization: &'a str,
    /// Whether the peer closes the connection after this message.
    pub(super) closes: bool,
    /// Where the body begins.
    pub(super) body: usize,
    /// Where the message ends, and the next one begins.
    pub(super) end: usize,
}

/// The peer sent bytes that are not a readable message, so the connection is no longer usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer did not send an HTTP/1.1 message with a Content-Length")]
pub(super) struct NotHttp;

/// More than any known client or server sends as a head.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Parses the first message in `bytes`; `None` while its head or body is incomplete.
///
/// # Errors
/// The bytes are not HTTP, or the body's length is not given by `Content-Length`.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Head<'_>>, NotHttp> {
    let Some(body) = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) else {
        return if bytes.len() > MAX_HEAD_BYTES { Err(NotHttp) } else { Ok(None) };
    };
    let head = std::str::from_utf8(&bytes[..body - 4]).map_err(|_| NotHttp)?;
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let (mut authorization, mut closes, mut length) = ("", false, 0);
    for header in lines {
        let (name, value) = header.split_once(':').ok_or(NotHttp)?;
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().map_err(|_| NotHttp)?;
        } else if name.eq_ignore_ascii_case("authorization") {
            authorization = value;
        } else if name.eq_ignore_ascii_case("connection") {
            closes = value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(NotHttp);
        }
    }
    let end = body.checked_add(length).ok_or(NotHttp)?;
    Ok((bytes.len() >= end).then_some(Head { line, authorization, closes, body, end }))
}

/// The status of a status line.
pub(super) fn status(line: &str) -> Result<u16, NotHttp> {
    let rest = line.strip_prefix("HTTP/1.1 ").ok_or(NotHttp)?;
    rest.get(..3).and_then(|status| status.parse().ok()).ok_or(NotHttp)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str =
        "POST /a HTTP/1.1\r\nhost: b\r\nAuthorization:  Bearer c \r\nContent-Length: 4\r\n\r\nbody";

    #[test]
    fn message_is_returned_only_with_its_last_byte() {
        for length in 0..FIRST.len() {
            assert_eq!(read(&FIRST.as_bytes()[..length]), Ok(None), "{length}");
        }
        let line = "POST /a HTTP/1.1";
        let (body, end) = (FIRST.len() - 4, FIRST.len());
        let expected = Head { line, authorization: "Bearer c", closes: false, body, end };
        assert_eq!(read(FIRST.as_bytes()), Ok(Some(expected)));
    }

    #[test]
    fn two_messages_in_one_buffer_are_separated() {
        let both = format!("{FIRST}HTTP/1.1 202 Accepted\r\nconnection: Close\r\n\r\n");
        let first = read(both.as_bytes()).unwrap().unwrap();
        let second = read(&both.as_bytes()[first.end..]).unwrap().unwrap();
        assert_eq!((second.line, second.closes), ("HTTP/1.1 202 Accepted", true));
        assert_eq!((second.end, second.authorization), (both.len() - first.end, ""));
        assert_eq!(status(second.line), Ok(202));
    }

    #[test]
    fn invalid_or_endless_heads_are_refused() {
        for head in [
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: four\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 18446744073709551615\r\n\r\n",
            "POST / HTTP/1.1\r\nno header\r\n\r\n",
        ] {
            assert_eq!(read(head.as_bytes()), Err(NotHttp), "{head}");
        }
        assert_eq!(read(&vec![b'x'; MAX_HEAD_BYTES + 1]), Err(NotHttp));
        for line in ["HTTP/1.1 2x2 No", "HTTP/1.1 ", "HTTP/2 200", ""] {
            assert_eq!(status(line), Err(NotHttp), "{line}");
        }
    }
}
