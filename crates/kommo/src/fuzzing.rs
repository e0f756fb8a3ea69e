//! Checks that must hold for any response of Kommo, for fuzz targets.

use std::time::Duration;

use secrecy::ExposeSecret;

use model::Timestamp;

use super::oauth::{GrantError, check};
use super::outcome::{CallOutcome, classify};
use super::problem::whole_seconds;
use super::response::Response;
use super::token_claims::token_claims;
use super::token_response::{self, DEFAULT_TOKEN_LIFE, MAX_TOKEN_LIFE};

/// The response in `input`: the status in the first line, `Retry-After` in the second, then the body.
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

/// Classifies a response, checks the outcome, and returns it.
pub fn outcome(input: &[u8]) -> CallOutcome {
    let response = response(input);
    let outcome = classify(&response);
    assert_eq!(outcome.status(), Some(response.status));
    let body = response.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&response.body);
    let begins_as_json = body.trim_ascii_start().starts_with(b"{");
    if matches!(outcome, CallOutcome::NotFound { .. } | CallOutcome::Forbidden { .. }) {
        assert!(begins_as_json, "a problem document without JSON");
    }
    if let Some(problem) = outcome.problem() {
        assert!(begins_as_json || problem.text.is_empty() && problem.errors.is_empty());
        assert!(problem.text.chars().count() <= 1_000 && !problem.text.contains(char::is_control));
    }
    outcome
}

/// Reads a response to a request for new tokens, checks the result, and returns whether there are tokens.
pub fn grant(input: &[u8]) -> bool {
    let response = response(input);
    let status = response.status;
    match check(classify(&response)) {
        Ok(()) => assert!((200..300).contains(&status), "{status} is not a success"),
        Err(GrantError::Dead { text, .. }) => {
            assert!(matches!(status, 400 | 401), "{status} cost an account its tokens");
            assert!(text.chars().count() <= 1_000 && !text.contains(char::is_control));
        }
        Err(GrantError::TooMany { .. }) => assert_eq!(status, 429),
        Err(GrantError::Unavailable(_)) => {
            assert!(matches!(status, 300..=399 | 408 | 425 | 500..=599), "{status}");
        }
        Err(GrantError::Blocked) => assert_eq!(status, 403),
        Err(GrantError::NotKommo { .. }) => assert!(matches!(status, 200 | 206 | 404), "{status}"),
        Err(GrantError::Refused { status: reported, .. }) => {
            assert!(reported == status && !matches!(status, 200..=399 | 500..=599));
        }
        Err(GrantError::NotAllowed(_)) => panic!("the call was made"),
    }
    let Ok(tokens) = token_response::read(&response.body, None) else { return false };
    for token in [&tokens.access, &tokens.refresh] {
        let text = token.expose_secret();
        assert!(
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()),
            "a token that does not fit a header"
        );
    }
    let now = Timestamp::from_millis(1_700_000_000_000);
    let life = tokens.expires_at(now).since(now);
    assert!(
        life == DEFAULT_TOKEN_LIFE || (Duration::from_secs(1)..=MAX_TOKEN_LIFE).contains(&life),
        "{life:?}"
    );
    let claims = token_claims(&tokens.access);
    assert!(claims.account_id.is_none_or(|account| account.0 > 0));
    (200..300).contains(&status)
}
