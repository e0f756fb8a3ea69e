//! The reply in a tool's response.

use serde_json::Value;

use crate::config::Preset;

/// The keys in which an n8n workflow returns what its agent says; the first one with a text counts.
const N8N_REPLIES: [&str; 4] = ["output", "text", "reply", "message"];
/// The maximum length of a tool's id, in bytes.
const MAX_ID_BYTES: usize = 128;

/// What a tool's response contains.
#[derive(Debug, PartialEq)]
pub(in super::super) enum Reply {
    /// What the tool says to the customer.
    Text(String),
    /// The response has no form of its own: it is read like that of the preset `bridge`.
    Unspecific(Value),
}

/// What becomes of the id under which the tool knows the conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum ToolId {
    /// It stays as it is.
    #[default]
    Unchanged,
    /// It is this one from now on.
    New(String),
    /// The conversation is over: the next message begins a new one.
    Over,
}

/// Reads the reply in the JSON of a tool's response.
///
/// # Errors
/// There is none. The text says which key is missing, and repeats nothing of the response.
pub(in super::super) fn reply(preset: Preset, response: Value) -> Result<(Reply, ToolId), String> {
    match preset {
        Preset::Bridge | Preset::Data => Ok((Reply::Unspecific(response), ToolId::Unchanged)),
        Preset::N8nChat => Ok((n8n(response), ToolId::Unchanged)),
        Preset::Flowise => Ok((flowise(response)?, ToolId::Unchanged)),
        Preset::Dify => {
            let id = id_in(&response, "conversation_id");
            Ok((Reply::Text(text_in(&response, "answer", "Dify")?), id))
        }
        Preset::Typebot => Ok((Reply::Text(said_by_typebot(&response)?), typebot_session(&response))),
    }
}

fn n8n(response: Value) -> Reply {
    // A workflow whose last node has several items returns them as a list, even if there is only one.
    let item = match &response {
        Value::Array(items) => match items.as_slice() {
            [item] => item,
            _ => return Reply::Unspecific(response),
        },
        item => item,
    };
    let is_completion = item.get("data").is_some() || item.get("execute_handlers").is_some();
    let said = N8N_REPLIES.iter().find_map(|key| item.get(key)?.as_str());
    match said {
        Some(said) if !is_completion => Reply::Text(said.to_owned()),
        _ => Reply::Unspecific(response),
    }
}

fn flowise(mut response: Value) -> Result<Reply, String> {
    if response.get("text").is_none()
        && let Some(json @ Value::Object(_)) = response.get_mut("json").map(Value::take)
    {
        return Ok(Reply::Unspecific(json));
    }
    text_in(&response, "text", "Flowise").map(Reply::Text)
}

fn text_in(response: &Value, key: &str, tool: &str) -> Result<String, String> {
    response.get(key).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| {
        format!("the response has no text `{key}`, in which {tool} replies: check the url and the preset")
    })
}

/// All texts that the bot says before it waits for the customer.
fn said_by_typebot(response: &Value) -> Result<String, String> {
    let messages = response.get("messages").and_then(Value::as_array).ok_or(
        "the response has no list `messages`, in which Typebot replies: check the url and the preset",
    )?;
    let texts: Vec<String> = messages.iter().filter_map(text_of_bubble).collect();
    if texts.is_empty() {
        return Err(
            "the bot in Typebot said no text before it waited for the customer: add a text bubble".to_owned()
        );
    }
    Ok(texts.join("\n\n"))
}

/// The text of a bubble; `None` for a picture and the like, and for an empty text.
fn text_of_bubble(message: &Value) -> Option<String> {
    let content =
        message.get("content").filter(|_| message.get("type").is_some_and(|kind| kind == "text"))?;
    let text = match content.get("markdown").and_then(Value::as_str) {
        Some(markdown) => markdown.to_owned(),
        None => {
            let paragraphs = content.get("richText")?.as_array()?.iter().map(plain);
            paragraphs.collect::<Vec<_>>().join("\n")
        }
    };
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The text in a node of Typebot's rich text. Its depth is limited, because the JSON parser limits it.
fn plain(node: &Value) -> String {
    if let Some(text) = node.get("text").and_then(Value::as_str) {
        return text.to_owned();
    }
    node.get("children").and_then(Value::as_array).into_iter().flatten().map(plain).collect()
}

/// A flow without an input has ended, and cannot be continued.
fn typebot_session(response: &Value) -> ToolId {
    match response.get("input") {
        Some(Value::Object(_)) => id_in(response, "sessionId"),
        _ => ToolId::Over,
    }
}

/// The id under `key`. It becomes a part of a URL, so only plain characters count.
fn id_in(response: &Value, key: &str) -> ToolId {
    let is_plain = |id: &&str| {
        (1..=MAX_ID_BYTES).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let id = response.get(key).and_then(Value::as_str).filter(is_plain);
    id.map_or(ToolId::Unchanged, |id| ToolId::New(id.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(text: &str) -> Reply {
        Reply::Text(text.to_owned())
    }

    fn id(id: &str) -> ToolId {
        ToolId::New(id.to_owned())
    }

    #[test]
    fn the_reply_is_where_each_tool_writes_it() {
        let rich = json!([{ "type": "p", "children": [{ "text": "Hi " }, { "text": "Ann", "bold": true }] },
                          { "type": "p", "children": [{ "type": "a", "children": [{ "text": "here" }] }] }]);
        let said = |content: Value| json!({ "id": "m", "type": "text", "content": content });
        let waits = json!({ "type": "text input" });
        for (preset, response, reply, id) in [
            (Preset::N8nChat, json!({ "output": "a", "text": "b" }), text("a"), ToolId::Unchanged),
            (Preset::N8nChat, json!([{ "text": "b" }]), text("b"), ToolId::Unchanged),
            (
                Preset::N8nChat,
                json!({ "price": 5 }),
                Reply::Unspecific(json!({ "price": 5 })),
                ToolId::Unchanged,
            ),
            (
                Preset::N8nChat,
                json!({ "data": {}, "message": "x" }),
                Reply::Unspecific(json!({ "data": {}, "message": "x" })),
                ToolId::Unchanged,
            ),
            (Preset::Flowise, json!({ "text": "a", "chatId": "c" }), text("a"), ToolId::Unchanged),
            (
                Preset::Flowise,
                json!({ "json": { "a": 1 } }),
                Reply::Unspecific(json!({ "a": 1 })),
                ToolId::Unchanged,
            ),
            (Preset::Dify, json!({ "answer": "a", "conversation_id": "c-1" }), text("a"), id("c-1")),
            (Preset::Dify, json!({ "answer": "a" }), text("a"), ToolId::Unchanged),
            (
                Preset::Typebot,
                json!({ "sessionId": "s1", "input": waits,
                        "messages": [said(json!({ "type": "markdown", "markdown": "a" })),
                                     json!({ "type": "image", "content": { "url": "u" } }),
                                     said(json!({ "type": "richText", "richText": rich }))] }),
                text("a\n\nHi Ann\nhere"),
                id("s1"),
            ),
            (
                Preset::Typebot,
                json!({ "messages": [said(json!({ "markdown": "bye" }))] }),
                text("bye"),
                ToolId::Over,
            ),
            (
                Preset::Typebot,
                json!({ "messages": [said(json!({ "markdown": "more?" }))], "input": waits }),
                text("more?"),
                ToolId::Unchanged,
            ),
        ] {
            let found = super::reply(preset, response.clone());
            assert_eq!(found, Ok((reply, id)), "{preset:?}: {response}");
        }
    }

    #[test]
    fn a_response_of_another_tool_is_an_error_that_names_the_key() {
        for (preset, response, key) in [
            (Preset::Flowise, json!({ "answer": "hidden" }), "`text`"),
            (Preset::Flowise, json!({ "text": 5 }), "`text`"),
            (Preset::Dify, json!({ "text": "hidden" }), "`answer`"),
            (Preset::Dify, json!(["hidden"]), "`answer`"),
            (Preset::Typebot, json!({ "text": "hidden" }), "`messages`"),
            (Preset::Typebot, json!({ "messages": [{ "type": "image" }] }), "no text"),
        ] {
            let why = super::reply(preset, response.clone()).unwrap_err();
            assert!(why.contains(key) && !why.contains("hidden"), "{response}: {why}");
        }
    }

    #[test]
    fn an_id_that_does_not_fit_into_a_url_is_ignored() {
        for (id, fits) in [
            ("cm-1_A", true),
            ("", false),
            ("..", false),
            ("a/b", false),
            ("a?b", false),
            ("é", false),
            (&"a".repeat(128), true),
            (&"a".repeat(129), false),
        ] {
            let found = id_in(&json!({ "sessionId": id }), "sessionId");
            assert_eq!(found != ToolId::Unchanged, fits, "{id}");
        }
    }
}
