//! Whether and when each error leads to a retry, as tables.

use kommo::{Error as KommoError, NoBearer, ProblemText, Reason};

use super::*;

const DELAY: Duration = Duration::from_secs(7);

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the outer")]
struct Outer(#[source] std::num::ParseIntError);

fn outer() -> Outer {
    Outer("x".parse::<u8>().unwrap_err())
}

#[test]
fn text_of_an_error_includes_its_causes() {
    assert_eq!(HandlerError::retry(outer()).to_string(), "the outer: invalid digit found in string");
    assert_eq!(HandlerError::fail("no such lead").to_string(), "no such lead");
}

#[test]
fn debug_form_has_the_decision_and_the_text() {
    assert_eq!(format!("{:?}", HandlerError::fail("no such lead")), "fail: no such lead");
    assert_eq!(format!("{:?}", HandlerError::retry("no route")), "retry: no route");
    assert_eq!(format!("{:?}", HandlerError::retry_after(DELAY, "busy")), "retry after 7s: busy");
}

#[test]
fn kommo_error_decides_whether_and_when_to_retry() {
    let no_text = ProblemText::default;
    let status = |status| KommoError::Status { status, said: no_text() };
    let lost = |sent| KommoError::Transport { reason: Reason::new("reset"), sent };
    let not_renewed = || NoBearer::NotRenewed { why: "Kommo is down".to_owned() };
    let (with_backoff, after) = (Next::Retry(Retry::WithBackoff), Next::Retry(Retry::After(DELAY)));
    for (error, expected) in [
        (KommoError::Paused { left: None }, with_backoff),
        (KommoError::Paused { left: Some(DELAY) }, after),
        (KommoError::RateLimited { retry_after: None }, with_backoff),
        (KommoError::RateLimited { retry_after: Some(DELAY) }, after),
        (lost(false), with_backoff),
        (lost(true), with_backoff),
        (status(302), with_backoff),
        (status(408), with_backoff),
        (status(409), Next::Fail),
        (status(500), with_backoff),
        (status(503), with_backoff),
        (KommoError::NotConnected(not_renewed()), with_backoff),
        (KommoError::NotConnected(NoBearer::Unknown), Next::Fail),
        (KommoError::Unauthorized(not_renewed()), with_backoff),
        (KommoError::Unauthorized(NoBearer::LongLived), Next::Fail),
        (KommoError::PaymentRequired(no_text()), Next::Fail),
        (KommoError::Forbidden(no_text()), Next::Fail),
        (KommoError::Blocked, Next::Fail),
        (KommoError::NotFound(no_text()), Next::Fail),
        (KommoError::Invalid { status: 422, said: no_text(), errors: Vec::new() }, Next::Fail),
        (
            KommoError::Unexpected { expected: "a lead".to_owned(), why: "it has no id".to_owned() },
            Next::Fail,
        ),
        (KommoError::Refused(Reason::new("not a path")), Next::Fail),
        (KommoError::Settings { code: "a_widget".to_owned(), mistakes: Vec::new() }, Next::Fail),
    ] {
        let handler_error = HandlerError::from(error.clone());
        assert_eq!(handler_error.next(), expected, "{error:?}");
        assert_eq!(handler_error.is_retryable(), expected != Next::Fail, "{error:?}");
        assert_eq!(handler_error.retry_delay(), (expected == after).then_some(DELAY), "{error:?}");
        assert_eq!(handler_error.cause().downcast_ref(), Some(&error), "the source is kept");
        assert_eq!(handler_error.to_string(), error_chain(&error));
    }
}

#[test]
fn question_mark_converts_an_error_of_kommo() {
    fn asks(result: Result<(), KommoError>) -> Result<(), HandlerError> {
        result?;
        Ok(())
    }
    assert!(asks(Ok(())).is_ok());
    assert!(asks(Err(KommoError::Paused { left: None })).unwrap_err().is_retryable());
    assert!(!asks(Err(KommoError::Blocked)).unwrap_err().is_retryable());
}

#[test]
fn author_decides_at_each_question_mark() {
    type Decide = fn(Result<u8, Outer>) -> Result<u8, HandlerError>;
    let table: [(Decide, Next); 3] = [
        (Result::or_retry, Next::Retry(Retry::WithBackoff)),
        (|result| result.or_retry_after(DELAY), Next::Retry(Retry::After(DELAY))),
        (Result::or_fail, Next::Fail),
    ];
    for (decide, expected) in table {
        assert_eq!(decide(Ok(1)).unwrap(), 1);
        let error = decide(Err(outer())).unwrap_err();
        assert_eq!(error.next(), expected);
        assert_eq!(error.cause().downcast_ref(), Some(&outer()), "the source is kept");
    }
}

#[test]
fn author_decides_for_texts_options_and_errors_of_kommo() {
    assert!(Err::<(), _>("no answer").or_retry().unwrap_err().is_retryable());
    assert!(!Err::<(), _>("no answer".to_owned()).or_fail().unwrap_err().is_retryable());
    let missing = None::<u8>.ok_or("the request has no price").or_fail().unwrap_err();
    assert_eq!(missing.to_string(), "the request has no price");
    let not_found = || KommoError::NotFound(ProblemText::default());
    assert!(Err::<(), _>(not_found()).or_retry().unwrap_err().is_retryable(), "the author knows better");
    let lost = KommoError::Transport { reason: Reason::new("reset"), sent: true };
    assert!(!Err::<(), _>(lost).or_fail().unwrap_err().is_retryable(), "a write that must not be repeated");
}
