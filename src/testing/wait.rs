//! Waits for a bot.

use std::time::Duration;

use simulator::{Bot, Continue};
use tokio::time::timeout;

use super::TEST_TIMEOUT;

/// Waits until the bot was continued as often as it has asked. Returns the last continue.
///
/// # Panics
/// If that takes longer than [`TEST_TIMEOUT`]; the message has what happened to the bot.
pub async fn continued(bot: &Bot) -> Continue {
    continued_within(bot, TEST_TIMEOUT).await.unwrap_or_else(|late| panic!("{late}"))
}

/// The same; after `limit`, what is missing.
pub(super) async fn continued_within(bot: &Bot, limit: Duration) -> Result<Continue, String> {
    timeout(limit, bot.continued())
        .await
        .map_err(|_| format!("bot {} was not continued within {limit:?}: {:#?}", bot.id(), bot.report()))
}
