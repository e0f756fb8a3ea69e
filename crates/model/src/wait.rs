//! Why an account's deliveries wait, and what an operator can do about it: the one source of these texts for the log,
//! `ready`, `jobs show`, `accounts list`, `doctor` and the API.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::Timestamp;

/// In place of an address: the deliveries of all accounts.
pub const ALL_ACCOUNTS: &str = "*";

/// Why calls to an account wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitCause {
    /// 401: Kommo refuses the token.
    Unauthorized,
    /// 402: the account's plan has ended.
    PaymentRequired,
    /// 403 with JSON: the token's user lacks rights.
    Forbidden,
    /// 403 without JSON: the address is blocked, or a firewall dislikes this one call.
    Blocked,
    /// 429: Kommo asks to wait.
    TooMany,
    /// There is no token for that address, so Kommo was not asked.
    NotConnected,
    /// Its token has to be renewed first, and that did not work.
    NotRenewed,
}

/// How the bridge got an account, which decides what an operator does about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountOrigin {
    /// By the configuration, under this name.
    Configured(String),
    /// By OAuth, through the integration of this name.
    Connected(String),
    /// It was never connected.
    Unknown,
}

impl WaitCause {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unauthorized,
        Self::PaymentRequired,
        Self::Forbidden,
        Self::Blocked,
        Self::TooMany,
        Self::NotConnected,
        Self::NotRenewed,
    ];

    /// Whether it is a refusal, which Kommo may mean for one job alone: one refusal says nothing certain about the account.
    pub const fn may_be_of_one_job(self) -> bool {
        matches!(self, Self::Unauthorized | Self::PaymentRequired | Self::Forbidden | Self::Blocked)
    }

    /// Whether Kommo was asked at all.
    pub const fn was_answered(self) -> bool {
        !matches!(self, Self::NotConnected | Self::NotRenewed)
    }

    /// Whether a new token ends it. It may belong to another user, one with more rights.
    pub const fn ends_with_a_new_token(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Forbidden | Self::NotConnected | Self::NotRenewed)
    }

    /// Its name in the store and in results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::PaymentRequired => "payment_required",
            Self::Forbidden => "forbidden",
            Self::Blocked => "blocked",
            Self::TooMany => "too_many",
            Self::NotConnected => "not_connected",
            Self::NotRenewed => "not_renewed",
        }
    }

    /// What is wrong, where nothing more is known.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Unauthorized => "Kommo answered 401",
            Self::PaymentRequired => "Kommo answered 402",
            Self::Forbidden => "Kommo answered 403",
            Self::Blocked => "Kommo answered 403 without JSON",
            Self::TooMany => "Kommo answered 429",
            Self::NotConnected => "no account with this address is connected",
            Self::NotRenewed => "its token could not be renewed",
        }
    }

    /// What an operator has to do, or that there is nothing to do, for any account.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Unauthorized => {
                "an administrator of the account has to authorize it again: `salesbot-bridge accounts authorize`, or a new \
                 token in accounts.NAME.access_token and a restart, or in its file and SIGHUP"
            }
            Self::PaymentRequired => "the account's plan has ended: its owner has to renew it",
            Self::Forbidden => "the token has to belong to an administrator of the account",
            Self::Blocked => {
                "without JSON this means that Kommo blocks this address (lower delivery.rate_per_account, or ask Kommo's \
                 support), or that a firewall refuses what the call carries"
            }
            Self::TooMany => "nothing: the account's deliveries wait as long as Kommo asks",
            Self::NotConnected => {
                "run `salesbot-bridge accounts authorize`, or add accounts.NAME with base_url and access_token and restart; \
                 the deliveries that wait then go out"
            }
            Self::NotRenewed => {
                "nothing, if this passes: the bridge keeps trying, and the deliveries go out once it succeeds"
            }
        }
    }

    /// The same for the account at `host`, by the names that it has here.
    pub fn advice_for(self, account: &AccountOrigin, host: &str) -> String {
        let called = match account {
            AccountOrigin::Configured(name) => name,
            AccountOrigin::Connected(_) | AccountOrigin::Unknown => host,
        };
        let resume = format!("`salesbot-bridge accounts resume {called}` then tries it at once");
        match (self, account) {
            (Self::TooMany, _) | (Self::Unauthorized | Self::NotConnected, AccountOrigin::Unknown) => {
                self.advice().to_owned()
            }
            (Self::Unauthorized | Self::NotConnected, AccountOrigin::Configured(name)) => format!(
                "an administrator of the account has to make a new long-lived token; put it into accounts.{name}.access_token \
                 and restart, or into the file of accounts.{name}.access_token_file and send SIGHUP"
            ),
            (Self::Unauthorized | Self::NotConnected, AccountOrigin::Connected(integration)) => format!(
                "an administrator of the account has to authorize it again: `salesbot-bridge accounts authorize --integration \
                 {integration}`"
            ),
            (Self::PaymentRequired | Self::Forbidden | Self::Blocked, _) => {
                format!("{}; {resume}", self.advice())
            }
            (Self::NotRenewed, _) => {
                format!("fix what the error names, if anything: the bridge keeps trying, and {resume}")
            }
        }
    }

    /// Whether an operator has to look at it. The others pass.
    pub const fn needs_operator(self) -> bool {
        !matches!(self, Self::TooMany)
    }
}

impl fmt::Display for WaitCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for WaitCause {
    type Err = UnknownWaitCause;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == text).ok_or(UnknownWaitCause)
    }
}

/// The text is not the name of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it names no cause of a wait")]
pub struct UnknownWaitCause;

/// The deliveries of an account wait. No token is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountWait {
    /// Why, for programs.
    pub cause: WaitCause,
    /// What is wrong, for people.
    pub why: String,
    /// What an operator has to do.
    pub advice: String,
    /// When the wait for this cause began.
    pub since: Timestamp,
    /// When the next delivery is tried; `None` if that depends on another event.
    pub until: Option<Timestamp>,
}

impl AccountWait {
    /// What is wrong and what to do, in one sentence.
    pub fn text(&self) -> String {
        format!("{}; {}", self.why, self.advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_known_by_its_name() {
        for cause in WaitCause::ALL {
            assert_eq!(cause.as_str().parse(), Ok(cause));
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
        }
        assert_eq!("hunger".parse::<WaitCause>(), Err(UnknownWaitCause));
    }

    #[test]
    fn advice_names_what_the_operator_has_to_touch() {
        use WaitCause::{
            Blocked, Forbidden, NotConnected, NotRenewed, PaymentRequired, TooMany, Unauthorized,
        };
        let configured = AccountOrigin::Configured("shop".into());
        let connected = AccountOrigin::Connected("main".into());
        for (cause, account, parts) in [
            (Unauthorized, &configured, &["accounts.shop.access_token", "restart", "SIGHUP"][..]),
            (Unauthorized, &connected, &["accounts authorize --integration main"]),
            (Unauthorized, &AccountOrigin::Unknown, &["accounts authorize", "accounts.NAME.access_token"]),
            (PaymentRequired, &configured, &["plan", "accounts resume shop"]),
            (Forbidden, &connected, &["administrator", "accounts resume a.kommo.com"]),
            (Blocked, &configured, &["blocks this address", "rate_per_account", "accounts resume shop"]),
            (TooMany, &configured, &["nothing"]),
            (NotConnected, &connected, &["accounts authorize --integration main"]),
            (NotConnected, &AccountOrigin::Unknown, &["accounts authorize", "accounts.NAME", "restart"]),
            (NotRenewed, &connected, &["keeps trying", "accounts resume a.kommo.com"]),
        ] {
            let advice = cause.advice_for(account, "a.kommo.com");
            for part in parts {
                assert!(advice.contains(part), "{cause} {account:?}: {part} in {advice}");
            }
        }
    }
}
