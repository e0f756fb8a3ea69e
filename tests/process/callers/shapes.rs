//! The bytes of malformed and ambiguous requests, and the responses that each may get.

use simulator::Bot;

use super::request;
use crate::serve::Serve;

/// The responses that a request may get.
#[derive(Clone, Copy, Debug)]
pub enum May {
    /// One 4xx, or a closed connection.
    BeRefused,
    /// Exactly these statuses, in this order.
    Get(&'static [u16]),
    /// One 200, one 4xx, or a closed connection.
    BeAcceptedOrRefused,
}

use May::{BeAcceptedOrRefused, BeRefused, Get};

const POST: &str = "POST /widget_request/echo HTTP/1.1\r\nHost: a\r\n";

fn post(rest: &str) -> Vec<u8> {
    format!("{POST}{rest}").into_bytes()
}

/// Malformed heads. The test sends a good request after each, which the bridge must not accept if it refuses the first.
pub fn refused_heads() -> Vec<(&'static str, Vec<u8>, May)> {
    let chunked = |te: &str| post(&format!("{te}\r\n\r\n0\r\n\r\n"));
    let long = "x".repeat(700_000);
    vec![
        ("two lengths", post("Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd"), BeRefused),
        ("a list of lengths", post("Content-Length: 4, 5\r\n\r\nabcd"), BeRefused),
        ("a negative length", post("Content-Length: -4\r\n\r\nabcd"), BeRefused),
        ("a length with a sign", post("Content-Length: +4\r\n\r\nabcd"), BeRefused),
        ("a hexadecimal length", post("Content-Length: 0x4\r\n\r\nabcd"), BeRefused),
        ("a length in words", post("Content-Length: four\r\n\r\nabcd"), BeRefused),
        ("no length", post("Content-Length:\r\n\r\nabcd"), BeRefused),
        (
            "an overflowing length",
            post(&format!("Content-Length: {}\r\n\r\nabcd", "9".repeat(40))),
            BeRefused,
        ),
        ("an unknown encoding", chunked("Transfer-Encoding: xchunked"), BeRefused),
        ("chunks within another encoding", chunked("Transfer-Encoding: chunked, identity"), BeRefused),
        ("the identity encoding", chunked("Transfer-Encoding: identity"), BeRefused),
        ("an encoding after a control character", chunked("Transfer-Encoding: \x0bchunked"), BeRefused),
        ("a space before the colon", chunked("Transfer-Encoding : chunked"), BeRefused),
        ("a folded line", post("X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n"), BeRefused),
        ("a folded encoding", post("Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"), BeRefused),
        ("a NUL in a value", post("X-A: b\0c\r\nContent-Length: 0\r\n\r\n"), BeRefused),
        ("a NUL in a name", post("X-\0A: b\r\nContent-Length: 0\r\n\r\n"), BeRefused),
        ("a line without a colon", post("X-A\r\nContent-Length: 0\r\n\r\n"), BeRefused),
        ("a carriage return in a value", post("X-A: b\rc\r\nContent-Length: 0\r\n\r\n"), BeRefused),
        (
            "chunks in HTTP/1.0",
            b"POST /widget_request/echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
            BeRefused,
        ),
        ("HTTP/0.9", b"GET /\r\n\r\n".to_vec(), BeRefused),
        ("HTTP/1.2", b"GET / HTTP/1.2\r\n\r\n".to_vec(), BeRefused),
        ("HTTP/3", b"GET / HTTP/3.0\r\n\r\n".to_vec(), BeRefused),
        (
            "the preface of HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
            BeRefused,
        ),
        ("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 and so on\r\n\r\n".to_vec(), BeRefused),
        ("not HTTP", b"\0\x01\x02\xff\xfe\r\n\r\n".to_vec(), BeRefused),
        (
            "a path that is not UTF-8",
            b"POST /widget_request/\xff\xfe HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".to_vec(),
            BeRefused,
        ),
        (
            "a space in the path",
            b"POST /widget_request/echo x HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            BeRefused,
        ),
        ("an endless path", format!("POST /{long} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes(), BeRefused),
        ("an endless header", post(&format!("X-A: {long}\r\n\r\n")), BeRefused),
        ("endless headers", post(&"X-A: b\r\n".repeat(1_000)), BeRefused),
    ]
}

/// Bodies whose end is ambiguous or missing. Some of them contain a good body of `bot`.
pub fn bodies(bot: &Bot, serve: &Serve) -> Vec<(&'static str, Vec<u8>, May)> {
    let body = bot.request(&serve.url("echo")).body;
    let text = std::str::from_utf8(&body).unwrap();
    let size = format!("{:x}", body.len());
    let chunked = |more: &str, rest: &str| post(&format!("{more}Transfer-Encoding: chunked\r\n\r\n{rest}"));
    let good = format!("{size}\r\n{text}\r\n0\r\n\r\n");
    vec![
        // Whichever of the two headers the bridge uses, it must not treat the bytes after the body as a request.
        (
            "chunks and then a length",
            post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"),
            Get(&[400]),
        ),
        ("a length and then chunks", chunked("Content-Length: 4\r\n", "0\r\n\r\n"), Get(&[400])),
        ("a length and then a body in chunks", chunked("Content-Length: 4\r\n", &good), Get(&[200])),
        ("chunked twice", chunked("Transfer-Encoding: chunked\r\n", &good), BeAcceptedOrRefused),
        (
            "a chunk extension",
            chunked("", &good.replacen("\r\n", ";a=b;c=\"d\"\r\n", 1)),
            BeAcceptedOrRefused,
        ),
        ("an endless chunk extension", chunked("", &format!("{size};{}\r\n", "x".repeat(60_000))), BeRefused),
        ("a negative chunk size", chunked("", "-1\r\nabc\r\n0\r\n\r\n"), BeRefused),
        ("an overflowing chunk size", chunked("", "fffffffffffffffff\r\nabc\r\n"), BeRefused),
        ("a chunk size larger than the chunk", chunked("", "7fffffffffffffff\r\nabc"), BeRefused),
        ("a chunk size that is not a number", chunked("", "xyz\r\nabc\r\n"), BeRefused),
        ("no chunk size", chunked("", "\r\nabc\r\n0\r\n\r\n"), BeRefused),
        ("a chunk longer than its size", chunked("", "1\r\nabc\r\n0\r\n\r\n"), BeRefused),
        ("chunks without an end", chunked("", &format!("{size}\r\n{text}\r\n")), BeRefused),
        (
            "a trailer",
            chunked("", &format!("{size}\r\n{text}\r\n0\r\nX-Checksum: 1\r\n\r\n")),
            BeAcceptedOrRefused,
        ),
        (
            "a trailer with a length",
            chunked("", &format!("{size}\r\n{text}\r\n0\r\nContent-Length: 9\r\n\r\n")),
            BeAcceptedOrRefused,
        ),
        (
            "endless trailers",
            chunked("", &format!("{size}\r\n{text}\r\n0\r\n{}", "X-A: b\r\n".repeat(5_000))),
            BeRefused,
        ),
        ("no body", post("Connection: close\r\n\r\n"), Get(&[400])),
        ("an empty body", post("Connection: close\r\nContent-Length: 0\r\n\r\n"), Get(&[400])),
        ("a length far beyond the limit", post("Content-Length: 1000000000000\r\n\r\nabc"), Get(&[413])),
        ("a body shorter than its length", post("Content-Length: 1000\r\n\r\nabc"), Get(&[408])),
    ]
}

/// Requests that are valid or merely odd. Each closes its connection.
pub fn odd(bot: &Bot, serve: &Serve) -> Vec<(&'static str, Vec<u8>, May)> {
    let good = |more: &str| {
        let more = format!("Connection: close\r\n{more}");
        String::from_utf8(request(bot, serve, &more)).unwrap()
    };
    let at = |target: &str| good("").replacen("/widget_request/echo", target, 1).into_bytes();
    let method = |line: &str| format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").into_bytes();
    vec![
        ("an absolute target", at("http://evil.example/widget_request/echo"), Get(&[200])),
        ("a target that is only a host", at("evil.example:443"), BeRefused),
        ("a query", at("/widget_request/echo?a=b"), Get(&[200])),
        ("an unknown handler", at("/widget_request/unknown"), Get(&[404])),
        ("a handler that is not UTF-8", at("/widget_request/%ff%fe"), Get(&[404])),
        ("a handler with a slash", at("/widget_request/..%2fecho"), Get(&[404])),
        ("a path with ..", at("/widget_request/../widget_request/echo"), Get(&[404])),
        ("two slashes", at("//widget_request/echo"), Get(&[200])),
        ("a path of the admin listener", at("/api/v1/stats"), Get(&[404])),
        ("a CONNECT", method("CONNECT evil.example:443"), BeRefused),
        ("OPTIONS *", method("OPTIONS *"), BeRefused),
        ("TRACE", method("TRACE /widget_request/echo"), Get(&[405])),
        ("an unknown method", method("BREW /widget_request/echo"), Get(&[405])),
        ("bytes above ASCII in a header", good("X-A: \u{e9}\u{20ac}\r\n").into_bytes(), Get(&[200])),
        ("an upgrade", good("Upgrade: h2c\r\nConnection: upgrade\r\n").into_bytes(), Get(&[200])),
        ("an Expect: 100-continue", good("Expect: 100-continue\r\n").into_bytes(), Get(&[100, 200])),
        ("an unknown Expect", good("Expect: a-miracle\r\n").into_bytes(), BeAcceptedOrRefused),
        ("bare line feeds", good("").replace("\r\n", "\n").into_bytes(), BeAcceptedOrRefused),
        ("two hosts", good("Host: b\r\n").into_bytes(), BeAcceptedOrRefused),
        ("no host", good("").replace("Host: a\r\n", "").into_bytes(), BeAcceptedOrRefused),
        (
            "the same length twice",
            good(&format!("Content-Length: {}\r\n", bot.request(&serve.url("echo")).body.len())).into_bytes(),
            BeAcceptedOrRefused,
        ),
    ]
}
