//! The continue endpoint: what comes in is recorded, judged, and answered or left without an
//! answer. The order of judgement is a promise of the [room](super).

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method};
use tokio::time::{Instant, sleep};

use super::account::Account;
use super::answer::{self, Answer, Cut};
use super::fault::Fault;
use super::report::{Call, Continue, What};
use super::run::Run;
use super::validate;

/// Whether this path is below one of the two bots' prefixes, so that the endpoint answers it.
pub(super) fn owns(path: &str) -> bool {
    path.starts_with("/api/v4/salesbot/") || path.starts_with("/api/v4/marketingbot/")
}

pub(super) async fn handle(account: &Account, head: &Parts, body: Bytes) -> Result<Answer, Cut> {
    let path = head.uri.path();
    let run = find(account, path);
    let authorized = is_bearer(&head.headers, &account.options.access_token);
    let now = Instant::now();
    let call = account.record(|| Call {
        instant: now,
        at: now.duration_since(account.started),
        bot: run.as_ref().map(|run| run.id),
        path: path.to_owned(),
        authorized,
        status: None,
        user_agent: header(&head.headers, USER_AGENT.as_str()).to_owned(),
        body: body.clone(),
    });
    let outer = account.outage().or_else(|| {
        account.over_limit(now).then_some(Fault::TooManyRequests { header: None, body: Some(1) })
    });
    let fault = match &run {
        Some(run) => run.attempt(outer),
        None => outer,
    };
    if !account.options.latency.is_zero() {
        sleep(account.options.latency).await;
    }
    let judged = || judge(account, run.as_deref(), &head.method, authorized, &body);
    let result = match &fault {
        None => Ok(judged()),
        Some(fault) => play(fault, judged),
    };
    let status = result.as_ref().map(|answer| answer.status().as_u16()).ok();
    account.answered(call, status);
    if let Some(run) = &run {
        run.note(account.elapsed(), What::Continue { status, fault: fault.as_ref().map(Fault::to_string) });
    }
    if fault == Some(Fault::Hang) {
        // Ends when the caller gives up, or with the simulator: both drop this future.
        std::future::pending::<()>().await;
    }
    result
}

/// What Kommo does when nothing is wrong with it.
fn judge(account: &Account, run: Option<&Run>, method: &Method, authorized: bool, body: &[u8]) -> Answer {
    if method != Method::POST {
        return answer::method("POST");
    }
    if !authorized {
        return answer::problem(401);
    }
    let Some(run) = run.filter(|run| run.is_waiting()) else { return answer::problem(404) };
    let body = match validate::body(body, account.options.data_alone) {
        Ok(body) => body,
        Err(error) => return answer::invalid(&error),
    };
    let with = Continue { at: account.elapsed(), data: body.data, execute_handlers: body.execute_handlers };
    if run.resume(with) { answer::accepted(202, run.id % 2 == 1) } else { answer::problem(404) }
}

fn play(fault: &Fault, judged: impl FnOnce() -> Answer) -> Result<Answer, Cut> {
    Ok(match fault {
        Fault::Status(status @ 200..=299) => {
            let answer = judged();
            if answer.status().is_success() { answer::accepted(*status, false) } else { answer }
        }
        Fault::Status(status) => answer::problem(*status),
        Fault::Hang | Fault::Reset => return Err(Cut::Reset),
        Fault::AnswerLost => {
            judged();
            return Err(Cut::Close);
        }
        Fault::TooManyRequests { header, body } => answer::too_many(*header, *body),
        Fault::HtmlForbidden => answer::html_forbidden(),
        Fault::Forbidden => answer::problem(403),
        Fault::Unauthorized => answer::problem(401),
        Fault::PaymentRequired => answer::problem(402),
        Fault::Redirect(location) => answer::redirect(location),
        Fault::Garbage => return Err(Cut::Garbage),
        Fault::Drip => return Err(Cut::Drip),
    })
}

/// The bot of this path, whose every part must fit.
fn find(account: &Account, path: &str) -> Option<Arc<Run>> {
    let id = path.strip_prefix("/api/v4/")?.split('/').nth(1)?.parse().ok()?;
    account.run(id).filter(|run| run.path() == path)
}

fn is_bearer(headers: &HeaderMap, token: &str) -> bool {
    header(headers, AUTHORIZATION.as_str())
        .split_once(' ')
        .is_some_and(|(scheme, given)| scheme.eq_ignore_ascii_case("bearer") && given == token)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
