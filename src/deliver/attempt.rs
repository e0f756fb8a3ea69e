//! One attempt, from the claimed job to its report: posts the continue and decides what follows from the response.

use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Instrument;

use crate::job_log::LastCall;
use crate::stage::delivery_span;
use kommo::pace::{Paused, Permit, Source};
use kommo::{Bearer, CallFailure, CallOutcome, NoBearer, Reason};
use model::{Attempt, DeliveringJob, DeliveryReport, Stage};

use super::decide::blame::{self, Blame};
use super::decide::{AttemptOutcome, Decision, DecisionContext, decide};
use super::log::{JobEvent, log_outcome, log_written};
use super::{Sender, SenderParts};

/// A token that a delivery holds while none of its calls is under way. A stop waits for the deliveries that hold one.
type BetweenCalls = Option<TaskTrackerToken>;

impl Sender {
    /// Delivers a claimed job: one attempt and its report.
    pub(super) async fn send(self, mut job: DeliveringJob, mut permit: Permit) {
        let SenderParts { clock, random, .. } = &self.0.parts;
        let started = self.0.runtime.begin();
        let mut between_calls = Some(self.0.between_calls.token());
        let outcome = match job.superseded() {
            Some(newer) => AttemptOutcome::Superseded(newer),
            None => {
                let span = delivery_span(job.id, &job.handler, job.attempts + 1);
                let call = self.call(&job, &mut permit, &mut between_calls).instrument(span);
                call.await.map_or_else(|outcome| outcome, AttemptOutcome::Called)
            }
        };
        job.tried |= permit.has_started();
        let (now, duration) = (clock.steady(), started.duration(clock));
        let context = DecisionContext {
            job: job.id,
            waiting_since: job.waiting_since,
            prepared: &job.prepared,
            delivery: job.delivery,
            account: permit.evidence(Source::Job(job.id)),
            policy: self.policy(&job.handler),
            give_up_after: self.0.settings.give_up_after,
            now,
            jitter: random(),
        };
        let decision = decide(&outcome, context);
        let status = match &outcome {
            AttemptOutcome::Called(outcome) => outcome.status(),
            _ => None,
        };
        let decision = self.update_account(&job, decision, &outcome, &mut permit);
        log_outcome(&job, &decision, status, duration, &self.0.meters, clock);
        if matches!(outcome, AttemptOutcome::Called(_)) {
            self.0.meters.called(duration);
        }
        let Decision { next, result, error, .. } = decision;
        let attempt = result.map(|result| Attempt {
            stage: Stage::Delivery,
            number: job.attempts + 1,
            started_at: started.at,
            duration,
            result,
            status,
            error: error.clone(),
        });
        let event = JobEvent::of(
            &job,
            &next,
            error.as_deref(),
            attempt.is_some(),
            LastCall { status, duration },
            now,
        );
        self.0
            .runtime
            .write_bounded(permit, async {
                let (id, handler) = (job.id, job.handler.clone());
                let written =
                    self.0.parts.store.jobs().sent(DeliveryReport { job, attempt, next, error }).await;
                if log_written(written, id, &handler)
                    && let Some(event) = event
                {
                    event.log(&self.0.parts.job_log, &self.0.meters);
                }
            })
            .await;
        drop(between_calls);
    }

    /// Posts the continue. After a 401 it posts once more if there is another token.
    ///
    /// # Errors
    /// How the attempt ended, if there is no response to decide on.
    async fn call(
        &self,
        job: &DeliveringJob,
        permit: &mut Permit,
        between_calls: &mut BetweenCalls,
    ) -> Result<CallOutcome, AttemptOutcome> {
        let (accounts, account_ref) = (&self.0.parts.accounts, (job.return_url.origin(), job.account_id));
        let patience = self.0.settings.request_timeout;
        let no_bearer = |none| match none {
            NoBearer::Unknown if accounts.is_anothers(account_ref.0, account_ref.1) => {
                AttemptOutcome::OtherAccount
            }
            none => AttemptOutcome::NoBearer(none),
        };
        let bearer = match accounts.at_hand(account_ref) {
            _ if self.0.runtime.handing_back().is_cancelled() => return Err(AttemptOutcome::Stopped),
            Some(bearer) => bearer.map_err(no_bearer)?,
            None => {
                // A renewal needs its own permit and could wait for the one that this attempt holds.
                permit.release();
                let bearer = self.unless_stopped(accounts.bearer(account_ref)).await?.map_err(no_bearer)?;
                self.unless_stopped(permit.reacquire(patience))
                    .await?
                    .map_err(AttemptOutcome::NotAdmitted)?;
                bearer
            }
        };
        let response = self.post(job, &bearer, permit, between_calls).await?;
        let is_unauthorized = matches!(response, CallOutcome::Unauthorized { .. });
        if !is_unauthorized || bearer.is_long_lived() || is_refused_alone(job, permit) {
            return Ok(response);
        }
        permit.release();
        let bearer = self
            .unless_stopped(accounts.renewed(account_ref, &bearer))
            .await?
            .map_err(AttemptOutcome::NoBearer)?;
        self.unless_stopped(permit.reacquire(patience)).await?.map_err(AttemptOutcome::NotAdmitted)?;
        self.post(job, &bearer, permit, between_calls).await
    }

    /// Awaits `wait`, which precedes a call, until it ends or a stop hands deliveries back.
    async fn unless_stopped<T>(&self, wait: impl Future<Output = T>) -> Result<T, AttemptOutcome> {
        self.0.runtime.handing_back().run_until_cancelled(wait).await.ok_or(AttemptOutcome::Stopped)
    }

    async fn post(
        &self,
        job: &DeliveringJob,
        bearer: &Bearer,
        permit: &mut Permit,
        between_calls: &mut BetweenCalls,
    ) -> Result<CallOutcome, AttemptOutcome> {
        let DeliveringJob { return_url, prepared, .. } = job;
        let (kommo, completion) = (&self.0.parts.kommo, &prepared.completion);
        if self.0.parts.accounts.is_refused((return_url.origin(), job.account_id), bearer) {
            return Err(AttemptOutcome::NotAdmitted(Paused { left: None }));
        }
        // The account may have moved, and its old address may now belong to a different account.
        let moved = (*bearer.origin != *return_url.origin()).then(|| return_url.at(&bearer.origin));
        let url = match &moved {
            None => return_url,
            Some(Ok(moved)) => moved,
            Some(Err(error)) => {
                let text = "the account has moved, and its new address cannot be used";
                let reason = Reason::caused_by(text, *error);
                return Ok(CallOutcome::NoResponse(CallFailure::NotSent(reason)));
            }
        };
        let is_first = !job.tried && !permit.has_started();
        permit.start().map_err(AttemptOutcome::NotAdmitted)?;
        if is_first {
            self.0.meters.first_call_after(self.0.parts.clock.steady().since(job.due_at));
        }
        // From here until the response, we cannot tell whether the continue has arrived.
        between_calls.take();
        let response = kommo.continue_bot(url, &bearer.token, completion).await;
        *between_calls = Some(self.0.between_calls.token());
        Ok(response)
    }
}

/// Whether the 401 of this call is about this job alone. If so, the token is good, and renewing it for each attempt of
/// the job would only delay other jobs.
fn is_refused_alone(job: &DeliveringJob, permit: &Permit) -> bool {
    blame::decide(job.delivery, permit.evidence(Source::Job(job.id))) != Blame::Account
}
