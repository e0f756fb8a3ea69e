//! The simulated Kommo: accounts and bots for most tests.

use std::time::Duration;

use salesbot_bridge::simulator::{Bot, Call, Continue, Fault, Language, Options, Plan, Simulator};
use salesbot_bridge::{Clock, ManualClock};
use serde_json::json;

use crate::bridge::{TEST_TIMEOUT, TestBridge};

/// One account.
pub async fn kommo() -> Simulator {
    account(1).await
}

/// The account with this number. All accounts share the integration.
pub async fn account(number: u32) -> Simulator {
    playing(Options::numbered(number)).await
}

/// An account with these options. Its bots wait longer than Kommo's, so that a busy machine does not fail tests that do
/// not measure the time of an answer. Its texts are Russian, so that a bridge that depends on a title would fail.
pub async fn playing(options: Options) -> Simulator {
    Simulator::start(Options { answer_timeout: TEST_TIMEOUT, language: Language::Russian, ..options })
        .await
        .unwrap()
}

pub fn plan() -> Plan {
    Plan::with_data(json!({ "message": "hi" }))
}

/// An ordinary bot.
pub fn bot(kommo: &Simulator) -> Bot {
    kommo.bot(plan())
}

/// A bot whose continues meet these faults, one for each attempt.
pub fn with_faults(kommo: &Simulator, faults: impl IntoIterator<Item = Fault>) -> Bot {
    kommo.bot(plan().faults(faults))
}

/// Waits, with a timeout, until the bot is continued.
pub async fn continued(bot: &Bot) -> Continue {
    tokio::time::timeout(TEST_TIMEOUT, bot.continued())
        .await
        .unwrap_or_else(|_| panic!("the bot is still waiting: {:#?}", bot.report()))
}

/// Waits until one more bot of this account is continued. By then everything that was due before has had its turn, so a
/// test can claim that something did not happen.
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

/// A manual clock that starts at the machine's time, which the tokens' times refer to.
pub fn manual_clock() -> ManualClock {
    ManualClock::new(Clock::system().now())
}
