//! Assertions on what a bot gets.

use serde_json::{Map, Value, json};

use model::{Completion, Show, Step};
use simulator::Continue;

use super::difference::differences;

/// Assertions on the answer to a bot: on the [`Completion`] of a handler, on the [`Continue`] that a played bot got, or on the
/// [`TestAnswer`](super::TestAnswer) of a bridge.
///
/// Each of them fails if Kommo would refuse the completion, and then says which limit is broken. They can be chained:
///
/// ```
/// use salesbot_bridge::testing::AssertAnswer;
/// use salesbot_bridge::{Completion, Show, Step};
///
/// let completion = Completion::success().data("price", 100).show(Show::text("Sold")).goto(Step::question(1));
/// completion
///     .assert_data("status", "success")
///     .assert_data("price", 100)
///     .assert_show(&Show::text("Sold"))
///     .assert_goto(Step::question(1));
/// ```
pub trait AssertAnswer {
    /// The body of the continue: `data`, and `execute_handlers` if the answer has instructions.
    ///
    /// # Panics
    /// If Kommo would refuse it.
    #[track_caller]
    fn body(&self) -> Value;

    /// What a failed assertion adds to its message; `None` if there is nothing to add.
    fn hint(&self) -> Option<String> {
        None
    }

    /// Asserts that `data` has this value under `key`. For a nested value, `key` has dots, as in `lead.name`; a key of `data`
    /// that has dots itself comes first.
    ///
    /// # Panics
    /// If it does not; the message has all of the data.
    #[track_caller]
    fn assert_data(&self, key: &str, expected: impl Into<Value>) -> &Self {
        let (body, expected) = (self.body(), expected.into());
        let nested = |data| {
            key.split('.').try_fold(data, |value: &Value, part| match value {
                Value::Array(list) => list.get(part.parse::<usize>().ok()?),
                value => value.get(part),
            })
        };
        let found = body["data"].get(key).or_else(|| nested(&body["data"]));
        let wrong = match found {
            Some(found) => differences(&format!("data.{key}"), &expected, found),
            None => vec![format!("data.{key}: expected {expected}, but it is missing")],
        };
        check(self, &wrong, "data", &body["data"]);
        self
    }

    /// Asserts that `data` is `expected`, and nothing beside it.
    ///
    /// # Panics
    /// If it is not; the message names each place that differs.
    #[track_caller]
    fn assert_all_data(&self, expected: impl Into<Value>) -> &Self {
        let data = &self.body()["data"];
        check(self, &differences("data", &expected.into(), data), "data", data);
        self
    }

    /// Asserts that the answer shows this to the customer.
    ///
    /// # Panics
    /// If it does not; the message has all instructions.
    #[track_caller]
    fn assert_show(&self, expected: &Show) -> &Self {
        assert_instruction(self, &json!({ "handler": "show", "params": expected }));
        self
    }

    /// Asserts that the answer sends the bot to this step.
    ///
    /// # Panics
    /// If it does not; the message has all instructions.
    #[track_caller]
    fn assert_goto(&self, expected: Step) -> &Self {
        assert_instruction(self, &json!({ "handler": "goto", "params": expected }));
        self
    }

    /// Asserts that the answer has no instruction: neither a `show` nor a `goto`.
    ///
    /// # Panics
    /// If it has one; the message has all of them.
    #[track_caller]
    fn assert_no_instructions(&self) -> &Self {
        let body = self.body();
        let found = &body["execute_handlers"];
        assert!(
            found.is_null(),
            "the answer has instructions (expected none):{}{}",
            listed(found),
            hint(self)
        );
        self
    }

    /// Asserts the whole body of the continue, `{"data": …, "execute_handlers": […]}`.
    ///
    /// # Panics
    /// If it differs; the message names each place.
    #[track_caller]
    fn assert_body(&self, expected: impl Into<Value>) -> &Self {
        let body = self.body();
        check(self, &differences("body", &expected.into(), &body), "the body", &body);
        self
    }
}

impl AssertAnswer for Completion {
    #[track_caller]
    fn body(&self) -> Value {
        match self.clone().check() {
            Ok(checked) => serde_json::from_str(checked.as_json()).expect("a checked completion is JSON"),
            Err(error) => {
                panic!("Kommo would refuse this completion, and the bot would get the fallback: {error}")
            }
        }
    }
}

impl AssertAnswer for Continue {
    fn body(&self) -> Value {
        let mut body = Map::new();
        if !self.data.is_null() {
            body.insert("data".to_owned(), self.data.clone());
        }
        if let Some(handlers) = &self.execute_handlers {
            body.insert("execute_handlers".to_owned(), handlers.clone().into());
        }
        body.into()
    }
}

#[track_caller]
fn assert_instruction(answer: &(impl AssertAnswer + ?Sized), expected: &Value) {
    let body = answer.body();
    let found = &body["execute_handlers"];
    let has_it = found.as_array().is_some_and(|all| all.contains(expected));
    let (found, hint) = (listed(found), hint(answer));
    assert!(has_it, "the answer lacks an instruction\n  expected: {expected}\n  found: {found}{hint}");
}

/// The instructions, one a line.
fn listed(instructions: &Value) -> String {
    match instructions.as_array() {
        Some(all) => all.iter().map(|one| format!("\n    {one}")).collect(),
        None => "none".to_owned(),
    }
}

#[track_caller]
fn check(answer: &(impl AssertAnswer + ?Sized), wrong: &[String], what: &str, actual: &Value) {
    let (lines, hint) = (wrong.join("\n  "), hint(answer));
    assert!(wrong.is_empty(), "{what} is not as expected\n  {lines}\nall of it: {actual:#}{hint}");
}

fn hint(answer: &(impl AssertAnswer + ?Sized)) -> String {
    answer.hint().map(|hint| format!("\n{hint}")).unwrap_or_default()
}
