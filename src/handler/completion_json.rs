//! The JSON in which a handler that is not written in Rust gives its completion: in a response, or in a callback.

use serde_json::{Map, Value};

use model::{CheckedCompletion, Completion, Instruction};

/// The keys of an object that is a completion, as in a continue.
const DATA: &str = "data";
const INSTRUCTIONS: &str = "execute_handlers";

/// Whether `value` is an object that has the form of a completion.
pub(crate) fn is_completion(value: &Value) -> bool {
    let value = element(value);
    value.get(DATA).is_some() || value.get(INSTRUCTIONS).is_some()
}

/// The only element of a list, which tools like n8n return in place of an object.
fn element(value: &Value) -> &Value {
    match value {
        Value::Array(items) => match items.as_slice() {
            [item @ Value::Object(_)] => item,
            _ => value,
        },
        _ => value,
    }
}

/// Reads the JSON of an answer:
///
/// - an object with `data` or `execute_handlers` is a completion;
/// - any other object is the data of one;
/// - a list of exactly one object counts as this object;
/// - a string is the reply.
///
/// # Errors
/// The JSON is something else, or Kommo would refuse the completion. The text names the limit, and repeats no values.
pub(crate) fn completion(value: &Value) -> Result<Completion, String> {
    let completion = match element(value) {
        Value::Object(map) if is_completion(value) => from_parts(map)?,
        object @ Value::Object(_) => Completion::new().with_data(object.clone()),
        Value::String(text) => reply(text),
        Value::Array(items) => {
            return Err(format!(
                "the answer is a list, but not of exactly one object (entries: {}): return one object",
                items.len()
            ));
        }
        Value::Null => return Err("the answer is `null`: return an object".to_owned()),
        Value::Bool(_) | Value::Number(_) => {
            return Err("the answer is a number or a truth value: return an object or a text".to_owned());
        }
    };
    valid(completion)
}

/// Like [`completion`], and checks the completion against Kommo's limits.
///
/// # Errors
/// As [`completion`].
pub(crate) fn checked(value: &Value) -> Result<CheckedCompletion, String> {
    completion(value)?.check().map_err(|error| error.to_string())
}

/// The completion of a text: `{"reply": text}`.
pub(crate) fn reply(text: &str) -> Completion {
    Completion::new().data("reply", text)
}

/// Checks the completion here too, where the answer is still known.
pub(crate) fn valid(completion: Completion) -> Result<Completion, String> {
    match completion.clone().check() {
        Ok(_) => Ok(completion),
        Err(error) => Err(format!("the answer is not a valid completion: {error}")),
    }
}

fn from_parts(map: &Map<String, Value>) -> Result<Completion, String> {
    if map.keys().any(|key| key != DATA && key != INSTRUCTIONS) {
        return Err(format!(
            "the answer has keys beside `{DATA}` and `{INSTRUCTIONS}`: move them into `{DATA}`"
        ));
    }
    let data = map.get(DATA).cloned().unwrap_or_else(|| Value::Object(Map::new()));
    let completion = Completion::new().with_data(data);
    let Some(instructions) = map.get(INSTRUCTIONS) else { return Ok(completion) };
    let Value::Array(instructions) = instructions else {
        return Err(format!("`{INSTRUCTIONS}` of the answer is not a list"));
    };
    if instructions.is_empty() {
        return Err(format!("`{INSTRUCTIONS}` of the answer is empty: omit the key"));
    }
    instructions.iter().enumerate().try_fold(completion, |completion, (index, value)| {
        match serde_json::from_value(value.clone()) {
            Ok(Instruction::Show(show)) => Ok(completion.show(show)),
            Ok(Instruction::Goto(step)) => Ok(completion.goto(step)),
            Err(_) => Err(format!(
                "`{INSTRUCTIONS}[{index}]` of the answer is neither a `show` nor a `goto` with the keys that Kommo \
                 documents"
            )),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn json_of(value: &Value) -> Value {
        let checked = completion(value).unwrap().check().unwrap();
        serde_json::from_str(checked.as_json()).unwrap()
    }

    #[test]
    fn json_is_read_as_documented() {
        let goto = json!([{ "handler": "goto", "params": { "type": "question", "step": 1 } }]);
        for (response, expected) in [
            (json!({ "data": { "a": 1 } }), json!({ "data": { "a": 1 } })),
            (json!({ "data": [1] }), json!({ "data": [1] })),
            (json!({ "execute_handlers": goto }), json!({ "data": {}, "execute_handlers": goto })),
            (
                json!([{ "data": { "a": 1 }, "execute_handlers": goto }]),
                json!({ "data": { "a": 1 }, "execute_handlers": goto }),
            ),
            (json!({ "a": 1, "b": { "data": 2 } }), json!({ "data": { "a": 1, "b": { "data": 2 } } })),
            (json!({}), json!({ "data": {} })),
            (json!([{ "a": 1 }]), json!({ "data": { "a": 1 } })),
            (json!("Hi"), json!({ "data": { "reply": "Hi" } })),
        ] {
            assert_eq!(json_of(&response), expected, "{response}");
        }
    }

    #[test]
    fn other_json_is_refused_without_its_values() {
        let show = |text: &str| json!({ "handler": "show", "params": { "type": "text", "value": text } });
        for (response, part) in [
            (json!([]), "entries: 0"),
            (json!(["hidden"]), "entries: 1"),
            (json!([{}, {}]), "entries: 2"),
            (json!(null), "`null`"),
            (json!(5), "a number"),
            (json!(true), "a truth value"),
            (json!({ "data": {}, "hidden": 1 }), "keys beside `data`"),
            (json!({ "data": "hidden" }), "data is a string"),
            (json!({ "data": null }), "data is null"),
            (json!({ "execute_handlers": [] }), "is empty: omit the key"),
            (json!({ "execute_handlers": "hidden" }), "is not a list"),
            (json!({ "execute_handlers": [show("x"), { "handler": "hidden" }] }), "`execute_handlers[1]`"),
            (json!({ "execute_handlers": [show(&"hidden".repeat(14))] }), "Kommo accepts at most 80"),
            (json!({ "execute_handlers": vec![show("x"); 11] }), "Kommo accepts at most 10"),
        ] {
            let why = completion(&response).unwrap_err();
            assert!(why.contains(part) && !why.contains("hidden"), "{response}: {why}");
        }
    }
}
