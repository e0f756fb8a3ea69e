//! Calls to the token endpoint, and the calls around them. Each waits for its turn. Its response affects the
//! account's pace, unless a stranger caused the call.

use kommo::pace::{CallKind, Cause, Pause, Paused, Permit, Source};
use kommo::{GrantError, Reason};
use model::whole_millis;

use super::{Accounts, host};

/// Whether a response affects the account's pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PaceEffect {
    /// It affects all calls to the account.
    AllCalls,
    /// It affects no call: a stranger caused it, and must not be able to pause the account's continues.
    NoCall,
}

impl Accounts {
    /// Makes a call when its turn comes. Its response affects the pace of all calls.
    pub(super) async fn paced<T>(
        &self,
        origin: &str,
        call: impl Future<Output = Result<T, GrantError>>,
    ) -> Result<T, GrantError> {
        self.paced_by(origin, PaceEffect::AllCalls, call).await
    }

    /// Makes a call when its turn comes. `pace_effect` is whether its response affects the pace.
    pub(super) async fn paced_by<T>(
        &self,
        origin: &str,
        pace_effect: PaceEffect,
        call: impl Future<Output = Result<T, GrantError>>,
    ) -> Result<T, GrantError> {
        let mut permit = self.started(origin).await?;
        let answer = call.await;
        if let Err(GrantError::TooMany { retry_after: hint }) = answer
            && pace_effect == PaceEffect::AllCalls
        {
            permit.pause(Pause { cause: Cause::TooMany, hint, source: Source::Token });
        }
        answer
    }

    /// Makes a call of a renewal. As with a continue, a 403 without JSON may mean that our IP address is blocked.
    /// That counts only for known accounts, because anyone can cause the exchange of a code.
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
        if let Some(pause) = began.and_then(|began| began.all_accounts) {
            let (pause_ms, why) = (whole_millis(pause), cause.advice());
            tracing::warn!(account.host = host(origin), pause_ms, why, "deliveries of all accounts paused");
        }
        answer
    }

    /// Returns a permit for a token call that may start now.
    async fn started(&self, origin: &str) -> Result<Permit, GrantError> {
        let unavailable = |paused: Paused| GrantError::Unavailable(Reason::new(paused.to_string()));
        loop {
            let patience = self.0.parts.request_timeout;
            let turn = self.0.parts.limiter.acquire(origin, CallKind::Token, patience).await;
            let mut permit = turn.map_err(unavailable)?;
            // A pause that began after the permit was granted applies as well.
            if permit.start().is_ok() {
                return Ok(permit);
            }
        }
    }
}
