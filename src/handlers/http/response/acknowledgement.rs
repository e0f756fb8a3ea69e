//! Responses with which a tool only says that it has begun, although it could answer.

use serde_json::Value;

use super::content::Content;

/// A tool that acknowledges a request at once unless it is configured to wait for its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Acknowledged {
    N8n,
    Make,
    Zapier,
}

impl Acknowledged {
    /// The tool that sends this content as its acknowledgement; `None` if it is an answer.
    pub(super) fn by(content: &Content) -> Option<Self> {
        match content {
            Content::Text(text) if text == "Accepted" => Some(Self::Make),
            Content::Json(Value::Object(map)) => {
                let text = |key| map.get(key).and_then(Value::as_str);
                let zapier = ["attempt", "id", "request_id"];
                if map.len() == 1 && text("message") == Some("Workflow was started") {
                    return Some(Self::N8n);
                }
                (map.len() == 4
                    && text("status") == Some("success")
                    && zapier.iter().all(|key| text(key).is_some()))
                .then_some(Self::Zapier)
            }
            _ => None,
        }
    }

    /// How the operator makes the tool answer with its response.
    pub(in super::super) const fn advice(self) -> &'static str {
        match self {
            Self::N8n => {
                "in n8n, set Respond of the Webhook node to \"When Last Node Finishes\" or \"Using 'Respond to Webhook' \
                 Node\""
            }
            Self::Make => "in Make, end the scenario with the module \"Webhook response\"",
            Self::Zapier => {
                "Zapier cannot answer with its response: let the Zap call the callback URL of the request"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_exact_acknowledgements_are_recognized() {
        let zapier = json!({ "attempt": "a", "id": "b", "request_id": "c", "status": "success" });
        for (content, expected) in [
            (Content::Json(json!({ "message": "Workflow was started" })), Some(Acknowledged::N8n)),
            (Content::Json(json!({ "message": "Workflow was started", "a": 1 })), None),
            (Content::Json(json!({ "message": "Hi" })), None),
            (Content::Json(json!([{ "message": "Workflow was started" }])), None),
            (Content::Text("Accepted".into()), Some(Acknowledged::Make)),
            (Content::Text("Accepted!".into()), None),
            (Content::Text("accepted".into()), None),
            (Content::Json(json!("Accepted")), None),
            (Content::Json(zapier), Some(Acknowledged::Zapier)),
            (Content::Json(json!({ "id": "b", "status": "success" })), None),
            (Content::Json(json!({ "attempt": "a", "id": "b", "request_id": "c", "status": "error" })), None),
            (Content::Nothing, None),
        ] {
            assert_eq!(Acknowledged::by(&content), expected, "{content:?}");
        }
    }
}
