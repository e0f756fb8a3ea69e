//! The schemas of the model's structs. Each has the fields of the struct of its name in the model.

use utoipa::ToSchema;

use super::{Moment, Reason, WaitCause};

/// Why an unfinished job waits.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes the struct of the model")]
pub struct WaitsFor {
    /// The reason, for programs.
    cause: Reason,
    /// The reason, for people.
    why: String,
    /// Advice for the operator.
    advice: String,
    /// When the wait began; null if unknown.
    since: Option<Moment>,
    /// When the wait ends; null if unknown.
    until: Option<Moment>,
}

/// Why the deliveries of an account wait.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes the struct of the model")]
pub struct AccountWait {
    /// The cause, for programs.
    cause: WaitCause,
    /// What is wrong, for people.
    why: String,
    /// Advice for the operator.
    advice: String,
    /// When the wait for this cause began.
    since: Moment,
    /// When the bridge tries the next delivery; null if that depends on another event.
    until: Option<Moment>,
}

/// One reason why a job is in its state.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes the struct of the model")]
pub struct Because {
    /// The reason, for programs.
    code: Reason,
    /// The reason, for people.
    text: String,
    /// When it began; null if unknown.
    since: Option<Moment>,
    /// When it ends; null if unknown.
    until: Option<Moment>,
}

/// What happens next to a job.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes the struct of the model")]
pub struct NextStep {
    /// What the bridge does.
    what: String,
    /// When; null if unknown.
    at: Option<Moment>,
}

/// Something that an operator can do.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes the struct of the model")]
pub struct Suggestion {
    /// What to do.
    action: String,
    /// The command that does it; null if there is none.
    command: Option<String>,
}
