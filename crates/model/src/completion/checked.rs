//! A completion within all of Kommo's limits: the exact body of a continue.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Completion, Instruction, Step};
use crate::limits::{CompletionError, MAX_BYTES};

/// The body of a continue.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    execute_handlers: Option<Vec<Instruction>>,
}

/// A completion within all of Kommo's limits: the exact body of a continue. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckedCompletion {
    json: Arc<str>,
    data_alone: bool,
}

impl fmt::Debug for CheckedCompletion {
    /// Writes only the size, because the content belongs to the customer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckedCompletion({} bytes)", self.json.len())
    }
}

impl CheckedCompletion {
    /// `{"data":{"status":"fail"}}`: the default fallback.
    pub fn failed() -> Self {
        Self { json: r#"{"data":{"status":"fail"}}"#.into(), data_alone: true }
    }

    /// `{"data":{"status":"superseded"}}`: the completion of a job whose message a later job of its conversation answers.
    pub fn superseded() -> Self {
        Self { json: r#"{"data":{"status":"superseded"}}"#.into(), data_alone: true }
    }

    /// Parses the body of a continue, `{"data": …, "execute_handlers": […]}`, and checks it.
    ///
    /// # Errors
    /// The text is not a completion, or breaks one of Kommo's limits.
    pub fn from_json(json: &str) -> Result<Self, CompletionError> {
        let shape = |error: serde_json::Error| CompletionError::Shape(error.into());
        // Parse to a map first, because serde would also accept a list for the struct.
        let map: Map<String, Value> = serde_json::from_str(json).map_err(shape)?;
        let body: Body = serde_json::from_value(Value::Object(map)).map_err(shape)?;
        if body.execute_handlers.as_ref().is_some_and(Vec::is_empty) {
            return Err(CompletionError::EmptyHandlers);
        }
        let data = body.data.unwrap_or_else(|| Value::Object(Map::new()));
        Completion { data, handlers: body.execute_handlers.unwrap_or_default(), mistake: None }.check()
    }

    /// Builds the body from parts that are already checked, and checks its size.
    pub(super) fn from_parts(data: Value, handlers: Vec<Instruction>) -> Result<Self, CompletionError> {
        let execute_handlers = Some(handlers).filter(|list| !list.is_empty());
        let checked = Self::from_body(&Body { data: Some(data), execute_handlers })?;
        match checked.json.len() {
            found if found > MAX_BYTES => Err(CompletionError::TooLarge { found }),
            _ => Ok(checked),
        }
    }

    fn from_body(body: &Body) -> Result<Self, CompletionError> {
        let json = serde_json::to_string(body).map_err(|error| CompletionError::Shape(error.into()))?;
        Ok(Self { json: json.into(), data_alone: body.execute_handlers.is_none() })
    }

    /// The body of the continue, as JSON.
    pub fn as_json(&self) -> &str {
        &self.json
    }

    /// Whether the completion has data and no instruction. Some accounts refuse that with `TooFew`.
    pub const fn is_data_alone(&self) -> bool {
        self.data_alone
    }

    /// The same data with a `goto` as the only instruction.
    ///
    /// # Errors
    /// Does not happen for a checked completion; the result only avoids a panic.
    pub fn with_goto(&self, step: Step) -> Result<Self, CompletionError> {
        let body: Body =
            serde_json::from_str(&self.json).map_err(|error| CompletionError::Shape(error.into()))?;
        Self::from_body(&Body { data: body.data, execute_handlers: Some(vec![Instruction::Goto(step)]) })
    }
}

impl<'de> Deserialize<'de> for CheckedCompletion {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json(&value.to_string()).map_err(serde::de::Error::custom)
    }
}

impl Serialize for CheckedCompletion {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let body: Body = serde_json::from_str(&self.json).map_err(serde::ser::Error::custom)?;
        body.serialize(serializer)
    }
}
