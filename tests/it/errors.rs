//! The text of each public error contains its cause, and a printer that follows the sources prints the cause once.
//!
//! `tests/architecture/errors.rs` checks the attributes of all errors; here are the texts.

use std::error::Error as StdError;
use std::io;

use ::kommo::{CallFailure, GrantError};
use load::StartError;
use model::{HandlerName, error_chain};
use salesbot_bridge::bridge::{self, LogError};
use salesbot_bridge::kommo::{self, NoBearer, Reason, ReturnUrl};
use salesbot_bridge::{CompletionError, JsonError};
use store::{FileChange, StoreError};
use tracing_subscriber::EnvFilter;
use widget_package::BuildError;

/// The text of the cause in the errors below.
const CAUSE: &str = "disk sda1 failed";

fn system() -> io::Error {
    io::Error::other(CAUSE)
}

fn reason() -> Reason {
    Reason::caused_by("reading the answer", system())
}

fn json() -> serde_json::Error {
    serde_json::from_str::<u8>("x").unwrap_err()
}

fn boxed(error: impl StdError + 'static) -> Box<dyn StdError> {
    Box::new(error)
}

/// Each public error with a cause, and the text of the cause.
fn errors() -> Vec<(Box<dyn StdError>, String)> {
    let cause = || CAUSE.to_owned();
    let name = "a b".parse::<HandlerName>().unwrap_err();
    let filter = EnvFilter::try_new("a=loud").unwrap_err();
    let json_text = json().to_string();
    let stored = || StoreError::Database(CAUSE.into());
    let path = || "/bridge.db".to_owned();
    let needs = |why| NoBearer::NeedsAuthorization { why };
    let not_a_url = "https://[".parse::<ReturnUrl>().unwrap_err();
    vec![
        (boxed(bridge::Error::HandlerName { name: "a b".to_owned(), why: name.clone() }), name.to_string()),
        (boxed(listen()), cause()),
        (boxed(bridge::Error::Signals(system())), cause()),
        (boxed(bridge::Error::Threads(system())), cause()),
        (boxed(bridge::Error::from(stored())), cause()),
        (boxed(bridge::Error::Log(LogError::Start(system()))), cause()),
        (
            boxed(LogError::Filter {
                filter: "a=loud".to_owned(),
                why: EnvFilter::try_new("a=loud").unwrap_err(),
            }),
            filter.to_string(),
        ),
        (boxed(stored()), cause()),
        (boxed(StoreError::Url(CAUSE.into())), cause()),
        (boxed(StoreError::Open { path: path(), why: CAUSE.into() }), cause()),
        (boxed(StoreError::NotAStore { path: path(), why: CAUSE.into() }), cause()),
        (boxed(StoreError::ReadOnly(CAUSE.into())), cause()),
        (boxed(StoreError::Moved { path: path(), what: FileChange::Unknown(CAUSE.into()) }), cause()),
        (
            boxed(StoreError::Corrupt { table: "jobs", column: "id", id: "7".to_owned(), why: CAUSE.into() }),
            cause(),
        ),
        (boxed(StoreError::Damaged(CAUSE.into())), cause()),
        (boxed(reason()), cause()),
        (boxed(kommo::Error::Refused(reason())), cause()),
        (boxed(kommo::Error::NotConnected(needs(reason()))), cause()),
        (boxed(kommo::Error::Unauthorized(NoBearer::NotRenewed { why: reason() })), cause()),
        (boxed(kommo::Error::Transport { reason: reason(), sent: true }), cause()),
        (boxed(CallFailure::NotSent(reason())), cause()),
        (boxed(CallFailure::Lost { reason: reason(), timed_out: false }), cause()),
        (boxed(GrantError::NotAllowed(reason())), cause()),
        (boxed(GrantError::Unavailable(reason())), cause()),
        (boxed(JsonError::from(json())), json_text.clone()),
        (boxed(CompletionError::Shape(json().into())), json_text.clone()),
        (boxed(CompletionError::Value { key: "price".to_owned(), error: json().into() }), json_text.clone()),
        (boxed(not_a_url), "invalid IPv6 address".to_owned()),
        (boxed(StartError::Io(system())), cause()),
        (boxed(BuildError::Json(json())), json_text),
    ]
}

fn listen() -> bridge::Error {
    bridge::Error::Listen { key: "server.listen", address: ([127, 0, 0, 1], 80).into(), why: system() }
}

#[test]
fn each_cause_is_printed_once() {
    for (error, cause) in errors() {
        let text = error.to_string();
        assert_eq!(text.matches(&cause).count(), 1, "{text}");
        assert!(error.source().is_none(), "{text} has the source {:?}", error.source());
        assert_eq!(error_chain(&*error), text);
    }
}

#[test]
fn the_underlying_error_can_be_inspected() {
    let kind = |error: Option<&(dyn StdError + 'static)>| {
        error.and_then(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind)
    };
    assert_eq!(kind(reason().error()), Some(io::ErrorKind::Other));
    assert_eq!(kind(Reason::of(system()).error()), Some(io::ErrorKind::Other));
    let bridge::Error::Listen { why, .. } = listen() else { panic!("not an error of listening") };
    assert_eq!(why.kind(), io::ErrorKind::Other);
}
