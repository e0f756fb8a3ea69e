//! Runs the steps of a bot, handler by handler, until the bot must wait or ends. Pure: this module
//! does not call the bridge itself.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::placeholders::Known;

/// The maximum number of handlers that one bot runs, so that a loop of `goto`s ends.
const MAX_HANDLERS: usize = 1000;
const MAX_PROGRAM_BYTES: usize = 64 * 1024;

/// The steps of a bot: for each step, the handlers of its `question`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Program(Vec<Vec<Value>>);

/// The progress of a bot through its steps.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    program: Program,
    known: Known,
    queue: VecDeque<Value>,
    left: usize,
    /// The messages that the bot has shown to the customer.
    pub(super) said: Vec<String>,
}

/// Why a bot stops.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    /// It must post a `widget_request` and wait for its continue.
    Ask { url: String, data: Value },
    /// It leaves the widget by this exit.
    Exit(String),
    /// It is stuck, for this reason.
    Stuck(String),
}

impl Program {
    /// Parses the steps that `onSalesbotDesignerSave` returned.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_PROGRAM_BYTES {
            return Err(format!("the steps have {} bytes (limit: {MAX_PROGRAM_BYTES})", text.len()));
        }
        let steps: Vec<Value> =
            serde_json::from_str(text).map_err(|error| format!("the steps are not a JSON array: {error}"))?;
        if steps.is_empty() {
            return Err("there are no steps".to_owned());
        }
        let read = |(number, step): (usize, &Value)| match step["question"].as_array() {
            None => Err(format!("step {number} has no `question` with a list of handlers")),
            Some(handlers) if handlers.iter().all(|handler| handler["handler"].is_string()) => {
                Ok(handlers.clone())
            }
            Some(_) => Err(format!("step {number}: each entry of `question` needs a `handler`")),
        };
        steps.iter().enumerate().map(read).collect::<Result<_, _>>().map(Self)
    }
}

impl Flow {
    pub(super) fn new(program: Program, variables: Map<String, Value>) -> Self {
        let queue = program.0.first().cloned().unwrap_or_default().into();
        let known = Known { variables, json: Value::Null };
        Self { program, known, queue, left: MAX_HANDLERS, said: Vec::new() }
    }

    /// Resumes after a continue: runs the continue's handlers, then those after the `widget_request`.
    pub(super) fn resume(&mut self, data: Value, handlers: Option<Vec<Value>>) -> Next {
        self.known.json = data;
        self.insert(handlers.unwrap_or_default());
        self.run()
    }

    /// Runs handlers until the bot must wait or ends.
    pub(super) fn run(&mut self) -> Next {
        while let Some(entry) = self.queue.pop_front() {
            let Some(left) = self.left.checked_sub(1) else {
                return Next::Stuck(format!("it ran {MAX_HANDLERS} handlers: a goto leads back endlessly"));
            };
            self.left = left;
            if let Some(next) = self.handle(&entry) {
                return next;
            }
        }
        Next::Stuck("its steps ended without an exit".to_owned())
    }

    fn handle(&mut self, entry: &Value) -> Option<Next> {
        let params = &entry["params"];
        match entry["handler"].as_str().unwrap_or_default() {
            "widget_request" => Some(match params["url"].as_str() {
                Some(url) => {
                    Next::Ask { url: self.known.text(url), data: self.known.resolve(&params["data"]) }
                }
                None => Next::Stuck("a widget_request has no `url`".to_owned()),
            }),
            "show" => {
                self.said.push(self.known.text(params["value"].as_str().unwrap_or_default()));
                None
            }
            "goto" => self.goto(params),
            "conditions" => match self.holds(params) {
                Ok(true) => {
                    self.insert(params["result"].as_array().cloned().unwrap_or_default());
                    None
                }
                Ok(false) => None,
                Err(reason) => Some(Next::Stuck(reason)),
            },
            "exits" => Some(match params["value"].as_str() {
                Some(exit) => Next::Exit(exit.to_owned()),
                None => Next::Stuck("an exit has no `value`".to_owned()),
            }),
            other => Some(Next::Stuck(format!("the simulator does not support the handler `{other}`"))),
        }
    }

    fn goto(&mut self, params: &Value) -> Option<Next> {
        let step = params["step"].as_u64().and_then(|step| usize::try_from(step).ok());
        match (params["type"].as_str(), step.and_then(|step| self.program.0.get(step))) {
            (Some("finish"), _) => Some(Next::Exit("finish".to_owned())),
            (Some("question"), Some(handlers)) => {
                self.queue = handlers.clone().into();
                None
            }
            (Some("question"), None) => Some(Next::Stuck(format!("goto: unknown step {}", params["step"]))),
            (kind, _) => {
                let kind = kind.unwrap_or_default();
                Some(Next::Stuck(format!("goto: the simulator does not support the type `{kind}`")))
            }
        }
    }

    fn holds(&self, params: &Value) -> Result<bool, String> {
        let conditions = params["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut results = conditions.iter().map(|condition| self.one_holds(condition));
        match params["logic"].as_str() {
            Some("and") => results.try_fold(true, |all, one| Ok(all & one?)),
            Some("or") => results.try_fold(false, |any, one| Ok(any | one?)),
            _ => Err("conditions: `logic` must be `and` or `or`".to_owned()),
        }
    }

    fn one_holds(&self, condition: &Value) -> Result<bool, String> {
        let [one, two] = ["term1", "term2"].map(|term| match self.known.resolve(&condition[term]) {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        });
        let numbers = one.parse::<f64>().ok().zip(two.parse::<f64>().ok());
        let compared = numbers.and_then(|(one, two)| one.partial_cmp(&two));
        match condition["operation"].as_str().unwrap_or_default() {
            "=" => Ok(one == two || compared.is_some_and(std::cmp::Ordering::is_eq)),
            "!=" => Ok(one != two && !compared.is_some_and(std::cmp::Ordering::is_eq)),
            ">" => Ok(compared.is_some_and(std::cmp::Ordering::is_gt)),
            "<" => Ok(compared.is_some_and(std::cmp::Ordering::is_lt)),
            ">=" => Ok(compared.is_some_and(std::cmp::Ordering::is_ge)),
            "<=" => Ok(compared.is_some_and(std::cmp::Ordering::is_le)),
            other => Err(format!("conditions: the simulator does not support the operation `{other}`")),
        }
    }

    fn insert(&mut self, handlers: Vec<Value>) {
        for handler in handlers.into_iter().rev() {
            self.queue.push_front(handler);
        }
    }
}

#[cfg(test)]
mod tests;
