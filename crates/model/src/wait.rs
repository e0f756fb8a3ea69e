//! The reasons why an account's deliveries wait, and advice for the operator. These texts appear in the log, in `ready`, in
//! `jobs show`, `accounts list` and `doctor`, and in the API.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::Timestamp;

/// The placeholder for the address if the deliveries of all accounts wait.
pub const ALL_ACCOUNTS: &str = "*";

/// The reason why calls to an account wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitCause {
    /// 401: Kommo refuses the token.
    Unauthorized,
    /// 402: the account's plan has ended.
    PaymentRequired,
    /// 403 with JSON: the token's user lacks rights.
    Forbidden,
    /// 403 without JSON: Kommo blocks the bridge's IP address, or a firewall refuses this call.
    Blocked,
    /// 429: Kommo asks to wait.
    TooMany,
    /// The bridge has no token for the account's address, so it makes no call.
    NotConnected,
    /// The token must be renewed first, and the renewal failed.
    NotRenewed,
}

/// How the bridge knows an account. The advice for the operator depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountOrigin {
    /// From the configuration, with this name.
    Configured(String),
    /// By OAuth, through the integration with this name.
    Connected(String),
    /// The account was never connected.
    Unknown,
}

impl WaitCause {
    /// All causes.
    pub const ALL: [Self; 7] = [
        Self::Unauthorized,
        Self::PaymentRequired,
        Self::Forbidden,
        Self::Blocked,
        Self::TooMany,
        Self::NotConnected,
        Self::NotRenewed,
    ];

    /// Whether the cause is a refusal. Kommo may refuse only one job, so a single refusal proves nothing about the account.
    pub const fn may_be_of_one_job(self) -> bool {
        matches!(self, Self::Unauthorized | Self::PaymentRequired | Self::Forbidden | Self::Blocked)
    }

    /// Whether the cause is a response of Kommo.
    pub const fn was_answered(self) -> bool {
        !matches!(self, Self::NotConnected | Self::NotRenewed)
    }

    /// Whether a new token ends the wait. The new token may belong to a user with more rights.
    pub const fn ends_with_a_new_token(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Forbidden | Self::NotConnected | Self::NotRenewed)
    }

    /// The name in the store and in results.
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

    /// What is wrong, for any account.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Unauthorized => "Kommo answered 401",
            Self::PaymentRequired => "Kommo answered 402",
            Self::Forbidden => "Kommo answered 403",
            Self::Blocked => "Kommo answered 403 without JSON",
            Self::TooMany => "Kommo answered 429",
            Self::NotConnected => "no account with this address is connected",
            Self::NotRenewed => "the account's token could not be renewed",
        }
    }

    /// Advice for the operator, for any account.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Unauthorized => {
                "an administrator of the account must authorize it again with `salesbot-bridge accounts authorize`; or put a \
                 new token into accounts.NAME.access_token and restart, or into its file and send SIGHUP"
            }
            Self::PaymentRequired => "the account's plan has ended: its owner must renew it",
            Self::Forbidden => "the token must belong to an administrator of the account",
            Self::Blocked => {
                "without JSON, this means that Kommo blocks the bridge's IP address (lower delivery.rate_per_account, or ask \
                 Kommo's support), or that a firewall refuses the content of the call"
            }
            Self::TooMany => "no action needed: the account's deliveries wait as long as Kommo asks",
            Self::NotConnected => {
                "run `salesbot-bridge accounts authorize`, or add accounts.NAME with base_url and access_token and restart; \
                 the bridge then sends the waiting deliveries"
            }
            Self::NotRenewed => {
                "no action needed if it resolves soon: the bridge keeps trying, and sends the deliveries after it succeeds"
            }
        }
    }

    /// The advice for the account at `host`, with the names from the configuration.
    pub fn advice_for(self, account: &AccountOrigin, host: &str) -> String {
        let called = match account {
            AccountOrigin::Configured(name) => name,
            AccountOrigin::Connected(_) | AccountOrigin::Unknown => host,
        };
        let resume = format!("`salesbot-bridge accounts resume {called}` then retries at once");
        match (self, account) {
            (Self::TooMany, _) | (Self::Unauthorized | Self::NotConnected, AccountOrigin::Unknown) => {
                self.advice().to_owned()
            }
            (Self::Unauthorized | Self::NotConnected, AccountOrigin::Configured(name)) => format!(
                "an administrator of the account must create a new long-lived token; put it into accounts.{name}.access_token \
                 and restart, or into the file of accounts.{name}.access_token_file and send SIGHUP"
            ),
            (Self::Unauthorized | Self::NotConnected, AccountOrigin::Connected(integration)) => format!(
                "an administrator of the account must authorize it again: `salesbot-bridge accounts authorize --integration \
                 {integration}`"
            ),
            (Self::PaymentRequired | Self::Forbidden | Self::Blocked, _) => {
                format!("{}; {resume}", self.advice())
            }
            (Self::NotRenewed, _) => {
                format!("fix the cause that the error names: the bridge keeps trying, and {resume}")
            }
        }
    }

    /// Whether the wait may need an operator. Other waits end automatically.
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
#[error(
    "unknown cause of a wait (expected one of: unauthorized, payment_required, forbidden, blocked, too_many, not_connected, \
     not_renewed)"
)]
pub struct UnknownWaitCause;

/// A wait of an account's deliveries. It contains no token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountWait {
    /// The cause, for programs.
    pub cause: WaitCause,
    /// What is wrong, for people.
    pub why: String,
    /// Advice for the operator.
    pub advice: String,
    /// When the wait for this cause began.
    pub since: Timestamp,
    /// When the bridge tries the next delivery; `None` if that depends on another event.
    pub until: Option<Timestamp>,
}

impl AccountWait {
    /// The reason and the advice, in one sentence.
    pub fn text(&self) -> String {
        format!("{}; {}", self.why, self.advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_parsed_from_its_name() {
        for cause in WaitCause::ALL {
            assert_eq!(cause.as_str().parse(), Ok(cause));
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
        }
        assert_eq!("hunger".parse::<WaitCause>(), Err(UnknownWaitCause));
        for cause in WaitCause::ALL {
            assert!(UnknownWaitCause.to_string().contains(cause.as_str()), "{cause}");
        }
    }

    #[test]
    fn advice_names_the_settings_and_commands_to_use() {
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
            (
                Blocked,
                &configured,
                &["blocks the bridge's IP address", "rate_per_account", "accounts resume shop"],
            ),
            (TooMany, &configured, &["no action"]),
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
