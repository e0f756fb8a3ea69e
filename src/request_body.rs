//! Reads a request's body, with a limit of size and time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::time::{Instant, timeout_at};

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// It is larger than this many bytes.
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// It was incomplete when its time was over.
    Slow,
    /// The caller hung up, or sent invalid HTTP.
    Broken,
}

/// The bridge reads and discards a body that is too large, up to this multiple of the limit. If it closed the connection
/// while the caller is still sending, the caller would not get the response.
const MAX_DISCARDED_FACTOR: usize = 4;

/// Reads `body`. A body that arrives in one piece is not copied.
///
/// # Errors
/// It is larger than `limit` bytes, takes longer than `within`, or is incomplete.
pub async fn read(mut body: Body, limit: usize, within: Duration) -> Result<Bytes, ReadError> {
    let too_large = ReadError::TooLarge { limit };
    let most = limit.saturating_mul(MAX_DISCARDED_FACTOR);
    if body.size_hint().lower() > u64::try_from(most).unwrap_or(u64::MAX) {
        return Err(too_large);
    }
    let deadline = Instant::now() + within;
    let mut size = 0_usize;
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    loop {
        let data = match timeout_at(deadline, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Err(_) | Ok(Some(Err(_))) if size > limit => break,
            Ok(Some(Err(_))) => return Err(ReadError::Broken),
            Err(_) => return Err(ReadError::Slow),
        };
        size = size.saturating_add(data.len());
        if size > most {
            break;
        }
        if size > limit || data.is_empty() {
            continue;
        }
        if first.is_empty() {
            first = data;
            continue;
        }
        if whole.is_empty() {
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&data);
    }
    if size > limit {
        return Err(too_large);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io;

    use futures_util::stream::{self, StreamExt};

    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    fn pieces(pieces: &'static [&'static str]) -> Body {
        Body::from_stream(stream::iter(pieces.iter().map(|piece| Ok::<_, Infallible>(*piece))))
    }

    #[tokio::test]
    async fn pieces_are_joined_up_to_the_limit() {
        for (sent, expected) in [
            (&[][..], Ok("")),
            (&["abcd"], Ok("abcd")),
            (&["ab", "", "c", "d"], Ok("abcd")),
            (&["ab", "cde"], Err(ReadError::TooLarge { limit: 4 })),
            (&["abcdefghijklmnopqrstuvwxyz", "never read"], Err(ReadError::TooLarge { limit: 4 })),
        ] {
            let read = read(pieces(sent), 4, SOON).await;
            assert_eq!(read, expected.map(|text| Bytes::from_static(text.as_bytes())), "{sent:?}");
        }
    }

    #[tokio::test]
    async fn a_body_a_little_too_large_is_read_to_its_end() {
        for (count, expected) in [(8, 8), (16, 16), (17, 17), (1000, 17)] {
            let (seen, mut reads) = tokio::sync::mpsc::unbounded_channel();
            let body = Body::from_stream(stream::iter(0..count).map(move |index| {
                seen.send(index).unwrap();
                Ok::<_, Infallible>("x")
            }));
            assert_eq!(read(body, 4, SOON).await, Err(ReadError::TooLarge { limit: 4 }));
            let mut pieces = 0;
            while reads.recv().await.is_some() {
                pieces += 1;
            }
            assert_eq!(pieces, expected, "of {count}");
        }
    }

    #[tokio::test]
    async fn one_piece_is_not_copied() {
        let bytes = Bytes::from_static(b"abcd");
        let read = read(Body::from(bytes.clone()), 4, SOON).await.unwrap();
        assert_eq!(read.as_ptr(), bytes.as_ptr());
    }

    #[tokio::test]
    async fn a_body_declared_far_too_large_is_not_read() {
        let body = Body::from(vec![b'x'; 17]);
        assert_eq!(read(body, 4, SOON).await, Err(ReadError::TooLarge { limit: 4 }));
    }

    #[tokio::test]
    async fn a_body_that_stops_is_refused() {
        let endless = |start: &'static str| {
            let start = stream::iter([Ok::<_, Infallible>(start)]);
            Body::from_stream(start.chain(stream::pending()))
        };
        assert_eq!(read(endless("abc"), 4, SOON).await, Err(ReadError::Slow));
        assert_eq!(read(endless("abcde"), 4, SOON).await, Err(ReadError::TooLarge { limit: 4 }));
        let broken = [Ok("abc"), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
        assert_eq!(read(Body::from_stream(stream::iter(broken)), 4, SOON).await, Err(ReadError::Broken));
    }
}
