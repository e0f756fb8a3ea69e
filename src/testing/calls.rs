//! Assertions on what a simulated Kommo received.

use simulator::{ApiCall, Simulator};

/// Assertions on the calls that a simulated Kommo received, continues included. A call is named by method and path, as in
/// `GET /api/v4/leads/5`; without a query it matches any query.
///
/// Each of them also fails if its call cannot match any, or if [`Options::record`](super::Options::record) is off.
pub trait AssertCalls {
    /// Asserts that the call was received. Returns the last one, for assertions on its body.
    ///
    /// # Panics
    /// If it was not; the message lists what was received.
    #[track_caller]
    fn assert_called(&self, call: &str) -> ApiCall;

    /// Asserts that the call was not received.
    ///
    /// # Panics
    /// If it was; the message lists what was received.
    #[track_caller]
    fn assert_not_called(&self, call: &str);
}

impl AssertCalls for Simulator {
    #[track_caller]
    fn assert_called(&self, call: &str) -> ApiCall {
        match calls_to(self, call).pop() {
            Some(received) => received,
            None => panic!("Kommo has not received {call}, but{}", received(self)),
        }
    }

    #[track_caller]
    fn assert_not_called(&self, call: &str) {
        assert!(
            calls_to(self, call).is_empty(),
            "Kommo has received {call} (expected none):{}",
            received(self)
        );
    }
}

/// The calls that match. Panics if none could: `assert_not_called` would check nothing.
#[track_caller]
fn calls_to(kommo: &Simulator, call: &str) -> Vec<ApiCall> {
    let is_call = call.split_once(' ').is_some_and(|(method, path)| {
        let is_method = !method.is_empty() && method.bytes().all(|letter| letter.is_ascii_uppercase());
        is_method && path.starts_with('/') && !path.contains(' ')
    });
    assert!(
        is_call,
        "`{call}` cannot match a call (expected a method and a path, as in GET /api/v4/leads/5)"
    );
    assert!(kommo.options().record, "the played Kommo does not record its calls: set `Options::record`");
    kommo.calls_to(call)
}

/// Every call, one a line.
fn received(kommo: &Simulator) -> String {
    let calls = kommo.api_calls();
    if calls.is_empty() {
        return " no call at all".to_owned();
    }
    let line = |ApiCall { method, path, status, .. }: &ApiCall| match status {
        Some(status) => format!("\n  {method} {path} (answered {status})"),
        None => format!("\n  {method} {path} (not answered)"),
    };
    calls.iter().map(line).collect()
}
