//! Whether an account is still connected: how Kommo responds to its token, and whether to believe a call that reports
//! a disconnection.

use std::time::Duration;

use kommo::{Bearer, GrantError, NoBearer};
use model::{AccountKey, AccountState};

use super::Accounts;
use super::due;
use super::renew::url_of;

/// The minimum interval between two checks of an account, however many calls report its disconnection.
const MIN_ASK_INTERVAL: Duration = Duration::from_secs(10);
/// The maximum interval between two checks for a call that waits.
const MAX_ASK_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// If Kommo refuses a token for at least this long and gives no new one, the refusal is final.
const MIN_FINAL_REFUSAL: Duration = Duration::from_secs(60);
/// How long a token may keep working after Kommo's own call has reported the disconnection. A repeated call looks the
/// same, so the account is checked for this long after each call.
const TOKEN_GRACE: Duration = Duration::from_secs(5 * 60);

/// The evidence for whether an account is still connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Kommo accepts its token.
    Works,
    /// Kommo says that its tokens are dead.
    Gone,
    /// Kommo refuses its token and a new one, without saying that its tokens are dead.
    Refused,
    /// The check has no result: Kommo cannot be reached, or its response says nothing about the token.
    Silent,
    /// There is no token to check.
    NoToken,
}

/// The last check of an account.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastAnswer {
    /// When, in elapsed time.
    pub(super) at: Duration,
    /// The generation of the tokens at that time.
    pub(super) generation: Option<u64>,
    pub(super) evidence: Evidence,
    /// Since when every check of these tokens has shown [`Evidence::Refused`], in elapsed time.
    refused_since: Option<Duration>,
}

impl LastAnswer {
    /// Creates the result of a check at `at` that follows the check `before`.
    pub(super) fn new(
        before: Option<&Self>,
        at: Duration,
        generation: Option<u64>,
        evidence: Evidence,
    ) -> Self {
        let same = before.filter(|before| before.generation == generation);
        let since = same.and_then(|same| same.refused_since).unwrap_or(at);
        let refused_since = (evidence == Evidence::Refused).then_some(since);
        Self { at, generation, evidence, refused_since }
    }

    /// Returns how long Kommo has refused these tokens.
    pub(super) fn refused_for(&self) -> Duration {
        self.refused_since.map_or(Duration::ZERO, |since| self.at.saturating_sub(since))
    }

    /// Whether it is too early for another check on behalf of a new call.
    pub(super) fn is_recent(&self, now: Duration) -> bool {
        now < self.at + MIN_ASK_INTERVAL
    }

    /// Whether it is too early for another check on behalf of a call that has `waited`. The longer it waits, the
    /// rarer the checks.
    pub(super) fn is_recent_after(&self, waited: Duration, now: Duration) -> bool {
        now < self.at + (waited / 10).clamp(MIN_ASK_INTERVAL, MAX_ASK_INTERVAL)
    }
}

/// Whether to believe a call that reports an account's disconnection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    /// Yes: the account is disconnected.
    Believe,
    /// Not decided until the account can be checked.
    Wait,
    /// No: the account is connected.
    Doubt,
    /// No: it may be a repeated call, and there is no token for a check.
    Ignore,
}

/// Decides when the call arrives. The first call with a signature comes from Kommo, because no one else knows the
/// signature before.
pub(super) fn believe(evidence: Evidence, state: Option<AccountState>, is_first: bool) -> Belief {
    match evidence {
        Evidence::Works => Belief::Doubt,
        Evidence::Gone => Belief::Believe,
        Evidence::Refused | Evidence::Silent => Belief::Wait,
        Evidence::NoToken if is_first || state == Some(AccountState::Revoked) => Belief::Believe,
        Evidence::NoToken => Belief::Ignore,
    }
}

/// Decides after the call has `waited` for its account to be checked.
pub(super) fn believe_later(
    evidence: Evidence,
    state: Option<AccountState>,
    is_first: bool,
    waited: Duration,
    refused_for: Duration,
) -> Belief {
    match evidence {
        Evidence::Works if waited < TOKEN_GRACE => Belief::Wait,
        Evidence::Refused if refused_for >= MIN_FINAL_REFUSAL => Belief::Believe,
        // Its tokens died while the call waited.
        Evidence::NoToken if state == Some(AccountState::NeedsAuthorization) => Belief::Believe,
        other => believe(other, state, is_first),
    }
}

impl Accounts {
    /// Checks an account with its own token.
    pub(super) async fn evidence(&self, key: &AccountKey) -> Evidence {
        let Some(entry) = self.entry_of(key) else { return self.evidence_of_long_lived(key).await };
        let Ok((open, _)) = entry.open() else { return Evidence::NoToken };
        let (generation, now) = (entry.record.generation, self.0.parts.clock.now());
        let mut was_refused = false;
        if due::is_good(open.tokens.obtained_at, open.tokens.expires_at, now)
            && let Ok(bearer) = entry.bearer()
        {
            match self.shows(key, &bearer).await {
                Evidence::Works => return Evidence::Works,
                other => was_refused = other == Evidence::Refused,
            }
        }
        // A new pair shows that Kommo still knows the authorization; a dead refresh token shows that it does not.
        match self.renew(key, generation).await {
            Ok(_) => Evidence::Works,
            Err(NoBearer::NeedsAuthorization { .. }) => Evidence::Gone,
            // A single refusal may be an outage of Kommo.
            Err(_) if was_refused && self.was_renewal_refused(key) => Evidence::Refused,
            Err(_) => Evidence::Silent,
        }
    }

    /// Checks how Kommo responds to this token.
    async fn shows(&self, key: &AccountKey, bearer: &Bearer) -> Evidence {
        let Ok(url) = url_of(&bearer.origin) else { return Evidence::Silent };
        let asked = self.paced(&bearer.origin, self.0.parts.kommo.account_id(&url, &bearer.token)).await;
        match asked {
            Ok(account_id) if account_id == key.account_id => Evidence::Works,
            Err(GrantError::Dead { .. } | GrantError::Refused { status: 401, .. }) => Evidence::Refused,
            Ok(_) | Err(_) => Evidence::Silent,
        }
    }

    /// Checks an account from the configuration, which does not contain its number. Verified tokens have shown the
    /// address of the number.
    async fn evidence_of_long_lived(&self, key: &AccountKey) -> Evidence {
        let origins = self.0.pairs.origins_of(&key.client_uuid, key.account_id);
        let bearer = origins.iter().find_map(|origin| self.long_lived(origin));
        match bearer {
            Some(bearer) => self.shows(key, &bearer).await,
            None => Evidence::NoToken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: Option<AccountState> = Some(AccountState::NeedsAuthorization);
    const REVOKED: Option<AccountState> = Some(AccountState::Revoked);
    const ACTIVE: Option<AccountState> = Some(AccountState::Active);

    #[test]
    fn a_call_is_believed_only_if_the_account_does_not_contradict_it() {
        for (evidence, state, is_first, expected) in [
            (Evidence::Works, ACTIVE, true, Belief::Doubt),
            (Evidence::Works, ACTIVE, false, Belief::Doubt),
            (Evidence::Gone, NEEDS, false, Belief::Believe),
            (Evidence::Refused, ACTIVE, true, Belief::Wait),
            (Evidence::Silent, ACTIVE, true, Belief::Wait),
            (Evidence::NoToken, None, true, Belief::Believe),
            (Evidence::NoToken, None, false, Belief::Ignore),
            (Evidence::NoToken, NEEDS, true, Belief::Believe),
            (Evidence::NoToken, NEEDS, false, Belief::Ignore),
            (Evidence::NoToken, REVOKED, false, Belief::Believe),
        ] {
            assert_eq!(believe(evidence, state, is_first), expected, "{evidence:?} {state:?} {is_first}");
        }
    }

    #[test]
    fn a_call_that_waits_long_is_checked_less_often() {
        let second = Duration::from_secs(1);
        let answer = LastAnswer::new(None, Duration::ZERO, None, Evidence::Silent);
        for (waited, seconds) in [(0, 10), (100, 10), (600, 60), (86_400, 600)] {
            let waited = Duration::from_secs(waited);
            assert!(answer.is_recent_after(waited, second * (seconds - 1)), "{waited:?}");
            assert!(!answer.is_recent_after(waited, second * seconds), "{waited:?}");
        }
        assert!(answer.is_recent(second * 9) && !answer.is_recent(second * 10));
    }

    #[test]
    fn a_waiting_call_is_decided_by_a_later_check_of_the_account() {
        let (second, long) = (Duration::from_secs(1), TOKEN_GRACE * 100);
        for (evidence, state, waited, refused_for, expected) in [
            (Evidence::Works, ACTIVE, TOKEN_GRACE - second, Duration::ZERO, Belief::Wait),
            (Evidence::Works, ACTIVE, TOKEN_GRACE, Duration::ZERO, Belief::Doubt),
            (Evidence::Gone, NEEDS, second, Duration::ZERO, Belief::Believe),
            (Evidence::Refused, ACTIVE, long, MIN_FINAL_REFUSAL - second, Belief::Wait),
            (Evidence::Refused, ACTIVE, long, MIN_FINAL_REFUSAL, Belief::Believe),
            (Evidence::Silent, ACTIVE, long, Duration::ZERO, Belief::Wait),
            (Evidence::NoToken, NEEDS, second, Duration::ZERO, Belief::Believe),
            (Evidence::NoToken, None, second, Duration::ZERO, Belief::Ignore),
        ] {
            let belief = believe_later(evidence, state, false, waited, refused_for);
            assert_eq!(belief, expected, "{evidence:?} {state:?} {waited:?} {refused_for:?}");
        }
    }

    #[test]
    fn refusal_time_starts_at_the_first_of_consecutive_refusals_of_the_same_tokens() {
        let second = Duration::from_secs(1);
        let mut last: Option<LastAnswer> = None;
        for (at, generation, evidence, expected) in [
            (0, 1, Evidence::Works, 0),
            (10, 1, Evidence::Refused, 0),
            (30, 1, Evidence::Refused, 20),
            (40, 1, Evidence::Silent, 0),
            (50, 1, Evidence::Refused, 0),
            (70, 1, Evidence::Refused, 20),
            (80, 2, Evidence::Refused, 0),
        ] {
            let answer = LastAnswer::new(last.as_ref(), second * at, Some(generation), evidence);
            assert_eq!(answer.refused_for(), second * expected, "at {at}");
            last = Some(answer);
        }
    }
}
