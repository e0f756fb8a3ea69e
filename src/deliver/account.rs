//! Applies a decision to the account: begins or ends its pause, and updates the health and the log.

use kommo::pace::Permit;
use model::{AccountWait, DeliveringJob, whole_millis};

use super::decide::{AttemptOutcome, Decision, may_be_an_outage, wait_reason};
use super::{Sender, SenderParts};

impl Sender {
    /// Updates the pace, the health and the log for the account after `outcome`. Returns the decision, which a pause may
    /// change.
    pub(super) fn update_account(
        &self,
        job: &DeliveringJob,
        decision: Decision,
        outcome: &AttemptOutcome,
        permit: &mut Permit,
    ) -> Decision {
        let SenderParts { health, clock, accounts, .. } = &self.0.parts;
        // Includes the port, if any: two accounts may share a host. If an account has moved, this is its current
        // address, which all its jobs have in common.
        let account = permit.account();
        let host = account.split_once("://").map_or(&*account, |(_, host)| host);
        if decision.account_is_fine {
            let ended = permit.succeeded();
            if ended.account {
                tracing::info!(account.host = host, "deliveries to this account resumed");
            }
            if ended.all_accounts {
                tracing::info!(account.host = host, "deliveries of all accounts resumed");
            }
            if let Some(outage) = ended.outage {
                self.clone().release_failed(account.clone(), outage);
            }
            health.account_resumes(&account);
            // The account may have waited under its earlier address.
            if *job.return_url.origin() != *account {
                health.account_resumes(job.return_url.origin());
            }
        }
        if may_be_an_outage(outcome) {
            permit.failed();
        }
        let Some(pause) = decision.pause else { return decision };
        // `None` if a pause that began after this call is in force. That pause has been logged.
        let Some(began) = permit.pause(pause) else { return decision };
        let length = began.alone.unwrap_or(began.account);
        let wait = AccountWait {
            cause: pause.cause,
            why: wait_reason(outcome),
            advice: accounts.advice(pause.cause, &account),
            since: clock.now(),
            until: Some(clock.now() + length),
        };
        let (pause_ms, why) = (whole_millis(length), wait.text());
        if !pause.cause.needs_operator() {
            // Most pauses are short. The account watch (`accounts/waits.rs`) reports the long ones.
            tracing::info!(account.host = host, pause_ms, why, "deliveries paused");
        } else if health.account_waits(&account, wait) {
            tracing::warn!(account.host = host, pause_ms, why, "deliveries paused: operator action required");
        }
        if let Some(length) = began.all_accounts {
            let pause_ms = whole_millis(length);
            tracing::warn!(account.host = host, pause_ms, why, "deliveries of all accounts paused");
        }
        match began.alone {
            Some(alone) => decision.until(clock.steady() + alone),
            None => decision,
        }
    }
}
