//! One attempt: posts the continue, says what the answer means for the account, and reports to the store.

use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::job_log::Call;
use kommo::pace::{Paused, Permit, Source};
use kommo::{Answer, Bearer, NoBearer};
use model::{AccountWait, Attempt, DeliveringJob, DeliveryReport, HandlerPolicy, Stage, whole_millis};
use store::Written;

use super::decide::blame::{self, Blame};
use super::decide::{self, Circumstances, Got, Judgement};
use super::log::{Outcome, log_outcome};
use super::{Parts, Sender};

/// Held by a delivery while no call of it is under way. A stop waits for those that hold one.
type Idle = Option<TaskTrackerToken>;

impl Sender {
    pub(super) async fn send(self, mut job: DeliveringJob, mut pass: Permit) {
        let Parts { clock, policies, random, .. } = &self.0.parts;
        let (started_at, begun) = (clock.now(), clock.elapsed());
        let mut idle = Some(self.0.between_calls.token());
        let got = match job.superseded() {
            Some(newer) => Got::Superseded(newer),
            None => self.call(&job, &mut pass, &mut idle).await.map_or_else(|got| got, Got::Answer),
        };
        job.tried |= pass.has_started();
        let (now, duration) = (clock.steady(), clock.elapsed() - begun);
        let default_policy = HandlerPolicy::default();
        let circumstances = Circumstances {
            job: job.id,
            waiting_since: job.waiting_since,
            prepared: &job.prepared,
            delivery: job.delivery,
            account: pass.evidence(Source::Job(job.id)),
            policy: policies.get(&job.handler).unwrap_or(&default_policy),
            give_up_after: self.0.settings.give_up_after,
            now,
            jitter: random(),
        };
        let judgement = decide::judge(&got, circumstances);
        let heard = decide::heard(&got);
        let status = match got {
            Got::Answer(Answer::Status { status, .. } | Answer::Foreign { status }) => Some(status),
            _ => None,
        };
        let judgement = self.pause_or_go_on(&job, judgement, &heard, &mut pass);
        log_outcome(&job, &judgement, status, duration, clock);
        let Judgement { next, result, error, .. } = judgement;
        let attempt = result.map(|result| Attempt {
            stage: Stage::Delivery,
            number: job.attempts + 1,
            started_at,
            duration,
            result,
            status,
            error: error.clone(),
        });
        let outcome =
            Outcome::of(&job, &next, error.as_deref(), attempt.is_some(), Call { status, duration }, now);
        // The place is for calls. While the store is slow, though, what waits to be written has to stay
        // bounded: then the place is kept until it is.
        let mut pass = Some(pass);
        let writing = self.0.writing.try_acquire().ok();
        if writing.is_some() {
            pass.take();
        }
        let written = self.report(DeliveryReport { job, attempt, next, error }).await;
        if written && let Some(outcome) = outcome {
            outcome.log(&self.0.parts.job_log);
        }
        drop((writing, pass, idle));
    }

    /// Posts the continue; after a 401 once more, if another token can be had. Fails with what came instead of an answer.
    async fn call(&self, job: &DeliveringJob, pass: &mut Permit, idle: &mut Idle) -> Result<Answer, Got> {
        let (accounts, whose) = (&self.0.parts.accounts, (job.return_url.origin(), job.account_id));
        let patience = self.0.settings.request_timeout;
        // Renewing passes the gate by itself: a ticket that is held meanwhile could be the one that it waits for.
        let at_hand = accounts.is_at_hand(whose);
        if !at_hand {
            pass.release();
        }
        let bearer = match self.unless_stopped(accounts.bearer(whose)).await? {
            Ok(bearer) => bearer,
            Err(NoBearer::Unknown) if accounts.is_anothers(whose.0, whose.1) => return Err(Got::Stranger),
            Err(none) => return Err(Got::NoBearer(none)),
        };
        if !at_hand {
            self.unless_stopped(pass.reacquire(patience)).await?.map_err(Got::NotItsTurn)?;
        }
        let answer = self.post(job, &bearer, pass, idle).await?;
        let is_unauthorized = matches!(answer, Answer::Status { status: 401, .. });
        if !is_unauthorized || bearer.is_long_lived() || is_refused_alone(job, pass) {
            return Ok(answer);
        }
        pass.release();
        let bearer = self.unless_stopped(accounts.renewed(whose, &bearer)).await?.map_err(Got::NoBearer)?;
        self.unless_stopped(pass.reacquire(patience)).await?.map_err(Got::NotItsTurn)?;
        self.post(job, &bearer, pass, idle).await
    }

    /// Waits for what has to come before a call, but not beyond a stop.
    async fn unless_stopped<T>(&self, wait: impl Future<Output = T>) -> Result<T, Got> {
        self.0.handing_back.run_until_cancelled(wait).await.ok_or(Got::Stopped)
    }

    async fn post(
        &self,
        job: &DeliveringJob,
        bearer: &Bearer,
        pass: &mut Permit,
        idle: &mut Idle,
    ) -> Result<Answer, Got> {
        let DeliveringJob { return_url, prepared, .. } = job;
        let (kommo, completion) = (&self.0.parts.kommo, &prepared.completion);
        if self.0.parts.accounts.is_refused((return_url.origin(), job.account_id), bearer) {
            return Err(Got::NotItsTurn(Paused { left: None }));
        }
        // Its account may have moved: who has the old address today is a stranger.
        let moved = (*bearer.origin != *return_url.origin()).then(|| return_url.at(&bearer.origin));
        let url = match &moved {
            None => return_url,
            Some(Ok(moved)) => moved,
            Some(Err(error)) => {
                let why = format!("the account has moved, and its new address cannot be used: {error}");
                return Ok(Answer::NotSent(why));
            }
        };
        pass.start().map_err(Got::NotItsTurn)?;
        // From here to the answer no one knows whether the continue has arrived.
        idle.take();
        let answer = kommo.continue_bot(url, &bearer.token, completion).await;
        *idle = Some(self.0.between_calls.token());
        Ok(answer)
    }

    /// Says whether the report was written.
    async fn report(&self, report: DeliveryReport) -> bool {
        let (id, handler) = (report.job.id, report.job.handler.clone());
        match self.0.parts.store.sent(report).await {
            Ok(Written::Done) => return true,
            Ok(Written::Stale) => {
                tracing::warn!(job.id = %id, %handler, "the job was cancelled or taken over meanwhile; this answer is dropped");
            }
            Err(error) => {
                tracing::error!(job.id = %id, %handler, %error, "what Kommo answered could not be stored; the continue is sent again");
            }
        }
        false
    }

    /// Says what the answer, which was `heard`, means for the account, and what comes of the job with that.
    fn pause_or_go_on(
        &self,
        job: &DeliveringJob,
        judgement: Judgement,
        heard: &str,
        pass: &mut Permit,
    ) -> Judgement {
        let Parts { health, clock, accounts, .. } = &self.0.parts;
        // With its port, where it has one: two accounts of one host are two accounts. Of an account that has moved, it is where
        // the account is now, which all of its jobs have in common.
        let account = pass.account();
        let host = account.split_once("://").map_or(&*account, |(_, host)| host);
        if judgement.account_is_fine {
            let ended = pass.succeeded();
            if ended.account {
                tracing::info!(account.host = host, "deliveries to this account go on");
            }
            if ended.all_accounts {
                tracing::info!(account.host = host, "deliveries of all accounts go on");
            }
            health.account_goes_on(&account);
            // It may have waited before it moved.
            if *job.return_url.origin() != *account {
                health.account_goes_on(job.return_url.origin());
            }
        }
        let Some(pause) = judgement.pause else { return judgement };
        // None: a pause that began after this call is in force, and has been told.
        let Some(began) = pass.pause(pause) else { return judgement };
        let length = began.alone.unwrap_or(began.account);
        let wait = AccountWait {
            cause: pause.cause,
            why: heard.to_owned(),
            advice: accounts.advice(pause.cause, &account),
            since: clock.now(),
            until: Some(clock.now() + length),
        };
        let (pause_ms, why) = (whole_millis(length), wait.text());
        if !pause.cause.needs_operator() {
            // Most pass in a moment; the watch of the accounts notes those that do not.
            tracing::info!(account.host = host, pause_ms, why, "deliveries paused");
        } else if health.account_waits(&account, wait) {
            tracing::warn!(account.host = host, pause_ms, why, "deliveries paused: operator action required");
        }
        if let Some(everybody) = began.all_accounts {
            let pause_ms = whole_millis(everybody);
            tracing::warn!(account.host = host, pause_ms, why, "deliveries of all accounts paused");
        }
        match began.alone {
            Some(alone) => judgement.until(clock.steady() + alone),
            None => judgement,
        }
    }
}

/// Whether the 401 of this call is about the job alone. Then the token is good, and renewing it each time that the job is
/// tried would only hold up the others.
fn is_refused_alone(job: &DeliveringJob, pass: &Permit) -> bool {
    blame::decide(job.delivery, pass.evidence(Source::Job(job.id))) != Blame::Account
}
