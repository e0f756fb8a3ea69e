//! The schemas of completions, and of what a handler may answer.

use serde_json::{Value, json};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// The body of a continue.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes the struct of the model")]
pub struct Completion {
    /// The data for the bot: an object or an array.
    #[schema(value_type = Value, example = json!({ "reply": "Hi" }))]
    data: Value,
    /// What the bot does next: up to 10 instructions. Absent if there are none.
    #[schema(required = false, max_items = 10, value_type = Vec<BTreeMap<String, Value>>)]
    execute_handlers: Vec<Value>,
}

/// What a handler may answer.
pub enum Answer {}

impl PartialSchema for Answer {
    fn schema() -> RefOr<Schema> {
        let object = || ObjectBuilder::new().schema_type(SchemaType::new(Type::Object));
        let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
        let list = ArrayBuilder::new().items(object()).min_items(Some(1)).max_items(Some(1));
        let about = "What a handler may answer, within Kommo's limits: an object with `data` and `execute_handlers`; any other \
                     object, which is the data; a list of one such object; or a text, which is the reply.";
        let answers = OneOfBuilder::new().item(object()).item(list).item(text).description(Some(about));
        answers.examples([json!({ "data": { "reply": "Hi" } })]).into()
    }
}

impl ToSchema for Answer {}
