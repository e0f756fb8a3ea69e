//! The presets: requests in the form that a tool expects, and the reply in its response.

use serde_json::{Map, Value, json};
use url::Url;

use crate::config::Preset;

mod reply;

pub(super) use reply::{Reply, ToolId, reply};

/// The key of the widget's data with the customer's message.
const MESSAGE: &str = "message";
/// Precedes the id of a bot in the URLs of Typebot.
const TYPEBOTS: &str = "/typebots/";

/// The body of a request with a preset other than `bridge`.
///
/// `session` names the conversation, or only this job if it belongs to none. `known` is the id under which the tool knows the
/// conversation. `earlier` has the data of earlier messages, if the request answers several: the tool gets the texts of all,
/// one per line.
///
/// # Errors
/// The data has no message for the tool. The text says which key is missing, and repeats none of the data.
pub(super) fn body(
    preset: Preset,
    input: &Value,
    earlier: &[Value],
    session: &str,
    known: Option<&str>,
) -> Result<String, String> {
    let text = |field| {
        joined(earlier, input).map_err(|why| format!("{why}, which {} gets as `{field}`", tool(preset)))
    };
    let body = match preset {
        Preset::Bridge | Preset::Data if earlier.is_empty() => input.clone(),
        Preset::Bridge | Preset::Data => with_message(
            input,
            joined(earlier, input).map_err(|why| format!("{why} (handlers.NAME.coalesce)"))?,
        ),
        Preset::N8nChat => json!({ "chatInput": text("chatInput")?, "sessionId": session }),
        Preset::Flowise => {
            json!({ "question": text("question")?, "overrideConfig": { "sessionId": session } })
        }
        // Dify refuses a request without `inputs`, and one with a `conversation_id` that it does not know.
        Preset::Dify => json!({
            "inputs": {},
            "query": text("query")?,
            "user": session,
            "conversation_id": known.unwrap_or_default(),
            "response_mode": "blocking",
        }),
        Preset::Typebot => json!({
            "message": { "type": "text", "text": text("message")? },
            "textBubbleContentFormat": "markdown",
        }),
    };
    Ok(body.to_string())
}

/// The URL of a request: `url`, or for Typebot the URL that continues the chat `known`.
pub(super) fn address(preset: Preset, url: &Url, known: Option<&str>) -> Url {
    let (Preset::Typebot, Some(session)) = (preset, known) else { return url.clone() };
    let Some((api, _)) = url.path().split_once(TYPEBOTS) else { return url.clone() };
    let mut continues = url.clone();
    continues.set_path(&format!("{api}/sessions/{session}/continueChat"));
    continues
}

/// Whether the tool creates ids of conversations, which the next request has to repeat.
pub(super) const fn has_ids(preset: Preset) -> bool {
    matches!(preset, Preset::Dify | Preset::Typebot)
}

/// The customer's messages, one per line.
fn joined(earlier: &[Value], input: &Value) -> Result<String, String> {
    let texts = earlier.iter().chain([input]).map(|input| message(input).map(|(_, text)| text));
    Ok(texts.collect::<Result<Vec<&str>, _>>()?.join("\n"))
}

/// The data with another message.
fn with_message(input: &Value, text: String) -> Value {
    let key = message(input).ok().and_then(|(key, _)| key);
    match (input, key) {
        (Value::Object(fields), Some(key)) => {
            let mut fields = fields.clone();
            fields.insert(key.to_owned(), text.into());
            fields.into()
        }
        _ => text.into(),
    }
}

/// The customer's message, with its key: `message`, or else the only text in the data. Data that is a text has no key.
fn message(input: &Value) -> Result<(Option<&str>, &str), String> {
    if let Value::String(text) = input {
        return Ok((None, text));
    }
    if let Some(text) = input.get(MESSAGE).and_then(Value::as_str) {
        return Ok((Some(MESSAGE), text));
    }
    let fields = input.as_object().into_iter().flat_map(Map::iter);
    let texts: Vec<(&String, &str)> =
        fields.filter_map(|(key, value)| Some((key, value.as_str()?))).collect();
    match texts.as_slice() {
        [(key, text)] => Ok((Some(key), text)),
        several => Err(format!(
            "the widget's data has no text `{MESSAGE}` and {} other texts: set `{MESSAGE}` in the block's data to the \
             customer's message",
            several.len()
        )),
    }
}

const fn tool(preset: Preset) -> &'static str {
    match preset {
        Preset::Bridge | Preset::Data => "the handler",
        Preset::N8nChat => "n8n",
        Preset::Flowise => "Flowise",
        Preset::Dify => "Dify",
        Preset::Typebot => "Typebot",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(preset: Preset, input: &Value, known: Option<&str>) -> Value {
        serde_json::from_str(&body(preset, input, &[], "7:lead:5", known).unwrap()).unwrap()
    }

    #[test]
    fn each_tool_gets_the_message_in_its_own_form() {
        let input = json!({ "message": "Hi", "name": "Ann" });
        for (preset, known, expected) in [
            (Preset::Data, None, input.clone()),
            (Preset::N8nChat, None, json!({ "chatInput": "Hi", "sessionId": "7:lead:5" })),
            (
                Preset::Flowise,
                None,
                json!({ "question": "Hi", "overrideConfig": { "sessionId": "7:lead:5" } }),
            ),
            (
                Preset::Dify,
                None,
                json!({ "inputs": {}, "query": "Hi", "user": "7:lead:5", "conversation_id": "",
                        "response_mode": "blocking" }),
            ),
            (
                Preset::Dify,
                Some("c-1"),
                json!({ "inputs": {}, "query": "Hi", "user": "7:lead:5", "conversation_id": "c-1",
                        "response_mode": "blocking" }),
            ),
            (
                Preset::Typebot,
                Some("s-1"),
                json!({ "message": { "type": "text", "text": "Hi" }, "textBubbleContentFormat": "markdown" }),
            ),
        ] {
            assert_eq!(written(preset, &input, known), expected, "{preset:?}");
        }
    }

    #[test]
    fn joined_messages_are_lines_of_one_text() {
        let earlier = [json!({ "message": "Hi", "name": "Ann" }), json!({ "message": "are you there?" })];
        let input = json!({ "message": "I need a taxi", "name": "Ann B." });
        let lines = "Hi\nare you there?\nI need a taxi";
        for (preset, expected) in [
            (Preset::Data, json!({ "message": lines, "name": "Ann B." })),
            (Preset::N8nChat, json!({ "chatInput": lines, "sessionId": "s" })),
        ] {
            let written = body(preset, &input, &earlier, "s", None).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), expected, "{preset:?}");
        }
        let why = body(Preset::Data, &input, &[json!({ "a": 1 })], "s", None).unwrap_err();
        assert!(why.contains("`message`") && why.contains("coalesce"), "{why}");
    }

    #[test]
    fn the_message_is_the_key_message_or_the_only_text() {
        for (input, expected) in [
            (json!({ "message": "a", "other": "b" }), Some("a")),
            (json!({ "text": "b", "number": 5 }), Some("b")),
            (json!({ "message": 5, "text": "b" }), Some("b")),
            (json!("c"), Some("c")),
            (json!({ "a": "x", "b": "y" }), None),
            (json!({ "a": { "message": "x" } }), None),
            (json!({}), None),
            (json!(["x"]), None),
            (json!(null), None),
        ] {
            assert_eq!(message(&input).ok().map(|(_, text)| text), expected, "{input}");
        }
    }

    #[test]
    fn a_missing_message_is_named_without_the_data() {
        let why = body(Preset::Dify, &json!({ "a": "hidden", "b": "hidden" }), &[], "s", None).unwrap_err();
        assert!(
            why.contains("`message`") && why.contains("2 other texts") && why.contains("`query`"),
            "{why}"
        );
        assert!(!why.contains("hidden"), "{why}");
    }

    #[test]
    fn only_typebot_continues_at_another_url() {
        let url: Url = "https://bot.example/api/v1/typebots/my-bot/startChat".parse().unwrap();
        for (preset, known, expected) in [
            (Preset::Typebot, None, url.as_str()),
            (Preset::Typebot, Some("s-1"), "https://bot.example/api/v1/sessions/s-1/continueChat"),
            (Preset::Dify, Some("s-1"), url.as_str()),
        ] {
            assert_eq!(address(preset, &url, known).as_str(), expected, "{preset:?}");
        }
    }
}
