//! What a bot gets: data that it reads as `{{json.KEY}}`, and instructions that it carries out.
//!
//! A [`Completion`] is what an author builds; a [`CheckedCompletion`] is one that keeps every limit of
//! Kommo, and only that can be stored and sent. Nothing but `show` and `goto` can be built, because
//! Kommo refuses every other handler code.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::limits::{CompletionError, MAX_BUTTONS, MAX_BYTES, MAX_DEPTH, MAX_HANDLERS, MAX_SHOW_UNITS};
use super::strict_json;

/// The most empty values that are named: they all stand in one line of the log.
const MOST_EMPTY: usize = 20;

/// The answer to a bot, under construction. Mistakes are reported when it is checked, which the bridge
/// does as soon as a handler returns it.
///
/// ```
/// use salesbot_bridge_model::{Completion, Step};
/// let completion = Completion::success().data("reply", "Hi Ann").goto(Step::question(1));
/// assert!(completion.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    data: Value,
    handlers: Vec<Instruction>,
    mistake: Option<CompletionError>,
}

impl Completion {
    /// Empty data, no instructions.
    pub fn new() -> Self {
        Self { data: Value::Object(Map::new()), handlers: Vec::new(), mistake: None }
    }

    /// Data `{"status": "success"}`, which the widget's conditions look at.
    pub fn success() -> Self {
        Self::new().data("status", "success")
    }

    /// Data `{"status": "fail"}`, which the widget's conditions look at.
    pub fn fail() -> Self {
        Self::new().data("status", "fail")
    }

    /// Puts `value` under `key` of the data; the bot reads it as `{{json.KEY}}`.
    ///
    /// An empty string is legal, but the bot then shows the customer the placeholder itself; the
    /// bridge logs the key. A value that JSON has no form for is a mistake that the check reports: NaN, an infinity, a map
    /// whose keys are no strings.
    #[must_use]
    pub fn data(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        let key = key.into();
        match (strict_json::to_value(&value), &mut self.data) {
            (Ok(value), Value::Object(map)) => {
                map.insert(key, value);
            }
            (Ok(_), other) => {
                let found = kind(other);
                self.mistake.get_or_insert(CompletionError::Data { found });
            }
            (Err(error), _) => {
                self.mistake.get_or_insert(CompletionError::Value { key, why: error.to_string() });
            }
        }
        self
    }

    /// Replaces the whole data with `value`, which must be an object or an array.
    #[must_use]
    pub fn with_data(mut self, value: Value) -> Self {
        self.data = value;
        self
    }

    /// Adds a `show`.
    #[must_use]
    pub fn show(mut self, show: Show) -> Self {
        self.handlers.push(Instruction::Show(show));
        self
    }

    /// Adds a `goto`.
    #[must_use]
    pub fn goto(mut self, step: Step) -> Self {
        self.handlers.push(Instruction::Goto(step));
        self
    }

    /// The keys of the data, nested ones with dots, whose value is an empty string: the first twenty, and none that is
    /// nested deeper than a completion may be.
    pub fn empty_values(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect_empty(&self.data, "", MAX_DEPTH + 1, &mut found);
        found
    }

    /// Holds the completion against Kommo's limits.
    ///
    /// # Errors
    /// The first limit that is broken.
    pub fn check(self) -> Result<CheckedCompletion, CompletionError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        if !matches!(self.data, Value::Object(_) | Value::Array(_)) {
            return Err(CompletionError::Data { found: kind(&self.data) });
        }
        if deeper_than(&self.data, MAX_DEPTH) {
            return Err(CompletionError::TooDeep);
        }
        if self.handlers.len() > MAX_HANDLERS {
            return Err(CompletionError::TooManyHandlers { found: self.handlers.len() });
        }
        for (index, handler) in self.handlers.iter().enumerate() {
            if let Instruction::Show(show) = handler {
                show.check(index)?;
            }
        }
        let body = Body {
            data: Some(self.data),
            execute_handlers: Some(self.handlers).filter(|list| !list.is_empty()),
        };
        let checked = CheckedCompletion::from_body(&body)?;
        match checked.json.len() {
            found if found > MAX_BYTES => Err(CompletionError::TooLarge { found }),
            _ => Ok(checked),
        }
    }
}

impl Default for Completion {
    fn default() -> Self {
        Self::new()
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn deeper_than(value: &Value, levels: usize) -> bool {
    let deeper = |inner: &Value| levels == 0 || deeper_than(inner, levels - 1);
    match value {
        Value::Object(map) => map.values().any(deeper),
        Value::Array(list) => list.iter().any(deeper),
        _ => false,
    }
}

fn collect_empty(value: &Value, path: &str, levels: usize, found: &mut Vec<String>) {
    let Some(left) = levels.checked_sub(1).filter(|_| found.len() < MOST_EMPTY) else { return };
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::String(text) if text.is_empty() => found.push(path.to_owned()),
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| collect_empty(value, &below(key), left, found))
        }
        Value::Array(list) => {
            list.iter()
                .enumerate()
                .for_each(|(i, value)| collect_empty(value, &below(&i.to_string()), left, found));
        }
        _ => {}
    }
}

/// One entry of `execute_handlers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "handler", content = "params", rename_all = "lowercase")]
pub enum Instruction {
    /// Says something to the customer.
    Show(Show),
    /// Sends the bot to a step.
    Goto(Step),
}

/// Something that the bot says to the customer: at most 80 UTF-16 units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Show {
    /// A text.
    Text {
        /// What is said.
        value: String,
    },
    /// A text with buttons to press, at most 25.
    Buttons {
        /// What is said.
        value: String,
        /// The buttons' texts.
        buttons: Vec<String>,
    },
    /// A text with buttons that open URLs, at most 25.
    ButtonsUrl {
        /// What is said.
        value: String,
        /// The buttons.
        buttons: Vec<Button>,
    },
}

impl Show {
    /// A text.
    pub fn text(value: impl Into<String>) -> Self {
        Self::Text { value: value.into() }
    }

    /// A text with buttons to press.
    pub fn buttons(value: impl Into<String>, buttons: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Buttons { value: value.into(), buttons: buttons.into_iter().map(Into::into).collect() }
    }

    /// A text with buttons that open URLs.
    pub fn buttons_url(value: impl Into<String>, buttons: impl IntoIterator<Item = Button>) -> Self {
        Self::ButtonsUrl { value: value.into(), buttons: buttons.into_iter().collect() }
    }

    fn check(&self, index: usize) -> Result<(), CompletionError> {
        let (value, buttons) = match self {
            Self::Text { value } => (value, None),
            Self::Buttons { value, buttons } => (value, Some(buttons.len())),
            Self::ButtonsUrl { value, buttons } => (value, Some(buttons.len())),
        };
        let units = value.encode_utf16().count();
        if units > MAX_SHOW_UNITS {
            return Err(CompletionError::ShowTooLong { index, found: units });
        }
        match buttons {
            Some(0) => Err(CompletionError::NoButtons { index }),
            Some(found) if found > MAX_BUTTONS => Err(CompletionError::TooManyButtons { index, found }),
            _ => Ok(()),
        }
    }
}

/// A button that opens a URL. Kommo's two documents disagree about its form, so both can be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Button {
    /// The URL alone, as in the API reference.
    Url(String),
    /// A text and its URL, as in the documentation of bots.
    Link {
        /// What the button says.
        text: String,
        /// What it opens.
        url: String,
    },
}

/// Where a bot goes on: a step of the widget's own JSON. A wrong number loops the bot for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Step {
    /// The question of a step.
    Question {
        /// Counts the steps of the widget's JSON, from 0.
        step: u32,
    },
    /// The answer of a step.
    Answer {
        /// Counts the steps of the widget's JSON, from 0.
        step: u32,
    },
    /// The end of a step.
    Finish {
        /// Counts the steps of the widget's JSON, from 0.
        step: u32,
    },
}

impl Step {
    /// The question of step `step`.
    pub const fn question(step: u32) -> Self {
        Self::Question { step }
    }

    /// The answer of step `step`.
    pub const fn answer(step: u32) -> Self {
        Self::Answer { step }
    }

    /// The end of step `step`.
    pub const fn finish(step: u32) -> Self {
        Self::Finish { step }
    }
}

/// The body of a continue.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    execute_handlers: Option<Vec<Instruction>>,
}

/// A completion that keeps every limit of Kommo: the exact body of a continue. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckedCompletion {
    json: Arc<str>,
    data_alone: bool,
}

impl fmt::Debug for CheckedCompletion {
    /// Only its size: the rest is for the customer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckedCompletion({} bytes)", self.json.len())
    }
}

impl CheckedCompletion {
    /// `{"data":{"status":"fail"}}`: the fallback where none is configured.
    pub fn failed() -> Self {
        Self { json: r#"{"data":{"status":"fail"}}"#.into(), data_alone: true }
    }

    /// Reads the body of a continue, `{"data": …, "execute_handlers": […]}`, and checks it.
    ///
    /// # Errors
    /// It is no completion, or breaks one of Kommo's limits.
    pub fn from_json(json: &str) -> Result<Self, CompletionError> {
        let shape = |error: serde_json::Error| CompletionError::Shape(error.to_string());
        // Through a map, because serde would also read the struct from a list.
        let map: Map<String, Value> = serde_json::from_str(json).map_err(shape)?;
        let body: Body = serde_json::from_value(Value::Object(map)).map_err(shape)?;
        if body.execute_handlers.as_ref().is_some_and(Vec::is_empty) {
            return Err(CompletionError::EmptyHandlers);
        }
        let data = body.data.unwrap_or_else(|| Value::Object(Map::new()));
        Completion { data, handlers: body.execute_handlers.unwrap_or_default(), mistake: None }.check()
    }

    fn from_body(body: &Body) -> Result<Self, CompletionError> {
        let json = serde_json::to_string(body).map_err(|error| CompletionError::Shape(error.to_string()))?;
        Ok(Self { json: json.into(), data_alone: body.execute_handlers.is_none() })
    }

    /// The body of the continue.
    pub fn as_json(&self) -> &str {
        &self.json
    }

    /// Whether there is data and no instruction, which some accounts refuse with `TooFew`.
    pub const fn is_data_alone(&self) -> bool {
        self.data_alone
    }

    /// The same data with a `goto` as the only instruction.
    ///
    /// # Errors
    /// Never for a completion that was checked; the type says so to avoid a panic.
    pub fn with_goto(&self, step: Step) -> Result<Self, CompletionError> {
        let body: Body =
            serde_json::from_str(&self.json).map_err(|error| CompletionError::Shape(error.to_string()))?;
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

#[cfg(test)]
mod tests;
