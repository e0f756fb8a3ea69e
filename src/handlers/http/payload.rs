//! The request of the preset `bridge`, and what all presets derive from a job.
//!
//! A request never contains the widget's token, a token of the account, or the `return_url`: with them, anyone who reads the
//! request could answer the bot in place of the bridge.

use std::borrow::Cow;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use model::{EntityKind, HandlerName, JobId, Timestamp, WidgetRequest};

/// One attempt, as far as the handler may know about it.
pub(super) struct Attempt<'a> {
    pub(super) handler: &'a HandlerName,
    pub(super) request: &'a WidgetRequest,
    /// Whether the handler answers several messages together: then the request has all of them.
    pub(super) is_coalescing: bool,
    pub(super) job: JobId,
    pub(super) number: u32,
    pub(super) max_attempts: u32,
    /// When the attempt begins, by the calendar.
    pub(super) now: Timestamp,
    /// When the attempt ends.
    pub(super) deadline: Timestamp,
    /// When the bot gets the fallback, and a callback comes too late.
    pub(super) answer_by: Timestamp,
    /// The URL for an answer that comes later; `None` if there is none.
    pub(super) callback: Option<&'a SecretString>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    job_id: JobId,
    handler: &'a HandlerName,
    attempt: u32,
    max_attempts: u32,
    deadline: Timestamp,
    account: Account<'a>,
    bot: Bot,
    entity: Option<Entity>,
    conversation: Option<String>,
    input: &'a Value,
    /// All messages that the answer is for, oldest first; only with `coalesce`.
    #[serde(skip_serializing_if = "Option::is_none")]
    inputs: Option<Vec<&'a Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<Callback<'a>>,
}

#[derive(Serialize)]
struct Account<'a> {
    id: i64,
    host: &'a str,
}

#[derive(Serialize)]
struct Bot {
    r#type: &'static str,
    id: i64,
}

#[derive(Serialize)]
struct Entity {
    r#type: Cow<'static, str>,
    id: i64,
}

#[derive(Serialize)]
struct Callback<'a> {
    url: &'a str,
    expires_at: Timestamp,
}

/// The body of the preset `bridge`.
///
/// # Errors
/// Does not happen: every part is JSON. The result only avoids a panic.
pub(super) fn body(attempt: &Attempt<'_>) -> Result<String, serde_json::Error> {
    written("widget_request", attempt)
}

/// Like [`body`], for a test: the handler should not treat it as a customer's question.
///
/// # Errors
/// As [`body`].
pub(super) fn ping(attempt: &Attempt<'_>) -> Result<String, serde_json::Error> {
    written("ping", attempt)
}

fn written(kind: &'static str, attempt: &Attempt<'_>) -> Result<String, serde_json::Error> {
    let WidgetRequest { account_id, entity, return_url, data: input, earlier } = attempt.request;
    let inputs = attempt.is_coalescing.then(|| earlier.iter().chain([input]).collect());
    let origin = return_url.origin();
    let entity = entity.map(|entity| Entity { r#type: name_of(entity.kind), id: entity.id });
    let callback =
        attempt.callback.map(|url| Callback { url: url.expose_secret(), expires_at: attempt.answer_by });
    serde_json::to_string(&Body {
        r#type: kind,
        timestamp: attempt.now,
        data: Data {
            job_id: attempt.job,
            handler: attempt.handler,
            attempt: attempt.number,
            max_attempts: attempt.max_attempts,
            deadline: attempt.deadline,
            account: Account {
                id: account_id.0,
                host: origin.split_once("://").map_or(origin, |(_, host)| host),
            },
            bot: Bot { r#type: return_url.bot_type().as_str(), id: return_url.bot_id() },
            entity,
            conversation: conversation(attempt.request),
            input,
            inputs,
            callback,
        },
    })
}

/// `31764961:lead:345`: all requests about one entity of one account have the same. `None` if the request names no entity.
pub(super) fn conversation(request: &WidgetRequest) -> Option<String> {
    let entity = request.entity?;
    Some(format!("{}:{}:{}", request.account_id, name_of(entity.kind), entity.id))
}

fn name_of(kind: EntityKind) -> Cow<'static, str> {
    match kind {
        EntityKind::Contact => "contact".into(),
        EntityKind::Lead => "lead".into(),
        EntityKind::Customer => "customer".into(),
        EntityKind::Other(code) => code.to_string().into(),
    }
}

/// The header `traceparent` of W3C Trace Context. The trace is the job, so all its attempts belong to one trace, and its id
/// is the job's id without hyphens. Each attempt is a span of its own.
pub(super) fn traceparent(job: JobId, attempt: u32) -> String {
    let digest = Sha256::new()
        .chain_update(b"traceparent-v1")
        .chain_update(job.as_uuid().as_bytes())
        .chain_update(attempt.to_be_bytes())
        .finalize();
    let span: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("00-{}-{span}-01", job.as_uuid().simple())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use model::{AccountId, Entity as ModelEntity};

    fn request(entity: Option<(EntityKind, i64)>) -> WidgetRequest {
        WidgetRequest {
            account_id: AccountId(31_764_961),
            entity: entity.map(|(kind, id)| ModelEntity { kind, id }),
            return_url: "https://example.kommo.com/api/v4/salesbot/12/continue/99".parse().unwrap(),
            data: json!({ "message": "Hi" }),
            earlier: Vec::new(),
        }
    }

    fn body_of(request: &WidgetRequest, callback: Option<&SecretString>) -> String {
        let moment = |seconds: i64| Timestamp::from_millis(1_796_000_000_000 + seconds * 1_000);
        body(&Attempt {
            handler: &"assistant".parse().unwrap(),
            request,
            is_coalescing: !request.earlier.is_empty(),
            job: JobId::new(moment(0), 1),
            number: 2,
            max_attempts: 10,
            now: moment(1),
            deadline: moment(21),
            answer_by: moment(50),
            callback,
        })
        .unwrap()
    }

    #[test]
    fn a_request_has_the_documented_form() {
        let callback = SecretString::from("https://bots.example.com/callback/j/t");
        let body = body_of(&request(Some((EntityKind::Lead, 345))), Some(&callback));
        let job = JobId::new(Timestamp::from_millis(1_796_000_000_000), 1).to_string();
        let expected = json!({
            "type": "widget_request",
            "timestamp": "2026-11-30T00:53:21.000Z",
            "data": {
                "job_id": job,
                "handler": "assistant",
                "attempt": 2,
                "max_attempts": 10,
                "deadline": "2026-11-30T00:53:41.000Z",
                "account": { "id": 31_764_961, "host": "example.kommo.com" },
                "bot": { "type": "salesbot", "id": 12 },
                "entity": { "type": "lead", "id": 345 },
                "conversation": "31764961:lead:345",
                "input": { "message": "Hi" },
                "callback": {
                    "url": "https://bots.example.com/callback/j/t",
                    "expires_at": "2026-11-30T00:54:10.000Z",
                },
            },
        });
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
    }

    #[test]
    fn a_request_without_callback_or_entity_says_so() {
        let body: Value = serde_json::from_str(&body_of(&request(None), None)).unwrap();
        let data = body["data"].as_object().unwrap();
        assert!(!data.contains_key("callback"));
        assert_eq!((&data["entity"], &data["conversation"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn joined_messages_are_in_the_order_of_receipt() {
        let earlier = vec![json!({ "message": "first" }), json!({ "message": "second" })];
        let body = body_of(&WidgetRequest { earlier, ..request(None) }, None);
        let body: Value = serde_json::from_str(&body).unwrap();
        let data = &body["data"];
        assert_eq!(data["input"], json!({ "message": "Hi" }));
        assert_eq!(
            data["inputs"],
            json!([{ "message": "first" }, { "message": "second" }, { "message": "Hi" }])
        );
    }

    #[test]
    fn a_request_does_not_contain_the_return_url() {
        let body = body_of(&request(None), None);
        assert!(!body.contains("continue") && !body.contains("return_url"), "{body}");
    }

    #[test]
    fn conversations_are_named_by_account_and_entity() {
        for (entity, expected) in [
            (None, None),
            (Some((EntityKind::Lead, 1)), Some("31764961:lead:1")),
            (Some((EntityKind::Contact, 1)), Some("31764961:contact:1")),
            (Some((EntityKind::Customer, 2)), Some("31764961:customer:2")),
            (Some((EntityKind::Other(77), 2)), Some("31764961:77:2")),
        ] {
            assert_eq!(conversation(&request(entity)).as_deref(), expected);
        }
    }

    #[test]
    fn attempts_are_spans_of_one_trace() {
        let job = JobId::new(Timestamp::from_millis(1_796_000_000_000), 7);
        let [first, second] = [traceparent(job, 1), traceparent(job, 2)];
        assert_eq!(first, traceparent(job, 1));
        let parts: Vec<&str> = first.split('-').collect();
        let [version, trace, span, flags] = parts.as_slice() else { panic!("{first}") };
        assert_eq!((*version, *flags, trace.len(), span.len()), ("00", "01", 32, 16));
        assert_eq!(*trace, job.to_string().replace('-', ""));
        assert_eq!(second.split('-').nth(1), Some(*trace));
        assert_ne!(second.split('-').nth(2), Some(*span));
    }
}
