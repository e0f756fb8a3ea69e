//! Replaces `{{name}}` in the texts of a bot, as Kommo does.
//!
//! If the bot does not have the variable, or its value is empty, the placeholder stays: the customer
//! then reads the placeholder itself.

use serde_json::{Map, Value};

/// The values of placeholders: the bot's variables by full name (`message_text`, `lead.id`), and the
/// data of its last continue under `json.…`.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) variables: Map<String, Value>,
    pub(super) json: Value,
}

impl Known {
    /// Resolves every string in a value, at any depth.
    pub(super) fn resolve(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.resolve(item)).collect(),
            Value::Object(entries) => {
                entries.iter().map(|(key, entry)| (key.clone(), self.resolve(entry))).collect()
            }
            other => other.clone(),
        }
    }

    /// Resolves the placeholders of a text once: those in the inserted values stay.
    pub(super) fn text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, behind)) = after.split_once("}}") else { break };
            out.push_str(before);
            match self.value(name.trim()) {
                Some(value) => out.push_str(&value),
                None => {
                    out.push_str("{{");
                    out.push_str(name);
                    out.push_str("}}");
                }
            }
            rest = behind;
        }
        out.push_str(rest);
        out
    }

    fn value(&self, name: &str) -> Option<String> {
        let found = match name.strip_prefix("json.") {
            Some(path) => path.split('.').try_fold(&self.json, |value, part| match value {
                Value::Array(items) => items.get(part.parse::<usize>().ok()?),
                other => other.get(part),
            })?,
            None => self.variables.get(name)?,
        };
        let text = match found {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            Value::Array(_) | Value::Object(_) => return None,
            other => other.to_string(),
        };
        (!text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn known_names_are_replaced_and_others_stay() {
        let variables = json!({ "message_text": "{{json.reply}}", "lead.id": 5, "empty": "", "none": null });
        let known = Known {
            variables: variables.as_object().unwrap().clone(),
            json: json!({ "reply": "hi", "a": { "b": [true, "x"] }, "empty": "" }),
        };
        let rows = [
            ("", ""),
            ("plain }} text {{", "plain }} text {{"),
            ("{{lead.id}}", "5"),
            ("a {{ lead.id }} b {{json.reply}}!", "a 5 b hi!"),
            ("{{message_text}}", "{{json.reply}}"),
            ("{{json.a.b.1}}{{json.a.b.0}}", "xtrue"),
            (
                "{{json.a}}{{json.empty}}{{empty}}{{none}}{{lead}}",
                "{{json.a}}{{json.empty}}{{empty}}{{none}}{{lead}}",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(known.text(text), expected);
        }
        let nested = json!({ "lead": { "id": "{{lead.id}}" }, "list": ["{{json.reply}}", 1] });
        assert_eq!(known.resolve(&nested), json!({ "lead": { "id": "5" }, "list": ["hi", 1] }));
    }
}
