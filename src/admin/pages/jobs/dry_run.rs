//! The panel of a dry run: what a change of all jobs that match would do.

use std::collections::BTreeMap;
use std::time::Duration;

use maud::{Markup, html};

use model::{JobSummary, StateName, Timestamp};
use store::{BulkAction, BulkPlan};

use super::asked::{SelectedAction, list_of};
use super::row::account_of;
use crate::admin::AccountNames;
use crate::admin::access::Visitor;
use crate::admin::bulk_json::DeliveryRates;
use crate::admin::pages::parts::mark::words;
use crate::admin::pages::parts::{amount, moment};
use crate::admin::pages::{Icon, icon};

/// The most accounts that are named.
const MAX_ACCOUNTS: usize = 6;

/// What the panel shows.
pub(super) struct DryRunView {
    action: SelectedAction,
    jobs: u64,
    /// The jobs that match, if the page shows all of them.
    of: Option<u64>,
    left_out: String,
    by_account: String,
    received: Option<(Timestamp, Timestamp)>,
    takes: Option<(Duration, String)>,
    gone: usize,
    /// The token, and when it expires.
    token: Option<(String, Timestamp)>,
}

/// Puts the panel together. `listed` are all jobs that match, if they fit on a page, and otherwise some of them.
pub(super) fn view(
    action: SelectedAction,
    plan: &BulkPlan,
    token: Option<(String, Timestamp)>,
    (listed, is_complete): (&[JobSummary], bool),
    (rates, names): (DeliveryRates, &AccountNames),
) -> DryRunView {
    let excluded: Vec<&JobSummary> = listed.iter().filter(|job| !allows(action, job.state)).collect();
    let takes = (action == SelectedAction::Retry).then(|| plan.delivery_time(rates.per_account, rates.total));
    let per_account = format!("{} requests per second and account", rates.per_account);
    let pace =
        rates.total.map_or(per_account.clone(), |total| format!("{per_account}, {total} for all accounts"));
    DryRunView {
        action,
        jobs: plan.jobs,
        of: is_complete.then(|| u64::try_from(listed.len()).unwrap_or(u64::MAX)),
        left_out: left_out(action, plan.jobs, listed, &excluded, is_complete),
        by_account: by_account(plan, listed, names),
        received: plan
            .oldest
            .zip(plan.newest)
            .map(|(oldest, newest)| (oldest.received_at(), newest.received_at())),
        takes: takes.map(|takes| (takes, pace)),
        gone: if is_complete && action == SelectedAction::Retry {
            listed.iter().filter(|job| job.state == StateName::Gone).count()
        } else {
            0
        },
        token,
    }
}

/// Whether the action can change a job in this state.
const fn allows(action: SelectedAction, state: StateName) -> bool {
    match action {
        SelectedAction::Retry => matches!(state, StateName::Dead | StateName::Gone | StateName::Delivering),
        SelectedAction::Cancel => !state.is_finished(),
    }
}

fn left_out(
    action: SelectedAction,
    planned: u64,
    listed: &[JobSummary],
    excluded: &[&JobSummary],
    is_complete: bool,
) -> String {
    let rule = match action {
        SelectedAction::Retry => "only dead, gone and delivering jobs are retried",
        SelectedAction::Cancel => "only unfinished jobs are cancelled",
    };
    if !is_complete {
        return format!("all others that match: {rule}");
    }
    let all = u64::try_from(listed.len()).unwrap_or(u64::MAX);
    let left = all.saturating_sub(planned);
    if left == 0 {
        return "none".to_owned();
    }
    let mut states: BTreeMap<StateName, usize> = BTreeMap::new();
    for job in excluded {
        *states.entry(job.state).or_default() += 1;
    }
    let mut parts: Vec<String> =
        states.iter().map(|(state, number)| format!("{number} {}", words(*state))).collect();
    let erased = left.saturating_sub(u64::try_from(excluded.len()).unwrap_or_default());
    if erased > 0 {
        parts.push(format!("{erased} changed or without the texts to send"));
    }
    format!("{left}: {}; {rule}", parts.join(", "))
}

/// The jobs of each account, most first. The names come from the listed jobs.
fn by_account(plan: &BulkPlan, listed: &[JobSummary], names: &AccountNames) -> String {
    let names: BTreeMap<i64, String> =
        listed.iter().map(|job| (job.account_id.0, account_of(job, names))).collect();
    let mut accounts: Vec<(i64, u64)> =
        plan.accounts.iter().map(|(account, jobs)| (*account, *jobs)).collect();
    accounts.sort_by_key(|(account, jobs)| (std::cmp::Reverse(*jobs), *account));
    let others = accounts.len().saturating_sub(MAX_ACCOUNTS);
    let named = accounts.iter().take(MAX_ACCOUNTS).map(|(account, jobs)| {
        let name = names.get(account).cloned().unwrap_or_else(|| format!("account {account}:"));
        format!("{name}\u{a0}{}", amount::number(*jobs))
    });
    let mut text = named.collect::<Vec<_>>().join(", ");
    if others > 0 {
        let rest: u64 = accounts.iter().skip(MAX_ACCOUNTS).map(|(_, jobs)| jobs).sum();
        text.push_str(&format!(", {others} others\u{a0}{}", amount::number(rest)));
    }
    text
}

impl DryRunView {
    pub(super) fn render(&self, visitor: &Visitor, q: &str, now: Timestamp) -> Markup {
        let verb = match self.action {
            SelectedAction::Retry => "retry",
            SelectedAction::Cancel => "cancel",
        };
        let jobs = match self.of {
            Some(of) if of == self.jobs && of > 1 => format!("these {}", amount::count(of, "job")),
            Some(of) if of != self.jobs => {
                format!("{} of these {}", amount::number(self.jobs), amount::count(of, "job"))
            }
            _ => amount::count(self.jobs, "job"),
        };
        html! {
            section.panel.dry.warn aria-labelledby="h-dry" {
                header {
                    h2 #h-dry { span.st { (icon(Icon::Info)) "Dry run: " (verb) " " (jobs) } }
                    span.m { "nothing has changed yet" }
                }
                div.in {
                    (self.facts(now))
                    (self.form(visitor, q, verb, now))
                }
            }
        }
    }

    fn facts(&self, now: Timestamp) -> Markup {
        html! {
            dl.facts {
                dt { "Left out" } dd { (self.left_out) }
                @if !self.by_account.is_empty() { dt { "By account" } dd { (self.by_account) } }
                @if let Some((oldest, newest)) = self.received {
                    dt { "Received" }
                    dd {
                        (moment::moment(oldest, now))
                        @if moment::full(oldest) != moment::full(newest) { " to " (moment::moment(newest, now)) }
                        " UTC"
                    }
                }
                @if let Some((takes, pace)) = self.takes.as_ref().filter(|_| self.jobs > 0) {
                    dt { "Takes" } dd { "about " (amount::duration(*takes)) ", at " (pace) }
                }
                @if self.action == SelectedAction::Retry && self.jobs > 0 {
                    dt { "Note" }
                    dd {
                        @if self.gone > 0 {
                            (amount::number(u64::try_from(self.gone).unwrap_or_default())) @if self.gone == 1 { " is" } @else { " are" }
                            " gone: Kommo said that no one is waiting. A retry may end the same way. "
                        }
                        "A job that a newer request of its bot replaced stays as it is."
                    }
                }
                @if self.action == SelectedAction::Cancel && self.jobs > 0 {
                    dt { "Note" } dd { "Their bots are not continued. A handler that runs is not interrupted, but its answer is dropped." }
                }
            }
        }
    }

    fn form(&self, visitor: &Visitor, q: &str, verb: &str, now: Timestamp) -> Markup {
        let back = html! { a.btn href=(list_of(q)) { "Do nothing" } };
        let Some((token, expires_at)) = &self.token else {
            return html! { div.acts { a.btn href=(list_of(q)) { "Back" } span.m { "There is no job to " (verb) "." } } };
        };
        let (sign, label) = match self.action {
            SelectedAction::Retry => (Icon::Retry, "Retry "),
            SelectedAction::Cancel => (Icon::X, "Cancel "),
        };
        html! {
            form.acts method="post" action="/jobs/bulk" {
                (visitor.csrf_field())
                input type="hidden" name="q" value=(q);
                input type="hidden" name="do" value=(self.action.name());
                input type="hidden" name="token" value=(token);
                button.btn.go type="submit" { (icon(sign)) (label) (amount::count(self.jobs, "job")) }
                (back)
                span.m { "Jobs that arrive later are not included. Valid for " (moment::countdown(*expires_at, now)) "." }
            }
        }
    }
}

/// The action that a bulk change of the store is, in a page.
pub(super) const fn verb_of(action: BulkAction) -> (&'static str, &'static str) {
    match action {
        BulkAction::Retry => ("Retrying", "retried"),
        BulkAction::Cancel => ("Cancelling", "cancelled"),
        BulkAction::Erase => ("Erasing the texts of", "erased"),
    }
}

#[cfg(test)]
mod tests;
