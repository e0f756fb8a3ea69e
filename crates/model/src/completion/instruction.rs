//! The instructions of a completion: only `show` and `goto`, because Kommo refuses every other handler code.

use serde::{Deserialize, Serialize};

use crate::limits::{CompletionError, MAX_BUTTONS, MAX_SHOW_UNITS};

/// One entry of `execute_handlers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "handler", content = "params", rename_all = "lowercase")]
pub enum Instruction {
    /// The bot says something to the customer.
    Show(Show),
    /// The bot goes to a step.
    Goto(Step),
}

/// A message of the bot to the customer: at most 80 UTF-16 units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Show {
    /// A text.
    Text {
        /// The text.
        value: String,
    },
    /// A text with buttons to press, at most 25.
    Buttons {
        /// The text.
        value: String,
        /// The texts of the buttons.
        buttons: Vec<String>,
    },
    /// A text with buttons that open URLs, at most 25.
    ButtonsUrl {
        /// The text.
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

    /// Checks the text and the buttons against Kommo's limits. `index` is the position in `execute_handlers`, from 0.
    pub(super) fn check(&self, index: usize) -> Result<(), CompletionError> {
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

/// A button that opens a URL. Kommo documents two forms in two places, so both are supported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Button {
    /// Only a URL, as in the API reference.
    Url(String),
    /// A text and a URL, as in the documentation of bots.
    Link {
        /// The text on the button.
        text: String,
        /// The URL that the button opens.
        url: String,
    },
}

/// The step at which a bot continues. The number refers to the widget's own JSON; a wrong number makes the bot loop
/// forever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Step {
    /// The question of a step.
    Question {
        /// The index of the step in the widget's JSON, from 0.
        step: u32,
    },
    /// The answer of a step.
    Answer {
        /// The index of the step in the widget's JSON, from 0.
        step: u32,
    },
    /// The end of a step.
    Finish {
        /// The index of the step in the widget's JSON, from 0.
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
