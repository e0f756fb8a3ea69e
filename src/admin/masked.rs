//! Hides what customers wrote, as `admin.show_data` says.

use serde_json::Value;

use super::access::Bodies;

/// The fields of a job with texts of customers.
const BODIES: [&str; 4] = ["data", "earlier_data", "completion", "handler_completion"];

/// Returns a job as JSON, with its bodies as the caller may see them.
pub(super) fn job(mut job: Value, bodies: Bodies) -> Value {
    for field in BODIES {
        if let Some(value) = job.get_mut(field) {
            *value = body(value.take(), bodies);
        }
    }
    // A note may quote an answer, and a handler writes what it wants.
    for note in job.get_mut("notes").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(text) = note.get_mut("text") {
            *text = body(text.take(), bodies);
        }
    }
    job
}

/// Returns the text of a note as the caller may see it; `None` if not at all.
pub(super) fn note(text: &str, bodies: Bodies) -> Option<String> {
    match body(text.into(), bodies) {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Returns a body as the caller may see it; null if not at all.
pub(super) fn body(value: Value, bodies: Bodies) -> Value {
    match bodies {
        Bodies::Full => value,
        Bodies::Hidden => Value::Null,
        Bodies::Masked { .. } => masked(value),
    }
}

/// Keeps keys and structure. A number may be a phone number, so it is hidden too.
fn masked(value: Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => "(boolean)".into(),
        Value::Number(_) => "(number)".into(),
        Value::String(text) => format!("(text of {} characters)", text.chars().count()).into(),
        Value::Array(items) => items.into_iter().map(masked).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, masked(value))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_keys_and_lengths_are_left() {
        let job_json = json!({
            "id": "1", "data": { "a": "hällo", "n": [79991234567_i64, true, null] }, "earlier_data": null,
            "completion": { "data": { "reply": "" } }, "handler_completion": null, "last_error": "x",
            "notes": [{ "noted_at": "2026", "text": "the handler answered {\"name\":\"Ann\"}" }],
        });
        let masked = Bodies::Masked { may_reveal: true };
        assert_eq!(
            job(job_json.clone(), masked),
            json!({
                "id": "1", "data": { "a": "(text of 5 characters)", "n": ["(number)", "(boolean)", null] },
                "earlier_data": null, "completion": { "data": { "reply": "(text of 0 characters)" } },
                "handler_completion": null, "last_error": "x",
                "notes": [{ "noted_at": "2026", "text": "(text of 35 characters)" }],
            })
        );
        let hidden = job(job_json.clone(), Bodies::Hidden);
        assert_eq!(
            (&hidden["data"], &hidden["completion"], &hidden["id"]),
            (&Value::Null, &Value::Null, &json!("1"))
        );
        assert_eq!(hidden["notes"], json!([{ "noted_at": "2026", "text": null }]));
        assert_eq!(
            (note("Ann", masked), note("Ann", Bodies::Hidden)),
            (Some("(text of 3 characters)".into()), None)
        );
        assert_eq!(job(job_json.clone(), Bodies::Full), job_json);
    }
}
