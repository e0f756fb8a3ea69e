//! The instructions of a completion: only `show` and `goto`, because Kommo refuses every other handler code.

use serde::{Deserialize, Serialize};

use crate::limits::{CompletionError, MAX_BUTTONS, MAX_SHOW_UNITS};

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

    /// Holds the text and the buttons against Kommo's limits. `index` says which handler it is, from 0.
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

/// Where a bot goes on: a step of the widget's own JSON. A wrong number makes the bot loop forever.
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
