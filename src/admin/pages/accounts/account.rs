//! What is wrong with an account: pure decisions, which the answer and the rows share.

use model::{AccountState, Timestamp};

use crate::admin::accounts::AccountView;
use crate::admin::pages::parts::icon::Icon;
use crate::admin::pages::parts::mark::Tone;

/// What happens to the deliveries of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deliveries {
    /// A person must connect it again: the reason.
    NeedsAuthorization(String),
    /// The account has disconnected the bridge: the reason.
    Revoked(String),
    /// They wait: the reason, what to do, whether an operator has to act, and when the next call tests whether the pause can
    /// end.
    Paused { why: String, advice: Option<String>, needs_operator: bool, until: Option<Timestamp> },
    /// They are sent.
    Open,
}

/// How the account is called: its name in the configuration, otherwise its host or number.
pub(super) fn called(one: &AccountView) -> String {
    let number = || one.account.account_id.map(|id| format!("account {}", id.0));
    one.account
        .name
        .clone()
        .or_else(|| one.account.host.clone())
        .or_else(number)
        .unwrap_or_else(|| "an account".to_owned())
}

/// What happens to the deliveries of `one`.
pub(super) fn deliveries(one: &AccountView) -> Deliveries {
    let reason = || one.account.reason.clone().unwrap_or_else(|| "it has no token".to_owned());
    match (one.account.state, &one.account.waits_for, &one.pause) {
        (AccountState::NeedsAuthorization, ..) => Deliveries::NeedsAuthorization(reason()),
        (AccountState::Revoked, ..) => Deliveries::Revoked(reason()),
        (AccountState::Active, Some(wait), pause) => Deliveries::Paused {
            why: wait.why.clone(),
            advice: wait.cause.needs_operator().then(|| without_resume(&wait.advice).to_owned()),
            needs_operator: wait.cause.needs_operator(),
            until: pause.map(|pause| pause.until).or(wait.until),
        },
        (AccountState::Active, None, Some(pause)) => Deliveries::Paused {
            why: pause.cause.what().to_owned(),
            advice: None,
            needs_operator: pause.cause.needs_operator(),
            until: Some(pause.until),
        },
        (AccountState::Active, None, None) => Deliveries::Open,
    }
}

/// The advice without the command that the button replaces.
fn without_resume(advice: &str) -> &str {
    advice.split_once("; `salesbot-bridge accounts resume ").map_or(advice, |(before, _)| before)
}

impl Deliveries {
    /// How it looks.
    pub(super) const fn look(&self) -> (Tone, Icon) {
        match self {
            Self::NeedsAuthorization(_) => (Tone::Bad, Icon::Key),
            Self::Revoked(_) => (Tone::Warn, Icon::Lock),
            Self::Paused { needs_operator: true, .. } => (Tone::Bad, Icon::Warning),
            Self::Paused { needs_operator: false, .. } => (Tone::Warn, Icon::Paused),
            Self::Open => (Tone::Ok, Icon::Ok),
        }
    }
}

/// Whether someone may have to look at the account.
pub(super) fn is_in_trouble(one: &AccountView) -> bool {
    deliveries(one) != Deliveries::Open
}

/// The order of the list: trouble first, and among equals the account with the most waiting deliveries.
pub(super) fn rank(one: &AccountView) -> (u8, std::cmp::Reverse<u64>, String) {
    let trouble = match deliveries(one) {
        Deliveries::NeedsAuthorization(_) => 0,
        Deliveries::Paused { needs_operator: true, .. } => 1,
        Deliveries::Paused { needs_operator: false, .. } => 2,
        Deliveries::Revoked(_) => 3,
        Deliveries::Open => 4,
    };
    (trouble, std::cmp::Reverse(one.account.waiting), called(one))
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use model::{AccountWait, WaitCause};

    use super::*;
    use crate::admin::accounts::PauseView;
    use crate::listed_account::ListedAccount;

    pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_789_928_123);

    pub(crate) fn account(host: &str) -> AccountView {
        AccountView {
            account: ListedAccount {
                origin: Some(format!("https://{host}")),
                host: Some(host.to_owned()),
                name: None,
                account_id: None,
                integration: None,
                state: AccountState::Active,
                reason: None,
                expires_at: None,
                connected_at: None,
                waiting: 0,
                waits_for: None,
                key: None,
            },
            pause: None,
            pace: None,
            authorize: None,
        }
    }

    pub(crate) fn changed(host: &str, change: impl FnOnce(&mut ListedAccount)) -> AccountView {
        let mut view = account(host);
        change(&mut view.account);
        view
    }

    pub(crate) fn paused(host: &str, cause: WaitCause, waiting: u64) -> AccountView {
        let until = NOW + Duration::from_secs(42);
        let wait = AccountWait {
            cause,
            why: cause.what().to_owned(),
            advice: cause.advice().to_owned(),
            since: NOW,
            until: Some(until),
        };
        let view = changed(host, |account| (account.waiting, account.waits_for) = (waiting, Some(wait)));
        AccountView { pause: Some(PauseView { cause, until }), ..view }
    }

    pub(crate) fn unauthorized(host: &str, waiting: u64) -> AccountView {
        let reason = Some("refresh token revoked".to_owned());
        changed(host, |account| {
            account.state = AccountState::NeedsAuthorization;
            (account.reason, account.waiting) = (reason, waiting);
        })
    }

    #[test]
    fn trouble_comes_first() {
        let mut accounts = [
            account("b"),
            account("a"),
            changed("gone", |account| account.state = AccountState::Revoked),
            paused("storm", WaitCause::TooMany, 9),
            paused("forbidden", WaitCause::Forbidden, 1),
            unauthorized("key", 0),
            unauthorized("busy-key", 3),
        ];
        accounts.sort_by_key(rank);
        let hosts: Vec<&str> = accounts.iter().filter_map(|one| one.account.host.as_deref()).collect();
        assert_eq!(hosts, ["busy-key", "key", "forbidden", "storm", "gone", "a", "b"]);
        assert_eq!(accounts.iter().filter(|one| is_in_trouble(one)).count(), 5);
    }

    #[test]
    fn a_pause_without_a_recorded_wait_says_why_too() {
        let mut short = paused("a", WaitCause::TooMany, 1);
        short.account.waits_for = None;
        let expected = Deliveries::Paused {
            why: "Kommo answered 429".into(),
            advice: None,
            needs_operator: false,
            until: Some(NOW + Duration::from_secs(42)),
        };
        assert_eq!(deliveries(&short), expected);
    }

    #[test]
    fn the_advice_leaves_out_what_the_button_does() {
        let known_as = model::AccountOrigin::Connected("main".into());
        let advice = WaitCause::Forbidden.advice_for(&known_as, "a.kommo.com");
        assert_eq!(without_resume(&advice), WaitCause::Forbidden.advice());
        let advice = WaitCause::Unauthorized.advice_for(&known_as, "a.kommo.com");
        assert_eq!(without_resume(&advice), advice);
    }
}
