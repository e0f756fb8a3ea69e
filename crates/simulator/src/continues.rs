//! The continue endpoint if no fault is played.

use std::sync::Arc;

use http::Method;

use super::account::Account;
use super::answer::{self, Answer};
use super::report::Continue;
use super::run::Run;
use super::validate;

/// Whether this path is below one of the two bots' prefixes.
pub(super) fn owns(path: &str) -> bool {
    path.starts_with("/api/v4/salesbot/") || path.starts_with("/api/v4/marketingbot/")
}

/// The bot at this path; every part of the path must match.
pub(super) fn find(account: &Account, path: &str) -> Option<Arc<Run>> {
    if !owns(path) {
        return None;
    }
    let id = path.strip_prefix(super::api::PREFIX)?.split('/').nth(1)?.parse().ok()?;
    account.run(id).filter(|run| run.path() == path)
}

pub(super) fn decide(
    account: &Account,
    run: Option<&Run>,
    method: &Method,
    authorized: bool,
    body: &[u8],
) -> Answer {
    if method != Method::POST {
        return answer::method("POST");
    }
    if !authorized {
        return answer::problem(401);
    }
    if !account.is_administrator() {
        return answer::problem(403);
    }
    let Some(run) = run.filter(|run| run.is_waiting()) else { return answer::problem(404) };
    let body = match validate::body(body, account.options.data_alone) {
        Ok(body) => body,
        Err(error) => return answer::invalid(&error),
    };
    let with = Continue { at: account.elapsed(), data: body.data, execute_handlers: body.execute_handlers };
    if run.resume(with) { answer::accepted(202, run.id % 2 == 1) } else { answer::problem(404) }
}
