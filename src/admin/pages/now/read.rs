//! Reads what the page shows. Each part is read alone and in limited time, so that one that cannot be read hides nothing else.

use std::cmp::Reverse;
use std::time::Duration;

use model::{ALL_ACCOUNTS, StateName};
use store::backup;

use super::facts::{
    Accounts, Backup, Counts, Errors, Facts, Numbers, Part, Reason, Setup, StoreFacts, Trouble, Waiting,
    WaitingJob,
};
use crate::admin::Shared;
use crate::admin::explain::explanation;
use crate::admin::health::troubles;
use crate::admin::live::StoreSettings;
use crate::admin::pages::gather::{blocking, in_time, part};
use crate::admin::store_view::sizes;
use crate::history::{Series, Window};

/// The jobs that the page shows.
const SHOWN_JOBS: u32 = 10;
/// The errors that the page shows.
const SHOWN_ERRORS: u32 = 5;
/// If more deliveries wait, counting those of each account takes too long for a page.
const MAX_COUNTED_DELIVERIES: u64 = 10_000;
/// The name of the task that writes backups, as the health note has it.
const BACKUP_TASK: &str = "`backup`";

const MINUTE: Duration = Duration::from_secs(60);

/// Reads everything.
pub(super) async fn facts(shared: &Shared) -> Facts {
    let counts = part(shared.store.jobs().counts()).await.map(Counts);
    let deliveries = counts.as_ref().map_or(0, |counts| counts.of(&[StateName::Delivering]));
    let (waiting, accounts, errors, store, refuses_because) = tokio::join!(
        waiting(shared),
        accounts(shared, deliveries),
        errors(shared),
        store(shared),
        troubles(shared),
    );
    Facts {
        now: shared.clock.now(),
        phase: shared.health.phase(),
        refuses_because,
        refused: shared.health.refused_requests(),
        counts,
        waiting,
        everybody: shared.health.everybody_waits(),
        accounts,
        errors,
        store,
        numbers: numbers(shared),
        setup: setup(shared),
    }
}

async fn waiting(shared: &Shared) -> Part<Waiting> {
    let oldest = part(shared.store.jobs().oldest_unfinished(SHOWN_JOBS)).await?;
    let mut jobs: Vec<WaitingJob> =
        oldest.jobs.into_iter().map(|job| WaitingJob { job, reason: None }).collect();
    let mut finished = Vec::new();
    let reading = async {
        for one in &mut jobs {
            if explain(shared, one).await == Some(Explained::Finished) {
                finished.push(one.job.job.id);
            }
        }
    };
    // Reasons that are not read by then are missing, and the page says so.
    let _timed_out = in_time(reading).await;
    jobs.retain(|one| !finished.contains(&one.job.job.id));
    Ok(Waiting { jobs, is_exact: oldest.is_exact })
}

/// What became of a job since the list was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Explained {
    Waits,
    Finished,
}

/// Adds what the job waits for. Its state is read again with it, so that both agree. Returns `None` if it cannot be read.
async fn explain(shared: &Shared, one: &mut WaitingJob) -> Option<Explained> {
    let (job, attempts) = shared.store.jobs().get(one.job.job.id).await.ok()??;
    let summary = job.summary();
    if summary.state.is_finished() {
        return Some(Explained::Finished);
    }
    let (explanation, _) = explanation(shared, &job, &attempts).await.ok()?;
    let first = explanation.because.into_iter().next()?;
    one.job.job = summary;
    one.reason = Some(Reason { code: first.code, text: first.text, until: first.until });
    Some(Explained::Waits)
}

async fn accounts(shared: &Shared, deliveries: u64) -> Part<Accounts> {
    if deliveries > MAX_COUNTED_DELIVERIES {
        return Ok(accounts_in_memory(shared));
    }
    let all = part(shared.live.accounts()).await?.accounts;
    let mut troubles: Vec<Trouble> = all.iter().filter_map(Trouble::of).collect();
    troubles.sort_by_key(|trouble| (Reverse(trouble.waiting), !trouble.needs_authorization));
    let known = all.iter().map(|view| &view.account);
    let names = known.filter_map(|account| account.host.clone().zip(account.name.clone())).collect();
    Ok(Accounts { all: Some(all.len()), names, troubles })
}

/// The accounts whose deliveries wait, as the sender has noted them: without the store, and without counts.
fn accounts_in_memory(shared: &Shared) -> Accounts {
    let waits = shared.health.waits().into_iter().filter(|(origin, _)| &**origin != ALL_ACCOUNTS);
    let mut troubles: Vec<Trouble> = waits.map(|(origin, wait)| Trouble::of_wait(&origin, wait)).collect();
    troubles.sort_by_key(|trouble| !trouble.needs_authorization);
    Accounts { all: None, troubles, ..Accounts::default() }
}

async fn errors(shared: &Shared) -> Part<Errors> {
    let read = shared.top_errors.read(&shared.store, SHOWN_ERRORS, shared.clock.now());
    let (kinds, groups) = part(read).await?;
    Ok(Errors { kinds, top: groups.into_iter().map(|group| (group.last_day.iter().sum(), group)).collect() })
}

async fn store(shared: &Shared) -> Part<StoreFacts> {
    let StoreSettings { url, retention, backup_folder, .. } = shared.live.store();
    let sizes = part(sizes(shared)).await?;
    let backup = match backup_folder {
        None => None,
        Some(folder) => {
            let last = part(blocking(move || backup::newest_in(&folder, &url))).await?;
            let failed = shared.health.failed_tasks().iter().any(|sentence| sentence.contains(BACKUP_TASK));
            Some(Backup { last, failed })
        }
    };
    Ok(StoreFacts { sizes, retention, backup })
}

fn numbers(shared: &Shared) -> Numbers {
    let (history, now) = (&shared.history, shared.clock.now());
    Numbers {
        minutes: history.merged(Window::Hour, MINUTE, now),
        fives: history.merged(Window::Hour, 5 * MINUTE, now),
        five_minutes: history.whole(Window::FiveMinutes, now),
        hour: history.whole(Window::Hour, now),
        day: history.whole(Window::Day, now),
        ever: history.whole(Window::TwoWeeks, now).value(Series::Requests).unwrap_or(0),
    }
}

fn setup(shared: &Shared) -> Setup {
    let handlers = shared.live.handlers();
    Setup {
        public_url: shared.live.public_url().map(str::to_owned),
        answer_within: Setup::answer_within(&handlers),
        unreachable: handlers
            .iter()
            .filter_map(|handler| {
                let until = shared.live.load(&handler.name)?.unreachable_until?;
                Some((handler.name.clone(), until))
            })
            .collect(),
        handlers: handlers.into_iter().map(|handler| handler.name).collect(),
        give_up_after: shared.live.give_up_after(),
        misdirected: shared.health.misdirected_calls(),
    }
}
