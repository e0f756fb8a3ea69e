//! The method that continues a waiting bot, by its `return_url` or by the ids in it.

use model::{BotType, CheckedCompletion, ReturnUrl};
use salesbot_bridge::kommo::Error;
use salesbot_bridge::{Completion, Show, Step};
use serde_json::{Value, json};

use super::{calls, client, with_token};
use crate::played::{account, bot, continued, kommo, plan};

/// The body in Kommo's documentation.
fn documented() -> CheckedCompletion {
    Completion::success().check().unwrap()
}

fn url(bot: &simulator::Bot) -> ReturnUrl {
    bot.return_url().parse().unwrap()
}

#[tokio::test]
async fn a_waiting_bot_is_continued_with_the_documented_body() {
    let kommo = kommo().await;
    let bot = bot(&kommo);
    client(&kommo).continue_bot(&url(&bot), &documented()).await.unwrap();
    continued(&bot).await;
    let sent = kommo.calls().pop().unwrap();
    assert_eq!(sent.status, Some(202));
    assert_eq!(
        serde_json::from_slice::<Value>(&sent.body).unwrap(),
        json!({ "data": { "status": "success" } })
    );
}

#[tokio::test]
async fn bots_of_both_kinds_are_continued_by_their_ids() {
    let kommo = kommo().await;
    let marketing = simulator::Plan { bot_type: simulator::BotType::Marketingbot, ..plan() };
    for (bot, bot_type) in [(bot(&kommo), BotType::Salesbot), (kommo.bot(marketing), BotType::Marketingbot)] {
        let url = url(&bot);
        assert_eq!(url.bot_type(), bot_type);
        let completion =
            Completion::success().show(Show::text("Hi")).goto(Step::question(1)).check().unwrap();
        client(&kommo).continue_block(bot_type, url.bot_id(), url.continue_id(), &completion).await.unwrap();
        continued(&bot).await;
    }
    for wrong in ["", "a/b", "../../widgets", "a?b"] {
        let refused = client(&kommo).continue_block(BotType::Salesbot, 1, wrong, &documented()).await;
        assert!(matches!(refused, Err(Error::Refused(_))), "{wrong}: {refused:?}");
    }
    assert_eq!(calls(&kommo).len(), 2);
}

#[tokio::test]
async fn a_continue_of_a_bot_that_no_longer_waits_is_not_found() {
    let kommo = kommo().await;
    let bot = bot(&kommo);
    client(&kommo).continue_bot(&url(&bot), &documented()).await.unwrap();
    let error = client(&kommo).continue_bot(&url(&bot), &documented()).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error}");
}

#[tokio::test]
async fn a_refused_token_continues_no_bot() {
    let kommo = kommo().await;
    let bot = bot(&kommo);
    let error = with_token(&kommo, "a-strangers").continue_bot(&url(&bot), &documented()).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized(_)), "{error}");
    kommo.set_administrator(false);
    let error = client(&kommo).continue_bot(&url(&bot), &documented()).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden(_)), "{error}");
    assert!(bot.continues().is_empty());
}

#[tokio::test]
async fn a_return_url_of_another_account_gets_no_token() {
    let (ours, theirs) = (kommo().await, account(2).await);
    let bot = bot(&theirs);
    let error = client(&ours).continue_bot(&url(&bot), &documented()).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    assert!(theirs.calls().is_empty() && ours.calls().is_empty());
}
