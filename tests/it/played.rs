//! The simulated Kommo: accounts and bots for most tests.

use std::time::Duration;

use salesbot_bridge::testing::TestKommo;
use serde_json::json;
use simulator::{Bot, Call, Fault, Language, Options, Plan, Simulator};

use crate::bridge::{TEST_TIMEOUT, TestBridge};

pub use salesbot_bridge::testing::{continued, manual_clock};

/// One account.
pub async fn kommo() -> TestKommo {
    account(1).await
}

/// The account with this number. All accounts share the integration.
pub async fn account(number: u32) -> TestKommo {
    playing(Options::numbered(number)).await
}

/// An account with these options. Its bots wait longer than Kommo's, so that a busy machine does not fail tests that do
/// not measure the time of an answer. Its texts are Russian, so that a bridge that depends on a title would fail.
pub async fn playing(options: Options) -> TestKommo {
    TestKommo::with(Options { answer_timeout: TEST_TIMEOUT, language: Language::Russian, ..options }).await
}

pub fn plan() -> Plan {
    Plan::with_data(json!({ "message": "hi" }))
}

/// An ordinary bot.
pub fn bot(kommo: &Simulator) -> Bot {
    kommo.bot(plan())
}

/// A bot that gets these faults on its continues, one for each attempt.
pub fn with_faults(kommo: &Simulator, faults: impl IntoIterator<Item = Fault>) -> Bot {
    kommo.bot(plan().faults(faults))
}

/// Waits until one more bot of this account is continued. By then, everything that was due earlier has been tried, so a
/// test can check that something did not happen.
pub async fn one_more_continued(bridge: &TestBridge, kommo: &Simulator) {
    let bot = bot(kommo);
    bridge.ask(&bot, "echo").await;
    continued(&bot).await;
}

/// All calls that tried to continue this bot.
pub fn calls_for(kommo: &Simulator, bot: &Bot) -> Vec<Call> {
    kommo.calls().into_iter().filter(|call| call.bot == Some(bot.id())).collect()
}

/// The times between consecutive calls.
pub fn gaps(calls: &[Call]) -> Vec<Duration> {
    calls.windows(2).map(|pair| pair[1].instant - pair[0].instant).collect()
}
