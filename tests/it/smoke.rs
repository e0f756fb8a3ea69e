//! The whole loop, once.

use crate::played::{bot, continued, kommo};
use crate::setup::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_asks_is_continued() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "echo").await;
    assert_eq!(continued(&bot).await.data["message"], "hi");
    let job = bridge.in_state(&id, "delivered").await;
    assert_eq!(job["outcome"], "handler");
}
