//! `{:?}` shows neither a customer's words nor the URL of a continue.

use serde_json::json;

use super::*;

#[test]
fn debug_shows_neither_what_a_customer_wrote_nor_the_url_of_a_continue() {
    let words = "the-customer's-own-words";
    let completion = Completion::success().data("reply", words).check().unwrap();
    let return_url: ReturnUrl =
        "https://example.kommo.com/api/v4/salesbot/12/continue/the-wait-itself".parse().unwrap();
    let now = Timestamp::from_millis(0);
    let request = WidgetRequest {
        account_id: AccountId(7),
        entity: None,
        return_url: return_url.clone(),
        data: json!({ "message": words }),
        earlier: Vec::new(),
    };
    let prepared = PreparedCompletion { completion, outcome: Outcome::Handler };
    let delivering = DeliveringJob {
        id: JobId::new(now, 1),
        fence: Fence(1),
        handler: "greet".parse().unwrap(),
        account_id: AccountId(7),
        entity: None,
        return_url,
        received_at: now,
        waiting_since: now,
        handler_attempts: 1,
        prepared: prepared.clone(),
        attempts: 0,
        delivery: Delivery::default(),
        tried: false,
        superseded_by: None,
        due_at: now,
        last_run: None,
    };
    let new = NewJob {
        id: delivering.id,
        handler: delivering.handler.clone(),
        request: request.clone(),
        idempotency_key: "jti".into(),
        token_expires_at: now,
        received_at: now,
        answer_by: now,
        ordering: JobOrdering::None,
    };
    for shown in [
        format!("{request:?} {request:#?}"),
        format!("{prepared:?}"),
        format!("{new:?}"),
        format!("{delivering:?}"),
        format!("{:?}", State::Delivered { prepared, finished_at: now }),
    ] {
        assert!(!shown.contains(words) && !shown.contains("the-wait-itself"), "{shown}");
    }
}
