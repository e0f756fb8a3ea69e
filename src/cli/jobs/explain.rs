//! `jobs explain`, and the reason that `jobs show` prints: asks the running bridge, which knows more than the store, and
//! otherwise the store alone.

use std::io::Write;

use serde_json::{Value, json};

use crate::admin::ExplanationView;
use crate::cli::health;
use crate::cli::jobs_text::field;
use crate::cli::text::{clean, span, when};
use model::{
    Attempt, ExplainContext, Explanation, HandlerName, JobId, JobPrefix, JobRecord, StateName, Timestamp,
    WaitsFor, explain,
};
use store::{StoreError, Surroundings};

use super::{Screen, Session};

/// What the store does not know about an unfinished job.
const UNKNOWN: [&str; 2] = [
    "whether a worker is free for its handler, and whether the handler can be reached",
    "how much of the pace of its account is used",
];

impl<W: Write> Session<'_, W> {
    pub(super) async fn explain(&mut self, id: JobPrefix) -> anyhow::Result<()> {
        let id = self.store.jobs().find(id).await?;
        let value = match self.ask(&format!("/api/v1/jobs/{id}/explain")).await {
            Some(asked) => asked,
            None => self.explained_by_store(id).await?,
        };
        let text = text(&value, self.clock.now(), self.screen);
        self.print(value, || text)
    }

    /// The response of the running bridge, if one serves this store.
    pub(super) async fn ask(&self, path: &str) -> Option<Value> {
        if self.is_served == Some(false) {
            return None;
        }
        health::api(self.bridge?, path).await
    }

    async fn explained_by_store(&self, id: JobId) -> anyhow::Result<Value> {
        let (job, attempts) = self.store.jobs().get(id).await?.ok_or(StoreError::NoJob(id))?;
        let (explanation, around) = self.explanation(&job, &attempts).await?;
        let state = job.summary().state;
        let is_known =
            state.is_finished() || state == StateName::AwaitingCallback || self.is_served == Some(false);
        let unknown = if is_known { Vec::new() } else { UNKNOWN.to_vec() };
        Ok(json!(ExplanationView::new(&job.summary(), explanation, &around, unknown)))
    }

    /// What an unfinished job waits for.
    pub(super) async fn waits_for(
        &self,
        job: &JobRecord,
        attempts: &[Attempt],
    ) -> Result<Option<WaitsFor>, StoreError> {
        let summary = job.summary();
        if summary.state.is_finished() {
            return Ok(None);
        }
        let asked = self.ask(&format!("/api/v1/jobs/{}", summary.id)).await;
        if let Some(waits_for) =
            asked.and_then(|asked| serde_json::from_value(asked["waits_for"].clone()).ok())
        {
            return Ok(Some(waits_for));
        }
        Ok(self.explanation(job, attempts).await?.0.waits_for())
    }

    async fn explanation(
        &self,
        job: &JobRecord,
        attempts: &[Attempt],
    ) -> Result<(Explanation, Surroundings), StoreError> {
        let summary = job.summary();
        let around = self.store.jobs().surroundings(summary.id).await?.unwrap_or_default();
        let waits = self.store.accounts().waits_at(summary.return_url.origin()).await?;
        let context = ExplainContext {
            is_served: self.is_served,
            has_handler: self.handlers.contains(summary.handler.as_str()),
            account: waits.account.as_ref(),
            all_accounts: waits.all_accounts.as_ref(),
            awaiting: self.awaiting(&summary.handler).await?,
            line: around.line,
            waiting: Some(around.waiting),
            superseded_by: around.superseded_by,
            was_sent: around.was_sent,
            ..ExplainContext::at(self.clock.now())
        };
        Ok((explain(job, attempts, &context), around))
    }

    /// How many jobs await a callback of a handler at a URL, and how many may.
    async fn awaiting(&self, handler: &HandlerName) -> Result<Option<(u64, u64)>, StoreError> {
        let known = self.configured.get(handler).and_then(|known| known.http.as_ref());
        let Some(max) = known.and_then(|http| u64::try_from(http.max_awaiting).ok()) else { return Ok(None) };
        let awaiting = self.store.callbacks().awaiting_by_handler().await?;
        Ok(Some((awaiting.get(handler.as_str()).copied().unwrap_or(0), max)))
    }
}

/// The explanation as text.
fn text(explained: &Value, now: Timestamp, screen: Screen) -> String {
    let at = |value: &Value| serde_json::from_value::<Timestamp>(value.clone()).ok();
    let string = |value: &Value| clean(value.as_str().unwrap_or_default());
    let mut lines = vec![("job", string(&explained["id"])), ("summary", string(&explained["summary"]))];
    for reason in explained["because"].as_array().into_iter().flatten() {
        let since = at(&reason["since"]).map(|since| format!("for {}", span(now.since(since))));
        let until = at(&reason["until"]).map(|until| format!("ends {}", when(until, now)));
        let times: Vec<String> = since.into_iter().chain(until).collect();
        let times = if times.is_empty() { String::new() } else { format!(" ({})", times.join(", ")) };
        lines.push(("because", format!("{}: {}{times}", string(&reason["code"]), string(&reason["text"]))));
    }
    if let Some(what) = explained["next"]["what"].as_str() {
        let at = at(&explained["next"]["at"]).map(|at| format!(" ({})", when(at, now)));
        lines.push(("next", format!("{}{}", clean(what), at.unwrap_or_default())));
    }
    for suggestion in explained["you_can"].as_array().into_iter().flatten() {
        lines.push(("you can", string(&suggestion["action"])));
        lines.extend(suggestion["command"].as_str().map(|command| ("", clean(command))));
    }
    if let Some(group) = explained["error_group"].as_i64() {
        lines.push(("error group", format!("{group}: `jobs errors {group}` shows it")));
    }
    for unknown in explained["unknown"].as_array().into_iter().flatten() {
        lines.push((
            "unknown",
            format!("{} (the running bridge did not answer at admin.listen)", string(unknown)),
        ));
    }
    lines.into_iter().map(|(name, value)| field(name, &value, screen.width)).collect()
}
