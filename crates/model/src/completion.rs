//! Completions: the data that a bot reads as `{{json.KEY}}`, and the instructions that it carries out.
//!
//! A handler builds a [`Completion`]. A [`CheckedCompletion`] is within all of Kommo's limits; only this can be stored and
//! sent.

use serde::Serialize;
use serde_json::{Map, Value};

use super::limits::{CompletionError, MAX_DEPTH, MAX_HANDLERS};
use super::strict_json;

mod checked;
mod instruction;

pub use checked::CheckedCompletion;
pub use instruction::{Button, Instruction, Show, Step};

/// The maximum number of empty values to name, because one log line lists them.
const MAX_EMPTY_VALUES: usize = 20;

/// A builder for the answer to a bot.
///
/// The builder reports mistakes when it is [checked](Self::check). The bridge does that as soon as a handler returns it.
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
    /// A completion with empty data and no instructions.
    pub fn new() -> Self {
        Self { data: Value::Object(Map::new()), handlers: Vec::new(), mistake: None }
    }

    /// A completion with the data `{"status": "success"}`, for the widget's conditions.
    pub fn success() -> Self {
        Self::new().data("status", "success")
    }

    /// A completion with the data `{"status": "fail"}`, for the widget's conditions.
    pub fn fail() -> Self {
        Self::new().data("status", "fail")
    }

    /// Sets `key` of the data to `value`; the bot reads it as `{{json.KEY}}`.
    ///
    /// An empty string is allowed, but the bot then shows the placeholder to the customer, and the bridge logs the key. A
    /// value that JSON cannot express is a mistake that the check reports: NaN, an infinity, or a map with keys that are
    /// not strings.
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
                self.mistake.get_or_insert(CompletionError::Value { key, error: error.into() });
            }
        }
        self
    }

    /// Replaces all data with `value`, which must be an object or an array.
    #[must_use]
    pub fn with_data(mut self, value: Value) -> Self {
        self.data = value;
        self
    }

    /// Adds a `show`, which says something to the customer.
    #[must_use]
    pub fn show(mut self, show: Show) -> Self {
        self.handlers.push(Instruction::Show(show));
        self
    }

    /// Adds a `goto`, which sends the bot to a step.
    #[must_use]
    pub fn goto(mut self, step: Step) -> Self {
        self.handlers.push(Instruction::Goto(step));
        self
    }

    /// The keys of the data that have an empty string as their value. Dots join nested keys. At most 20 keys, and none that
    /// is nested more deeply than the limit allows.
    pub fn empty_values(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect_empty(&self.data, "", MAX_DEPTH + 1, &mut found);
        found
    }

    /// Checks the completion against Kommo's limits.
    ///
    /// # Errors
    /// The first mistake or broken limit.
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
        CheckedCompletion::from_parts(self.data, self.handlers)
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
    let Some(left) = levels.checked_sub(1).filter(|_| found.len() < MAX_EMPTY_VALUES) else { return };
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

#[cfg(test)]
mod tests;
