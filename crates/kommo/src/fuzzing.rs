//! What has to hold for anything that Kommo may answer. `crate::fuzzing` is the way in.

use std::time::Duration;

use secrecy::ExposeSecret;

use model::Timestamp;

use super::oauth::{judged, token_claims};
use super::problem::whole_seconds;
use super::token_response::{self, DEFAULT_LIFE, LONGEST_LIFE};
use super::transport::Response;
use super::{Answer, GrantError};

/// The answer in `input`: the status in its first line, `Retry-After` in the second, then the body.
fn response(input: &[u8]) -> Response {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let mut number =
        || std::str::from_utf8(lines.next().unwrap_or_default()).ok()?.trim().parse::<f64>().ok();
    let status = number().filter(|status| (100.0..=999.0).contains(status)).unwrap_or(200.0);
    let retry_after = number().and_then(whole_seconds);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "three digits")]
    let status = status as u16;
    Response { status, retry_after, body: lines.next().unwrap_or_default().to_vec(), ..Response::default() }
}

/// Reads an answer to a continue, as the transport does.
pub fn answer(input: &[u8]) -> Answer {
    let response = response(input);
    let answer = Answer::read(&response);
    if let Answer::Status { status, problem, .. } = &answer {
        assert!(*status != 404 || problem.is_some(), "a 404 of something else");
        if let Some(problem) = problem {
            assert!(problem.text.chars().count() <= 1_000 && !problem.text.contains(char::is_control));
            let body = response.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&response.body);
            assert!(body.trim_ascii_start().starts_with(b"{"), "a problem without JSON");
        }
    }
    answer
}

/// Reads an answer to a request for new tokens; says whether there are any.
pub fn grant(input: &[u8]) -> bool {
    let response = response(input);
    let status = response.status;
    match judged(&response) {
        Ok(()) => assert!((200..300).contains(&status), "{status} is no success"),
        Err(GrantError::Dead { text, .. }) => {
            assert!(matches!(status, 400 | 401), "{status} cost an account its tokens");
            assert!(text.chars().count() <= 1_000 && !text.contains(char::is_control));
        }
        Err(GrantError::TooMany { .. }) => assert_eq!(status, 429),
        Err(GrantError::Unavailable(_)) => assert!(matches!(status, 408 | 425 | 500..=599), "{status}"),
        Err(GrantError::Refused { status: told, .. }) => {
            assert!(told == status && !(200..300).contains(&status) && !(500..600).contains(&status));
        }
        Err(GrantError::NotAllowed(_)) => panic!("it was asked"),
    }
    let Ok(tokens) = token_response::read(&response.body, None) else { return false };
    for token in [&tokens.access, &tokens.refresh] {
        let text = token.expose_secret();
        assert!(!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()), "no token of a header");
    }
    let now = Timestamp::from_millis(1_700_000_000_000);
    let life = tokens.expires_at(now).since(now);
    assert!(life == DEFAULT_LIFE || (Duration::from_secs(1)..=LONGEST_LIFE).contains(&life), "{life:?}");
    let claims = token_claims(&tokens.access);
    assert!(claims.account_id.is_none_or(|account| account.0 > 0));
    (200..300).contains(&status)
}
