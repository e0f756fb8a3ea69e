//! Assertions on what a simulated Kommo received.

use simulator::{ApiCall, Simulator};

/// Assertions on the calls that a simulated Kommo received, continues included. A call is named by method and path, as in
/// `GET /api/v4/leads/5`; without a query it matches any query.
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
        match self.calls_to(call).pop() {
            Some(received) => received,
            None => panic!("Kommo has not received {call}, but{}", received(self)),
        }
    }

    #[track_caller]
    fn assert_not_called(&self, call: &str) {
        assert!(
            self.calls_to(call).is_empty(),
            "Kommo has received {call} (expected no such call):{}",
            received(self)
        );
    }
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
