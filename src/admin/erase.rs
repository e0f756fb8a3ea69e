//! `POST /api/v1/jobs/erase`: erases the texts of a lead, a contact, a customer or an account.

use axum::extract::{Request, State};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::ToSchema;

use model::{AccountId, Entity, EntityKind};
use store::{Actor, Erasure};

use super::bulk::begun;
use super::bulk_json::{BulkView, ErasableView};
use super::call::{Answer, BULK_TIMEOUT, STORE_TIMEOUT, object, read, run_to_end, within};
use super::document::tag;
use super::responses::{BodyErrors, StoreErrors};
use super::{Shared, refusal};

const ERASE: &str = r#"Send one of "lead", "contact" and "customer" with its number, "account_id", or both; add "dry_run":true to count the jobs only, and "cancel_unfinished":true to cancel unfinished jobs and erase them too."#;

/// Whose texts to erase: at most one of `lead`, `contact` and `customer`; or an account; or both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EraseRequest, example = json!({ "lead": 31_764_961, "dry_run": true }))]
struct Erase {
    /// The number of a lead.
    #[schema(minimum = 1)]
    lead: Option<i64>,
    /// The number of a contact.
    #[schema(minimum = 1)]
    contact: Option<i64>,
    /// The number of a customer.
    #[schema(minimum = 1)]
    customer: Option<i64>,
    /// The number of an account. With an entity, only jobs that match both.
    #[schema(minimum = 1)]
    account_id: Option<i64>,
    /// Whether to cancel unfinished jobs, and erase them too.
    #[serde(default)]
    cancel_unfinished: bool,
    /// Whether only to count the jobs. Without it, the erasure begins at once.
    #[serde(default)]
    dry_run: bool,
}

impl Erase {
    fn erasure(&self) -> Result<Erasure, &'static str> {
        let given = [
            self.lead.map(|id| Entity { kind: EntityKind::Lead, id }),
            self.contact.map(|id| Entity { kind: EntityKind::Contact, id }),
            self.customer.map(|id| Entity { kind: EntityKind::Customer, id }),
        ];
        let mut entities = given.into_iter().flatten();
        let entity = entities.next();
        if entities.next().is_some() {
            return Err("it names several of lead, contact and customer");
        }
        if entity.map(|entity| entity.id).into_iter().chain(self.account_id).any(|number| number <= 0) {
            return Err("a number is not greater than 0");
        }
        Erasure::new(entity, self.account_id.map(AccountId)).ok_or("it names nothing to erase")
    }
}

/// Erases the texts of a customer
///
/// Of a lead, a contact, a customer or an account. **Without `"dry_run": true`, the erasure begins at once.** It needs no
/// token of a dry run, unlike `POST /api/v1/jobs/bulk`. It runs in the background, like a bulk change, and cannot be undone.
#[utoipa::path(post, path = "/api/v1/jobs/erase", tag = tag::BULK, operation_id = "eraseJobs", request_body = Erase,
    responses(
        (status = 200, description = "The dry run: the jobs that the erasure would find.", body = ErasableView),
        (status = 202, description = "The erasure has begun.", body = BulkView,
            headers(("Location" = String, description = "The path of the bulk change."))),
        BodyErrors, StoreErrors))]
pub(super) async fn erase(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    request: Request,
) -> Answer {
    let body = read(&shared, request).await?;
    let asked: Erase = object(&body, ERASE)?;
    let erasure = asked.erasure().map_err(|why| refusal::of_body(why, ERASE))?;
    let (store, acts) = (shared.store.clone(), by.clone());
    if asked.dry_run {
        let found = within(BULK_TIMEOUT, async { store.operator(acts).erasable(erasure).await }).await?;
        return Ok(Json(ErasableView::new(erasure.to_string(), &found)).into_response());
    }
    let id = run_to_end(STORE_TIMEOUT, async move {
        store.operator(acts).begin_erasure(erasure, asked.cancel_unfinished).await
    })
    .await?;
    tracing::info!(bulk.id = id, "erasure begun by operator");
    begun(&shared, by, id).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_erasure_names_one_entity_an_account_or_both() {
        let parse = |text: &str| {
            let asked: Erase = serde_json::from_str(text).map_err(|error| error.to_string())?;
            asked.erasure().map(|erasure| erasure.to_string()).map_err(str::to_owned)
        };
        for (text, expected) in [
            (r#"{"lead":7}"#, Ok("lead:7")),
            (r#"{"contact":7,"account_id":31}"#, Ok("contact:7 account:31")),
            (r#"{"customer":7,"dry_run":true}"#, Ok("customer:7")),
            (r#"{"account_id":31,"cancel_unfinished":true}"#, Ok("account:31")),
            (r#"{}"#, Err("it names nothing to erase")),
            (r#"{"lead":7,"contact":8}"#, Err("it names several of lead, contact and customer")),
            (r#"{"lead":0}"#, Err("a number is not greater than 0")),
        ] {
            assert_eq!(parse(text), expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
        assert!(parse(r#"{"led":7}"#).is_err());
    }
}
