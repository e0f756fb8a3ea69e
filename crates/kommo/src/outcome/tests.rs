//! The outcome for each status and each kind of body, as one table.

use super::super::response::BodyEnd;
use super::*;

const PROBLEM: &str = r#"{"title":"Нет","detail":"прав","retry_after":7}"#;
const PAGE: &str = "<!DOCTYPE html><html><body>Sign in to this network</body></html>";

/// A body, whether its header says JSON, and how reading the body ended.
type Body = (&'static str, bool, BodyEnd);

/// Bodies that are a JSON object, or the beginning of one.
const JSON: [Body; 7] = [
    (PROBLEM, true, BodyEnd::Complete),
    // The header does not matter.
    (PROBLEM, false, BodyEnd::Complete),
    ("{}", true, BodyEnd::Complete),
    ("\u{feff}\r\n {\"title\":\"\\ud83d\"}", false, BodyEnd::Complete),
    (r#"{"title":"Not fo"#, false, BodyEnd::BrokeOff),
    (" \n{", false, BodyEnd::TooLong),
    ("", true, BodyEnd::BrokeOff),
];
/// Bodies that are neither JSON nor a web page.
const OTHER: [Body; 7] = [
    ("", false, BodyEnd::Complete),
    ("", true, BodyEnd::Complete),
    ("", false, BodyEnd::BrokeOff),
    ("Accepted", false, BodyEnd::Complete),
    ("404 page not found", true, BodyEnd::BrokeOff),
    ("[]", true, BodyEnd::Complete),
    // Complete, but not JSON.
    (r#"{"title":"Not fo"#, true, BodyEnd::Complete),
];
/// Bodies that begin like a web page.
const WEB_PAGE: [Body; 5] = [
    (PAGE, false, BodyEnd::Complete),
    (PAGE, true, BodyEnd::Complete),
    ("\u{feff}\r\n <html>", false, BodyEnd::Complete),
    ("<html", true, BodyEnd::BrokeOff),
    ("<?xml version=\"1.0\"?><html/>", false, BodyEnd::TooLong),
];

fn response(status: u16, (body, says_json, body_end): Body) -> Response {
    Response { status, says_json, body: body.into(), body_end, ..Response::default() }
}

/// The name of an outcome.
fn name(outcome: &CallOutcome) -> &'static str {
    match outcome {
        CallOutcome::Accepted { .. } => "accepted",
        CallOutcome::Redirected { .. } => "redirected",
        CallOutcome::Rejected { .. } => "rejected",
        CallOutcome::Unauthorized { .. } => "unauthorized",
        CallOutcome::PaymentRequired { .. } => "payment required",
        CallOutcome::Forbidden { .. } => "forbidden",
        CallOutcome::Blocked => "blocked",
        CallOutcome::NotFound { .. } => "not found",
        CallOutcome::TooManyRequests { .. } => "too many requests",
        CallOutcome::Unavailable { .. } => "unavailable",
        CallOutcome::NotKommo { .. } => "not Kommo",
        CallOutcome::Unexpected { .. } => "unexpected",
        CallOutcome::NoResponse(_) => "no response",
    }
}

#[test]
fn each_status_and_kind_of_body_has_one_outcome() {
    // The outcomes with JSON, with another body, and with a web page.
    let all = |name| [name; 3];
    let mut seen = 0;
    for (from, to, expected) in [
        (100, 199, all("unexpected")),
        (200, 200, ["accepted", "accepted", "not Kommo"]),
        (201, 205, all("accepted")),
        (206, 206, ["accepted", "accepted", "not Kommo"]),
        (207, 299, all("accepted")),
        (300, 399, all("redirected")),
        (400, 400, all("rejected")),
        (401, 401, all("unauthorized")),
        (402, 402, all("payment required")),
        (403, 403, ["forbidden", "blocked", "blocked"]),
        (404, 404, ["not found", "not Kommo", "not Kommo"]),
        (405, 407, all("unexpected")),
        (408, 408, all("unavailable")),
        (409, 421, all("unexpected")),
        (422, 422, all("rejected")),
        (423, 424, all("unexpected")),
        (425, 425, all("unavailable")),
        (426, 428, all("unexpected")),
        (429, 429, all("too many requests")),
        (430, 499, all("unexpected")),
        (500, 599, all("unavailable")),
        (600, 999, all("unexpected")),
    ] {
        for status in from..=to {
            for (bodies, expected) in [&JSON[..], &OTHER, &WEB_PAGE].into_iter().zip(expected) {
                for body in bodies {
                    let outcome = classify(&response(status, *body));
                    assert_eq!(name(&outcome), expected, "{status} {body:?}");
                    assert_eq!(outcome.status(), Some(status), "{body:?}");
                }
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 900, "each status once");
}

#[test]
fn header_takes_precedence_over_the_body_for_the_time_to_wait() {
    let header = Some(Duration::from_secs(2));
    for (retry_after, body, expected) in
        [(header, PROBLEM, 2), (None, PROBLEM, 7), (header, PAGE, 2), (None, PAGE, 0), (None, "{}", 0)]
    {
        let response = Response { status: 429, retry_after, body: body.into(), ..Response::default() };
        let CallOutcome::TooManyRequests { retry_after, .. } = classify(&response) else { panic!("{body}") };
        assert_eq!(retry_after.unwrap_or_default(), Duration::from_secs(expected), "{body}");
    }
}

#[test]
fn each_outcome_knows_whether_it_may_pass_and_may_have_taken_effect() {
    let page = |status| classify(&response(status, WEB_PAGE[0]));
    let failed = CallOutcome::NoResponse;
    let reason = || Reason::new("reset");
    // Whether the problem may pass, and whether the call may have taken effect.
    for (outcome, is_transient, may_have_arrived) in [
        (page(200), true, true),
        (page(206), true, true),
        (page(202), false, false),
        (page(301), true, false),
        (page(400), false, false),
        (page(401), false, false),
        (page(402), false, false),
        (page(403), false, false),
        (page(404), true, false),
        (page(405), false, false),
        (page(408), true, false),
        (page(425), true, false),
        (page(429), false, false),
        (page(500), true, false),
        (page(502), true, true),
        (page(503), true, false),
        (page(504), true, true),
        (failed(CallFailure::NotAllowed(HostRefusal::Scheme)), false, false),
        (failed(CallFailure::NotSent(reason())), true, false),
        (failed(CallFailure::Lost { reason: reason(), timed_out: false }), true, true),
    ] {
        assert_eq!(outcome.is_transient(), is_transient, "{outcome:?}");
        assert_eq!(outcome.may_have_arrived(), may_have_arrived, "{outcome:?}");
    }
}

#[test]
fn outcome_is_shown_as_one_line() {
    let of = |status, body| classify(&response(status, body));
    for (outcome, expected) in [
        (of(202, OTHER[3]), "Kommo answered 202"),
        (of(302, OTHER[0]), "Kommo answered 302: redirects are not followed"),
        (of(403, JSON[0]), "Kommo answered 403: Нет: прав"),
        (of(403, WEB_PAGE[0]), "Kommo answered 403"),
        (of(404, WEB_PAGE[0]), "404 without JSON, which is not Kommo's API"),
        (of(200, WEB_PAGE[0]), "200 with an HTML page, which is not Kommo's API"),
        (
            CallOutcome::NoResponse(CallFailure::Lost { reason: Reason::new("reset"), timed_out: false }),
            "the response was lost: reset",
        ),
    ] {
        assert_eq!(outcome.to_string(), expected);
    }
}
