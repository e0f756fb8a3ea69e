//! The steps of a bot, carried out one handler after the other until it must wait or ends. Pure: the
//! calls to the bridge are made by whoever drives it.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::placeholders::Known;

/// A bot that says `goto` in a circle must not hold the simulator.
const MAX_HANDLERS: usize = 1000;
const MAX_PROGRAM_BYTES: usize = 64 * 1024;

/// The steps of a bot: the handlers of each step's question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Program(Vec<Vec<Value>>);

/// A bot on its way through its steps.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    program: Program,
    known: Known,
    queue: VecDeque<Value>,
    left: usize,
    /// What it has said to the customer.
    pub(super) said: Vec<String>,
}

/// Where a bot stops.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    /// It posts a `widget_request` and waits for its continue.
    Ask { url: String, data: Value },
    /// It leaves the widget by this exit.
    Exit(String),
    /// It cannot go on, and why.
    Stuck(String),
}

impl Program {
    /// Reads what `onSalesbotDesignerSave` returned.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_PROGRAM_BYTES {
            return Err(format!("the steps take {} bytes; {MAX_PROGRAM_BYTES} is the limit", text.len()));
        }
        let steps: Vec<Value> =
            serde_json::from_str(text).map_err(|error| format!("the steps are no array of JSON: {error}"))?;
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

    /// Goes on after a continue: its handlers come first, then what follows the `widget_request`.
    pub(super) fn resume(&mut self, data: Value, handlers: Option<Vec<Value>>) -> Next {
        self.known.json = data;
        self.insert(handlers.unwrap_or_default());
        self.run()
    }

    /// Goes on until it must wait or ends.
    pub(super) fn run(&mut self) -> Next {
        while let Some(entry) = self.queue.pop_front() {
            let Some(left) = self.left.checked_sub(1) else {
                return Next::Stuck(format!(
                    "it went through {MAX_HANDLERS} handlers: a goto leads in a circle"
                ));
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
            other => Some(Next::Stuck(format!("the simulator does not play the handler `{other}`"))),
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
            (Some("question"), None) => {
                Some(Next::Stuck(format!("goto: there is no step {}", params["step"])))
            }
            (kind, _) => {
                let kind = kind.unwrap_or_default();
                Some(Next::Stuck(format!("goto: the simulator does not play the type `{kind}`")))
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
            other => Err(format!("conditions: the simulator does not play the operation `{other}`")),
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
