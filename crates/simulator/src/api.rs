//! Every call below `/api/v4/`: recorded, then checked, then answered or dropped. The [crate](super)
//! guarantees the order of the checks.

use bytes::Bytes;
use http::header::{AUTHORIZATION, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use tokio::time::{Instant, sleep};

use super::account::{Account, lock};
use super::answer::{self, Answer, Cut};
use super::canned::Scripted;
use super::fault::Fault;
use super::records::Kept;
use super::report::{ApiCall, Call, What};
use super::run::Run;
use super::{continues, profile, widgets};

pub(super) const PREFIX: &str = "/api/v4/";

pub(super) async fn handle(account: &Account, head: &Parts, body: Bytes) -> Result<Answer, Cut> {
    let path = head.uri.path();
    let run = continues::find(account, path);
    let bearer = bearer(&head.headers);
    let authorized = bearer.is_some_and(|token| account.knows(token));
    let now = Instant::now();
    let kept = account.records.keep(|| seen(account, head, run.as_deref(), authorized, now, &body));
    let outer = account.trouble.outage().or_else(|| {
        account.over_limit(now).then_some(Fault::TooManyRequests { header: None, body: Some(1) })
    });
    let fault = match &run {
        Some(run) => run.attempt(outer),
        None if continues::owns(path) => outer,
        None => outer.or_else(|| account.trouble.next_api()),
    };
    if !account.options.latency.is_zero() {
        sleep(account.options.latency).await;
    }
    // Only a call that reaches Kommo and may ask takes a canned response.
    let takes_response = authorized && fault.is_none() && !continues::owns(path);
    let (fault, canned) = match takes_response.then(|| account.script.next(head)).flatten() {
        Some(Scripted::Answer(answer)) => (None, Some(answer)),
        Some(Scripted::Fault(fault)) => (Some(fault), None),
        None => (fault, None),
    };
    let (result, status) = answer_and_record(account, kept, || {
        let judged = || {
            if let Some(token) = bearer.filter(|_| authorized) {
                lock(&account.grants).used(token);
            }
            canned.unwrap_or_else(|| decide(account, run.as_deref(), head, authorized, &body))
        };
        match &fault {
            None => Ok(judged()),
            Some(fault) => play(fault, judged),
        }
    });
    if let Some(run) = &run {
        run.note(account.elapsed(), What::Continue { status, fault: fault.as_ref().map(Fault::to_string) });
    }
    if fault == Some(Fault::Hang) {
        // This future is dropped when the caller gives up or the simulator stops.
        std::future::pending::<()>().await;
    }
    result
}

/// Answers a call and records the status, both before anyone can read the records: who sees a bot continued also sees the
/// status of its continue.
fn answer_and_record(
    account: &Account,
    kept: Kept,
    answer: impl FnOnce() -> Result<Answer, Cut>,
) -> (Result<Answer, Cut>, Option<u16>) {
    let _answering = account.records.answering();
    let result = answer();
    let status = result.as_ref().map(|answer| answer.status().as_u16()).ok();
    account.records.answered(kept, status);
    (result, status)
}

fn seen(
    account: &Account,
    head: &Parts,
    run: Option<&Run>,
    authorized: bool,
    now: Instant,
    body: &Bytes,
) -> (ApiCall, Option<Call>) {
    let at = now.duration_since(account.started);
    let path = head.uri.path();
    let whole = head.uri.path_and_query().map_or(path, |whole| whole.as_str());
    let api = ApiCall {
        at,
        method: head.method.to_string(),
        path: whole.to_owned(),
        authorized,
        status: None,
        body: body.clone(),
    };
    let call = continues::owns(path).then(|| Call {
        instant: now,
        at,
        bot: run.map(|run| run.id),
        path: path.to_owned(),
        authorized,
        status: None,
        user_agent: header(&head.headers, USER_AGENT.as_str()).to_owned(),
        body: body.clone(),
    });
    (api, call)
}

/// Kommo's response if no fault is played.
fn decide(account: &Account, run: Option<&Run>, head: &Parts, authorized: bool, body: &[u8]) -> Answer {
    let rest = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    if continues::owns(head.uri.path()) {
        continues::decide(account, run, &head.method, authorized, body)
    } else if !authorized {
        answer::problem(401)
    } else if rest == "account" {
        profile::handle(account, &head.method)
    } else if let Some(code) = rest.strip_prefix("widgets") {
        widgets::handle(account, head, code, body)
    } else {
        let call = format!("{} {}", head.method, head.uri.path());
        answer::refuse(404, &format!("The simulator has no response to {call}: set one with `respond`."))
    }
}

/// Plays a fault: replaces the response of `judged`, changes it, or loses it.
pub(super) fn play(fault: &Fault, judged: impl FnOnce() -> Answer) -> Result<Answer, Cut> {
    Ok(match fault {
        Fault::Status(status @ 200..=299) => {
            let mut answer = judged();
            if answer.status().is_success() {
                if *status == 204 {
                    return Ok(answer::no_content());
                }
                *answer.status_mut() = StatusCode::from_u16(*status).unwrap_or(StatusCode::OK);
            }
            answer
        }
        Fault::Status(status) => answer::problem(*status),
        Fault::Hang | Fault::Reset => return Err(Cut::Reset),
        Fault::AnswerLost => {
            judged();
            return Err(Cut::Close);
        }
        Fault::TooManyRequests { header, body } => answer::too_many(*header, *body),
        Fault::HtmlForbidden => answer::html_forbidden(),
        Fault::HtmlNotFound => answer::html(404, "404 Not Found"),
        Fault::HtmlOk => answer::html(200, "Sign in to this network"),
        Fault::Forbidden => answer::problem(403),
        Fault::Unauthorized => answer::problem(401),
        Fault::PaymentRequired => answer::problem(402),
        Fault::Redirect(location) => answer::redirect(location),
        Fault::Garbage => return Err(Cut::Garbage),
        Fault::Drip => return Err(Cut::Drip),
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = header(headers, AUTHORIZATION.as_str()).split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
