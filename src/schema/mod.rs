//! The schemas of the model's types, for the description of the admin API.
//!
//! The model does not know that it is described. So a field of one of its types names the schema here, like
//! `#[schema(value_type = schema::Moment)]`. The names of states, reasons and the like come from the lists of their types.
//! The tests of `admin` compare these schemas with real responses.

mod completion;
mod reasons;

use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub use completion::{Answer, Completion};
pub use reasons::{AccountWait, Because, NextStep, Suggestion, WaitsFor};

/// The pattern of a handler's name.
const HANDLER_NAME: &str = "^[A-Za-z0-9_-]{1,64}$";

/// Describes a text that is one of `names`.
pub fn one_of(about: &str, names: impl IntoIterator<Item = &'static str>) -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).description(Some(about.trim()));
    text.enum_values(Some(names)).into()
}

/// Declares the schema of a type whose values are names.
macro_rules! names {
    ($(#[doc = $about:literal] $schema:ident = $names:expr;)+) => {$(
        #[doc = $about]
        pub enum $schema {}

        impl PartialSchema for $schema {
            fn schema() -> RefOr<Schema> {
                one_of($about, $names)
            }
        }

        impl ToSchema for $schema {}
    )+};
}

names! {
    /// The state of a job.
    JobState = model::StateName::ALL.map(model::StateName::as_str);
    /// What the bot gets: the handler's answer or the fallback.
    Outcome = model::OutcomeName::ALL.map(model::OutcomeName::as_str);
    /// Why the bot gets the fallback.
    FallbackReason = model::FallbackReason::ALL.map(model::FallbackReason::as_str);
    /// Whether the handler ran, or a continue was sent.
    Stage = model::Stage::ALL.map(model::Stage::as_str);
    /// The result of an attempt.
    AttemptResult = model::AttemptResult::ALL.map(model::AttemptResult::as_str);
    /// The kind of a bot.
    BotType = model::BotType::ALL.map(model::BotType::as_str);
    /// The state of an account's authorization.
    AccountState = model::AccountState::ALL.map(model::AccountState::as_str);
    /// Why the calls to an account wait.
    WaitCause = model::WaitCause::ALL.map(model::WaitCause::as_str);
    /// Why a job is in its state.
    Reason = model::ExplainCode::all().map(model::ExplainCode::as_str);
    /// Where an action came from.
    ActionSource = store::ActionSource::ALL.map(store::ActionSource::as_str);
    /// How far an action is.
    ActionResult = store::ActionResult::ALL.map(store::ActionResult::as_str);
    /// What a bulk change does to each job.
    BulkActionName = store::BulkAction::ALL.map(store::BulkAction::as_str);
    /// The only state whose jobs can be retried together.
    Dead = [model::StateName::Dead.as_str()];
}

/// Declares the schema of a type that is a text of a certain form.
macro_rules! texts {
    ($(#[doc = $about:literal] $schema:ident = $text:expr;)+) => {$(
        #[doc = $about]
        pub enum $schema {}

        impl PartialSchema for $schema {
            fn schema() -> RefOr<Schema> {
                $text.schema_type(Type::String).description(Some($about.trim())).into()
            }
        }

        impl ToSchema for $schema {}
    )+};
}

texts! {
    /// The id of a job, a UUID of version 7. Ids sort by the time of receipt.
    JobId = ObjectBuilder::new()
        .format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .examples(["018bcfe5-687b-7000-8000-000000000001"]);
    /// A moment in UTC, as RFC 3339 defines it, with milliseconds.
    Moment = ObjectBuilder::new()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .examples(["2026-11-30T10:00:00.000Z"]);
    /// The name of a handler: 1 to 64 ASCII letters, digits, `-` or `_`.
    HandlerName = ObjectBuilder::new().pattern(Some(HANDLER_NAME)).examples(["greet"]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_lists_of_their_types() {
        let schema = serde_json::to_value(JobState::schema()).unwrap();
        assert_eq!(schema["enum"], serde_json::json!(model::StateName::ALL));
        assert_eq!(schema["description"], "The state of a job.");
    }

    #[test]
    fn the_pattern_of_a_handler_name_is_that_of_the_model() {
        let pattern = regex_of(HANDLER_NAME);
        for name in ["greet", "a-b_C9", "", "a b", "ä", "a/b", &"x".repeat(64), &"x".repeat(65)] {
            assert_eq!(pattern(name), name.parse::<model::HandlerName>().is_ok(), "{name}");
        }
    }

    /// Returns a check of the pattern.
    fn regex_of(pattern: &str) -> impl Fn(&str) -> bool {
        let schema = serde_json::json!({ "type": "string", "pattern": pattern });
        let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
        compiler.add_resource("pattern.json", schema).unwrap();
        let index = compiler.compile("pattern.json", &mut schemas).unwrap();
        move |text| schemas.validate(&serde_json::json!(text), index).is_ok()
    }
}
