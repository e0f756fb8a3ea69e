//! `/jobs`: the list of jobs with its filter, and changes of those that are selected or that match.

mod answer;
mod asked;
mod bulk;
mod chips;
mod dry_run;
mod progress;
mod render;
mod row;
mod selected;
mod waiting;

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::StatusCode;

use model::filter::Condition;
use model::{Filter, HandlerName, JobSummary, StateName};
use store::{JobFilter, Page as JobPage, StoreError};

use super::gather::{Visit, part};
use crate::admin::Shared;
use crate::admin::access::Bodies;
use crate::admin::filter::{BadFilter, searches_bodies};
use crate::admin::refusal;
use asked::Asked;
pub(super) use asked::list_of;
use chips::unfinished;
use dry_run::DryRunView;
use row::WaitsByOrigin;

/// The maximum number of jobs on a page. It keeps the page below 60 KB.
const PAGE_JOBS: u32 = 30;

/// The routes of these pages.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/jobs", get(list))
        .route("/jobs/selected", get(back).post(selected::change))
        .route("/jobs/bulk", get(back).post(bulk::change))
        .route("/jobs/bulk/{id}", get(bulk::one))
        .route("/jobs/bulk/{id}/stop", post(bulk::stop))
}

/// Leads from the address of a form, which a browser loads again, to the list.
async fn back() -> Response {
    Redirect::to("/jobs").into_response()
}

/// `GET /jobs`
async fn list(State(shared): State<Shared>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::of(query.as_deref().unwrap_or_default());
    let found = find(&shared, &visit, &asked).await;
    if let Listed::Jobs(jobs) = &found
        && let (true, [only]) = (jobs.names_one_job && asked.before.is_none(), &jobs.page.jobs[..])
        && jobs.page.next.is_none()
    {
        return Redirect::to(&format!("/jobs/{}", only.id)).into_response();
    }
    show(&shared, visit, asked, found, Extra::None).await
}

/// What a page shows above its list.
enum Extra {
    None,
    DryRun(Box<DryRunView>),
    /// Why a change was not made.
    Refused {
        status: StatusCode,
        why: String,
    },
}

/// What a filter leads to.
enum Listed {
    Jobs(Box<Jobs>),
    /// The filter is wrong, or this visitor may not use it. A sentence says why.
    Refused(String),
    /// The store cannot be read.
    Unreadable(String),
}

struct Jobs {
    page: JobPage,
    /// How many digits identify each job.
    digits: Vec<usize>,
    waits: WaitsByOrigin,
    /// Whether the filter is the address or the id of something, so that a single match is what someone looks for.
    names_one_job: bool,
}

/// Reads the jobs of a page.
async fn find(shared: &Shared, visit: &Visit, asked: &Asked) -> Listed {
    // While someone chooses the value of a key, the list shows the rest of the filter.
    let text = unfinished(&asked.q).map_or_else(|| asked.q.clone(), |(rest, _)| rest);
    let parsed = shared.account_names.parse(&text, &shared.store, shared.clock.now());
    let filter = match part(async {
        match parsed.await {
            Ok(filter) => Ok(Ok(filter)),
            Err(BadFilter::Text(error)) => Ok(Err(error)),
            Err(BadFilter::Store(error)) => Err(error),
        }
    })
    .await
    {
        Ok(Ok(filter)) => filter,
        Ok(Err(error)) => return Listed::Refused(refusal::sentence(error)),
        Err(why) => return Listed::Unreadable(why),
    };
    if searches_bodies(&filter) && visit.visitor().bodies.revealed() != Bodies::Full {
        return Listed::Refused(refusal::hidden_text().detail().to_owned());
    }
    let names_one_job = names_one_job(&text, &filter);
    let wanted = JobFilter { filter, before: asked.before, limit: PAGE_JOBS };
    match part(read(shared, &wanted)).await {
        Ok((page, digits, waits)) => Listed::Jobs(Box::new(Jobs { page, digits, waits, names_one_job })),
        Err(why) => Listed::Unreadable(why),
    }
}

async fn read(
    shared: &Shared,
    wanted: &JobFilter,
) -> Result<(JobPage, Vec<usize>, WaitsByOrigin), StoreError> {
    let page = shared.store.jobs().list(wanted).await?;
    let ids: Vec<_> = page.jobs.iter().map(|job| job.id).collect();
    let digits = shared.store.jobs().unique_digits(&ids).await?;
    // Most pages contain no delivery that waits.
    let delivers = |job: &JobSummary| job.state == StateName::Delivering;
    let waits =
        if page.jobs.iter().any(delivers) { shared.store.accounts().waits().await? } else { Vec::new() };
    Ok((page, digits, waits.into_iter().collect()))
}

/// Whether a filter is only the address or the id of something.
fn names_one_job(text: &str, filter: &Filter) -> bool {
    let is_one_word = !text.contains(char::is_whitespace);
    let is_pasted = !text.contains(':') || text.contains("://");
    let conditions =
        || filter.clauses().iter().filter(|clause| !clause.negated).flat_map(|clause| &clause.any_of);
    let is_id = conditions().any(|condition| matches!(condition, Condition::Id(_)));
    let is_about =
        |condition: &Condition| matches!(condition, Condition::Entity(_) | Condition::ReturnUrl(_));
    is_one_word && (is_id || (is_pasted && conditions().any(is_about)))
}

/// The page.
async fn show(shared: &Shared, visit: Visit, asked: Asked, found: Listed, extra: Extra) -> Response {
    let now = shared.clock.now();
    let (counts, shell) = tokio::join!(part(shared.store.jobs().counts()), visit.shell(shared));
    let counts: Option<BTreeMap<StateName, u64>> = counts.ok();
    let mut handlers: Vec<HandlerName> = shared.handlers.iter().cloned().collect();
    handlers.sort();
    let view =
        render::View { asked: &asked, counts: counts.as_ref(), handlers: &handlers, shell: &shell, now };
    view.respond(found, extra, shared)
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use model::filter::FilterContext;

    use super::*;

    #[test]
    fn what_people_paste_leads_to_its_job_and_what_they_write_to_a_list() {
        let context = FilterContext { now: Timestamp::default(), account: &|_| None };
        for (text, expected) in [
            ("https://a.kommo.com/leads/detail/7", true),
            ("https://a.kommo.com/contacts/detail/7?x=1", true),
            ("https://a.kommo.com/api/v4/salesbot/1/continue/c1", true),
            ("018bcfe5-687b-7000-8000-000000000001", true),
            ("018bcfe5687b70008000000000000001", true),
            ("018bcfe5-687b", true),
            ("00-018bcfe5687b70008000000000000001-00f067aa0ba902b7-01", true),
            ("id:018b", true),
            ("trace:018bcfe5687b70008000000000000001", true),
            ("-018bcfe5-687b-7000-8000-000000000001", false),
            ("https://a.kommo.com/leads/detail/7 state:dead", false),
            ("https://a.kommo.com", false),
            ("lead:7", false),
            ("account:a.kommo.com", false),
            ("Ann", false),
            ("", false),
        ] {
            let filter = Filter::parse(text, &context).unwrap();
            assert_eq!(names_one_job(text, &filter), expected, "{text}");
        }
    }
}
