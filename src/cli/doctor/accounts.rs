//! Checks each account: whether Kommo accepts its token, and how many deliveries wait for it.
//!
//! The call changes nothing. If Kommo refuses the token of a connected account, the call renews the token as the bridge
//! does: only one process renews it at a time.

use serde_json::Value;

use crate::cli::text::when;
use crate::listed_account::ListedAccount;
use kommo::Error;
use model::{AccountState, Timestamp, WaitCause, error_chain};

use super::check::Check;

const AUTHORIZE: &str = "connect it with `accounts authorize`";

/// The result of `GET /api/v4/account`; `None` if it was not called.
pub(super) type AccountResponse = Option<Result<Value, Error>>;

/// Whether to call Kommo for this account. If its token has expired, the bridge must renew it first.
pub(super) fn is_callable(one: &ListedAccount, now: Timestamp) -> bool {
    one.state == AccountState::Active && one.origin.is_some() && one.expires_at.is_none_or(|end| end > now)
}

/// Checks one account.
pub(super) fn check(one: &ListedAccount, response: &AccountResponse, now: Timestamp) -> Check {
    let called = one.host.clone().or_else(|| one.account_id.map(|id| id.to_string())).unwrap_or_default();
    let name = format!("account {called}");
    let waiting = match one.waiting {
        0 => String::new(),
        1 => "; 1 delivery waits for it".to_owned(),
        jobs => format!("; {jobs} deliveries wait for it"),
    };
    let reason = one.reason.as_deref().unwrap_or("it has no token");
    match (one.state, response) {
        (AccountState::NeedsAuthorization, _) => Check::failed(name, format!("{reason}{waiting}"), AUTHORIZE),
        (AccountState::Revoked, _) => Check::warning(
            name,
            format!("{reason}: its requests are refused{waiting}"),
            "connect it again with `accounts authorize`, or remove it with `accounts remove`",
        ),
        (AccountState::Active, None) => {
            let ended = one.expires_at.map(|end| format!("its token expired {}", when(end, now)));
            let found = format!("{}{waiting}", ended.unwrap_or_else(|| "its address is unknown".to_owned()));
            Check::warning(name, found, "run `serve`, which renews the token; then run `doctor` again")
        }
        (AccountState::Active, Some(Ok(account))) => {
            let number = account.get("id").and_then(Value::as_i64).map(|id| format!(" (number {id})"));
            let until = one.expires_at.map(|end| format!(", which expires {}", when(end, now)));
            let (number, until) = (number.unwrap_or_default(), until.unwrap_or_default());
            let found = format!("Kommo accepts its token{until}{number}{waiting}");
            match &one.waits_for {
                Some(wait) if wait.cause.needs_operator() => Check::warning(
                    name,
                    format!("{found}; the bridge still holds its deliveries: {}", wait.why),
                    &wait.advice,
                ),
                _ => Check::ok(name, found),
            }
        }
        (AccountState::Active, Some(Err(error))) => {
            let advice = |cause: WaitCause| cause.advice_for(&one.known_as(), &called);
            let found = format!("{}{waiting}", error_chain(error));
            match error {
                // The errors' own texts contain advice too, but without the names of this account.
                Error::NotConnected(no) => {
                    Check::failed(name, format!("{}{waiting}", no.what()), advice(no.cause()))
                }
                Error::Unauthorized(no) => Check::failed(
                    name,
                    format!("Kommo answered 401: {}{waiting}", no.what()),
                    advice(no.cause()),
                ),
                Error::PaymentRequired { .. } => {
                    Check::failed(name, found, advice(WaitCause::PaymentRequired))
                }
                Error::Blocked => Check::failed(name, found, advice(WaitCause::Blocked)),
                Error::Forbidden { .. } => Check::failed(name, found, advice(WaitCause::Forbidden)),
                Error::RateLimited { .. } | Error::Paused { .. } => {
                    Check::warning(name, found, "try again later: other programs call this account too")
                }
                _ => Check::failed(
                    name,
                    found,
                    "check its address and this machine's Internet connection, then try again",
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::check::Outcome;
    use super::*;
    use crate::cli::account::tests::{configured, connected};
    use kommo::{NoBearer, Reason};
    use model::AccountWait;

    #[test]
    fn each_account_is_checked_by_its_state_and_kommos_response() {
        let now = Timestamp::from_millis(1_000);
        let (long_lived, oauth) = (configured("shop", "a.kommo.com"), connected("b.kommo.com", 7, "main"));
        let with =
            |state| ListedAccount { state, reason: Some("because".into()), waiting: 2, ..oauth.clone() };
        let ended = ListedAccount { expires_at: Some(now), ..oauth.clone() };
        let refused = || Some(Err(Error::Unauthorized(NoBearer::LongLived)));
        let waits = AccountWait {
            cause: WaitCause::PaymentRequired,
            why: "Kommo answered 402".into(),
            advice: "pay".into(),
            since: now,
            until: None,
        };
        let lost = || Some(Err(Error::Transport { reason: Reason::new("no route"), sent: false }));
        for (one, asked, outcome, part) in [
            (long_lived.clone(), Some(Ok(json!({ "id": 7 }))), Outcome::Ok, "accepts its token (number 7)"),
            (oauth.clone(), Some(Ok(json!({}))), Outcome::Ok, "which expires in"),
            (long_lived.clone(), refused(), Outcome::Failed, "create a new long-lived token"),
            (oauth.clone(), refused(), Outcome::Failed, "accounts authorize"),
            (
                ListedAccount { waits_for: Some(waits.clone()), ..long_lived.clone() },
                Some(Ok(json!({ "id": 7 }))),
                Outcome::Warning,
                "the bridge still holds its deliveries: Kommo answered 402",
            ),
            (oauth.clone(), lost(), Outcome::Failed, "no route"),
            (oauth.clone(), Some(Err(Error::RateLimited { retry_after: None })), Outcome::Warning, "later"),
            (
                with(AccountState::NeedsAuthorization),
                None,
                Outcome::Failed,
                "because; 2 deliveries wait for it",
            ),
            (with(AccountState::Revoked), None, Outcome::Warning, "accounts remove"),
            (ended.clone(), None, Outcome::Warning, "its token expired 0 s ago"),
        ] {
            let check = check(&one, &asked, now);
            let text = serde_json::to_string(&check).unwrap();
            assert_eq!(check.outcome(), outcome, "{text}");
            assert!(text.contains(part), "{text}");
        }
        assert!(is_callable(&long_lived, now) && is_callable(&oauth, now) && !is_callable(&ended, now));
        assert!(!is_callable(&with(AccountState::Revoked), now));
    }
}
