//! Authorization codes and token pairs, and how the use of one affects the others. Pure: no clock, no
//! socket.
//!
//! - A code works once, within 20 minutes.
//! - A refresh creates a new pair. The old refresh token keeps working until the new pair is first
//!   used, in a call or a refresh; then it is revoked. If the old token is used again before that
//!   (because the response was lost), another pair replaces the unused one, which is revoked.
//! - While a refresh is in progress, a second one with the same token is refused as revoked.
//! - A refresh token lives for 90 days.

use std::time::{Duration, SystemTime};

const CODE_LIFETIME: Duration = Duration::from_secs(20 * 60);
const REFRESH_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

/// The codes and token pairs of one account.
#[derive(Debug, Default)]
pub(super) struct Grants {
    codes: Vec<Code>,
    pairs: Vec<Pair>,
}

#[derive(Debug, Clone)]
struct Code {
    text: String,
    issued: SystemTime,
    used: bool,
}

#[derive(Debug, Clone)]
struct Pair {
    access: String,
    refresh: String,
    issued: SystemTime,
    expires: SystemTime,
    access_dead: bool,
    refresh_dead: bool,
    refreshing: bool,
    /// The refresh token that this pair replaces; `None` if there is none, or once the pair is used.
    parent: Option<String>,
}

/// A token pair that is about to be issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewPair {
    pub(super) access: String,
    pub(super) refresh: String,
    pub(super) issued: SystemTime,
    pub(super) expires: SystemTime,
}

/// Why a code or refresh token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    CodeUnknown,
    CodeUsed,
    CodeExpired,
    RefreshUnknown,
    RefreshRevoked,
    RefreshExpired,
}

impl Grants {
    pub(super) fn add_code(&mut self, text: String, issued: SystemTime) {
        self.codes.push(Code { text, issued, used: false });
    }

    /// Exchanges a code for a pair.
    pub(super) fn redeem(&mut self, code: &str, pair: NewPair) -> Result<(), Refused> {
        let Some(code) = self.codes.iter_mut().find(|known| known.text == code) else {
            return Err(Refused::CodeUnknown);
        };
        if code.used {
            return Err(Refused::CodeUsed);
        }
        if pair.issued >= code.issued + CODE_LIFETIME {
            return Err(Refused::CodeExpired);
        }
        code.used = true;
        self.add(pair, None);
        Ok(())
    }

    /// Adds a pair. `parent` is the refresh token that it replaces, if any.
    pub(super) fn add(&mut self, pair: NewPair, parent: Option<String>) {
        let NewPair { access, refresh, issued, expires } = pair;
        let (access_dead, refresh_dead, refreshing) = (false, false, false);
        self.pairs.push(Pair {
            access,
            refresh,
            issued,
            expires,
            access_dead,
            refresh_dead,
            refreshing,
            parent,
        });
    }

    /// Begins a refresh; [`end`](Self::end) ends it.
    pub(super) fn begin(&mut self, refresh: &str, now: SystemTime) -> Result<(), Refused> {
        let pair = self.pair(refresh).ok_or(Refused::RefreshUnknown)?;
        if pair.refresh_dead || pair.refreshing {
            return Err(Refused::RefreshRevoked);
        }
        if now >= pair.issued + REFRESH_LIFETIME {
            return Err(Refused::RefreshExpired);
        }
        pair.refreshing = true;
        Ok(())
    }

    pub(super) fn end(&mut self, refresh: &str) {
        if let Some(pair) = self.pair(refresh) {
            pair.refreshing = false;
        }
    }

    /// Exchanges a refresh token for a new pair.
    pub(super) fn rotate(&mut self, refresh: &str, new: NewPair) -> Result<(), Refused> {
        let pair = self.pair(refresh).ok_or(Refused::RefreshUnknown)?;
        if pair.refresh_dead {
            return Err(Refused::RefreshRevoked);
        }
        let parent = pair.parent.take();
        self.kill_refresh(parent);
        for unused in self.pairs.iter_mut().filter(|pair| pair.parent.as_deref() == Some(refresh)) {
            unused.access_dead = true;
            unused.refresh_dead = true;
        }
        self.add(new, Some(refresh.to_owned()));
        Ok(())
    }

    pub(super) fn is_valid(&self, access: &str, now: SystemTime) -> bool {
        self.pairs.iter().any(|pair| pair.access == access && !pair.access_dead && now < pair.expires)
    }

    /// Whether this refresh token belongs to the account and is not revoked.
    pub(super) fn has_refresh(&self, refresh: &str) -> bool {
        self.pairs.iter().any(|pair| pair.refresh == refresh && !pair.refresh_dead)
    }

    /// Records a call with this access token.
    pub(super) fn used(&mut self, access: &str) {
        let parent =
            self.pairs.iter_mut().find(|pair| pair.access == access).and_then(|pair| pair.parent.take());
        self.kill_refresh(parent);
    }

    pub(super) fn expire_access(&mut self) {
        self.pairs.iter_mut().for_each(|pair| pair.access_dead = true);
    }

    pub(super) fn revoke(&mut self) {
        self.expire_access();
        self.pairs.iter_mut().for_each(|pair| pair.refresh_dead = true);
        self.codes.iter_mut().for_each(|code| code.used = true);
    }

    /// Copies the codes and tokens of another account.
    pub(super) fn take_over(&mut self, other: &Self) {
        self.codes.extend(other.codes.iter().cloned());
        self.pairs.extend(other.pairs.iter().cloned().map(|pair| Pair { refreshing: false, ..pair }));
    }

    /// Every code and token issued so far.
    pub(super) fn secrets(&self) -> Vec<String> {
        let codes = self.codes.iter().map(|code| code.text.clone());
        codes.chain(self.pairs.iter().flat_map(|pair| [pair.access.clone(), pair.refresh.clone()])).collect()
    }

    fn pair(&mut self, refresh: &str) -> Option<&mut Pair> {
        self.pairs.iter_mut().find(|pair| pair.refresh == refresh)
    }

    fn kill_refresh(&mut self, refresh: Option<String>) {
        if let Some(pair) = refresh.and_then(|refresh| self.pair(&refresh)) {
            pair.refresh_dead = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn pair(name: &str) -> NewPair {
        NewPair {
            access: format!("{name} access"),
            refresh: name.to_owned(),
            issued: at(0),
            expires: at(100),
        }
    }

    fn refresh(grants: &mut Grants, old: &str, new: &str) -> Result<(), Refused> {
        grants.begin(old, at(0))?;
        let done = grants.rotate(old, pair(new));
        grants.end(old);
        done
    }

    fn granted() -> Grants {
        let mut grants = Grants::default();
        grants.add(pair("a"), None);
        grants
    }

    #[test]
    fn code_works_once_within_twenty_minutes() {
        let mut grants = Grants::default();
        grants.add_code("code".into(), at(0));
        grants.add_code("late".into(), at(0));
        let new = |issued| NewPair { issued: at(issued), ..pair("a") };
        assert_eq!(grants.redeem("other", new(0)), Err(Refused::CodeUnknown));
        assert_eq!(grants.redeem("late", new(1200)), Err(Refused::CodeExpired));
        assert_eq!(grants.redeem("code", new(1199)), Ok(()));
        assert_eq!(grants.redeem("code", new(1199)), Err(Refused::CodeUsed));
    }

    #[test]
    fn old_refresh_token_works_until_the_new_pair_is_used() {
        for used in [true, false] {
            let mut grants = granted();
            refresh(&mut grants, "a", "b").unwrap();
            if used {
                grants.used("b access");
            } else {
                refresh(&mut grants, "b", "c").unwrap();
            }
            assert_eq!(refresh(&mut grants, "a", "d"), Err(Refused::RefreshRevoked));
        }
        let mut grants = granted();
        refresh(&mut grants, "a", "b").unwrap();
        grants.used("a access");
        assert_eq!(refresh(&mut grants, "a", "c"), Ok(()), "the old access token is not the new pair");
        assert_eq!(refresh(&mut grants, "b", "d"), Err(Refused::RefreshRevoked), "replaced before its use");
        assert!(!grants.is_valid("b access", at(0)) && grants.is_valid("c access", at(0)));
        grants.used("c access");
        assert_eq!(refresh(&mut grants, "a", "d"), Err(Refused::RefreshRevoked));
        assert_eq!(refresh(&mut grants, "c", "e"), Ok(()));
    }

    #[test]
    fn second_refresh_with_the_same_token_is_refused_while_the_first_runs() {
        let mut grants = granted();
        grants.begin("a", at(0)).unwrap();
        assert_eq!(grants.begin("a", at(0)), Err(Refused::RefreshRevoked));
        grants.end("a");
        assert_eq!(grants.begin("a", at(0)), Ok(()));
    }

    #[test]
    fn tokens_end_by_age_and_when_expired_or_revoked() {
        let mut grants = granted();
        assert!(grants.is_valid("a access", at(99)) && !grants.is_valid("a access", at(100)));
        assert_eq!(grants.begin("a", at(90 * 24 * 3600)), Err(Refused::RefreshExpired));
        assert_eq!(grants.begin("z", at(0)), Err(Refused::RefreshUnknown));
        grants.expire_access();
        assert!(!grants.is_valid("a access", at(0)) && grants.has_refresh("a"));
        grants.add_code("code".into(), at(0));
        grants.revoke();
        assert!(!grants.has_refresh("a"));
        assert_eq!(grants.redeem("code", pair("b")), Err(Refused::CodeUsed));
        assert_eq!(grants.secrets(), ["code", "a access", "a"]);
    }
}
