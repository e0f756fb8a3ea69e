//! Calls to the token endpoint and the questions around them: each waits for its turn, and what its answer says about the pace
//! counts for the account, unless a stranger chose the call.

use kommo::pace::{CallKind, Cause, Pause, Paused, Permit, Source};
use kommo::{GrantError, Reason};
use model::whole_millis;

use super::{Accounts, host};

/// For whom it counts what an answer says about the pace of its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Teaches {
    /// For all calls to the account.
    Everyone,
    /// For none: a stranger chose the call, and must not be able to pause the account's continues.
    NoOne,
}

impl Accounts {
    /// A call when its turn comes. What its answer says about the pace holds for all.
    pub(super) async fn paced<T>(
        &self,
        origin: &str,
        call: impl Future<Output = Result<T, GrantError>>,
    ) -> Result<T, GrantError> {
        self.paced_by(origin, Teaches::Everyone, call).await
    }

    /// The same; a call that a stranger chose takes its turn, and its answer teaches no one else anything.
    pub(super) async fn paced_by<T>(
        &self,
        origin: &str,
        teaches: Teaches,
        call: impl Future<Output = Result<T, GrantError>>,
    ) -> Result<T, GrantError> {
        let mut permit = self.started(origin).await?;
        let answer = call.await;
        if let Err(GrantError::TooMany { retry_after: hint }) = answer
            && teaches == Teaches::Everyone
        {
            permit.pause(Pause { cause: Cause::TooMany, hint, source: Source::Token });
        }
        answer
    }

    /// A call of a renewal. As to a continue, a 403 without JSON to it may mean that the address is blocked. That holds for
    /// accounts that we know: anyone can cause the exchange of a code.
    pub(super) async fn renewal_call<T>(
        &self,
        origin: &str,
        call: impl Future<Output = Result<T, GrantError>>,
    ) -> Result<T, GrantError> {
        let mut permit = self.started(origin).await?;
        let answer = call.await;
        let (cause, hint) = match &answer {
            Err(GrantError::TooMany { retry_after }) => (Cause::TooMany, *retry_after),
            Err(GrantError::Blocked) => (Cause::Blocked, None),
            _ => return answer,
        };
        let began = permit.pause(Pause { cause, hint, source: Source::Token });
        if let Some(everybody) = began.and_then(|began| began.all_accounts) {
            let (pause_ms, why) = (whole_millis(everybody), cause.advice());
            tracing::warn!(account.host = host(origin), pause_ms, why, "deliveries of all accounts paused");
        }
        answer
    }

    /// A permit for a call for a token, which goes out now.
    async fn started(&self, origin: &str) -> Result<Permit, GrantError> {
        let unavailable = |paused: Paused| GrantError::Unavailable(Reason::new(paused.to_string()));
        loop {
            let patience = self.0.parts.request_timeout;
            let turn = self.0.parts.limiter.acquire(origin, CallKind::Token, patience).await;
            let mut permit = turn.map_err(unavailable)?;
            // A pause that began since it had its turn is waited for like any other.
            if permit.start().is_ok() {
                return Ok(permit);
            }
        }
    }
}
