//! `POST /jobs/selected`: changes the jobs that someone selected in a list.

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use url::form_urlencoded;

use crate::admin::Shared;
use crate::admin::call::read;
use crate::admin::jobs::{RetryOne, cancel_one, retry_one};
use crate::problem::ProblemDetails;
use model::JobId;
use store::Actor;

use super::PAGE_JOBS;
use super::asked::{Asked, Done, SelectedAction};

/// The fields of the form.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Selected {
    pub(super) q: String,
    pub(super) action: Option<SelectedAction>,
    pub(super) token: Option<String>,
    ids: Vec<JobId>,
}

impl Selected {
    /// Reads the fields. Ids that are not valid are ignored, and those beyond a page.
    pub(super) fn of(form: &[u8]) -> Self {
        let mut selected = Self::default();
        for (name, value) in form_urlencoded::parse(form) {
            match &*name {
                "q" => value.trim().clone_into(&mut selected.q),
                "do" => selected.action = SelectedAction::of(&value),
                "token" => selected.token = Some(value.into_owned()),
                "id" if selected.ids.len() < PAGE_JOBS as usize => {
                    selected.ids.extend(value.parse::<JobId>().ok())
                }
                _ => {}
            }
        }
        selected
    }
}

/// `POST /jobs/selected`
pub(super) async fn change(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    request: Request,
) -> Result<Response, ProblemDetails> {
    let Selected { q, action, ids, .. } = Selected::of(&read(&shared, request).await?);
    let done = match action {
        Some(action) if !ids.is_empty() => change_all(&shared, &by, action, &ids).await,
        _ => Done::Nothing,
    };
    let address = Asked { q, before: None, done: Some(done) }.address();
    Ok(Redirect::to(&address).into_response())
}

/// Changes one job after the other. Stops once the store fails: it would fail for the others too.
async fn change_all(shared: &Shared, by: &Actor, action: SelectedAction, ids: &[JobId]) -> Done {
    let (mut jobs, mut left) = (0, 0);
    for id in ids {
        let changed = match action {
            SelectedAction::Retry => retry_one(shared, by.clone(), *id, RetryOne::default()).await,
            SelectedAction::Cancel => cancel_one(shared, by.clone(), *id).await,
        };
        match changed.map_err(|problem| problem.status()) {
            Ok(()) => jobs += 1,
            Err(StatusCode::CONFLICT | StatusCode::NOT_FOUND) => left += 1,
            Err(_) => break,
        }
    }
    let all = u64::try_from(ids.len()).unwrap_or(u64::MAX);
    Done::Changed { action, jobs, left, failed: all.saturating_sub(jobs + left) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_names_jobs_and_one_action() {
        let id = "018bcfe5-687b-7000-8000-000000000001";
        let form = format!("csrf=x&q=+state%3Adead+&id={id}&id=x&do=retry");
        let expected = Selected {
            q: "state:dead".into(),
            action: Some(SelectedAction::Retry),
            token: None,
            ids: vec![id.parse().unwrap()],
        };
        assert_eq!(Selected::of(form.as_bytes()), expected);
        assert_eq!(Selected::of(b"do=erase&id="), Selected::default());
        let many = format!("id={id}&").repeat(100);
        assert_eq!(Selected::of(many.as_bytes()).ids.len(), PAGE_JOBS as usize);
    }
}
